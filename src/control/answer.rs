//! What a request is answered with.

use serde::Serialize;
use serde_json::{Value, json};

/// An answer: a status and a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// JSON.
    pub body: Vec<u8>,
}

/// Why a request is refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status code, 4xx or 5xx.
    pub status: u16,
    /// A stable name for programs, kebab-case.
    pub code: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
    /// What may have been meant.
    pub candidates: Vec<String>,
}

impl Failure {
    /// One without candidates.
    pub fn new(status: u16, code: &'static str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { status, code, problem: problem.into(), cure: cure.into(), candidates: Vec::new() }
    }
}

impl Answer {
    /// 200 with a document.
    pub fn of<T: Serialize>(document: &T) -> Self {
        match serde_json::to_vec(document) {
            Ok(body) => Self { status: 200, body },
            Err(error) => Failure::new(500, "answer", error.to_string(), "report this as a defect").into(),
        }
    }
}

impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        let mut error = json!({ "code": failure.code, "problem": failure.problem, "cure": failure.cure });
        if let Some(error) = error.as_object_mut().filter(|_| !failure.candidates.is_empty()) {
            error.insert("candidates".to_owned(), Value::from(failure.candidates));
        }
        Self { status: failure.status, body: json!({ "error": error }).to_string().into_bytes() }
    }
}

impl From<Result<Self, Failure>> for Answer {
    fn from(result: Result<Self, Failure>) -> Self {
        result.unwrap_or_else(Into::into)
    }
}
