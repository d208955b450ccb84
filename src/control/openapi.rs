//! The description of the local interface (OpenAPI 3.1), as a file that is part of the program: `GET /v1/openapi.json`, and
//! [`openapi.json`](https://spec.openapis.org/oas/v3.1.1) beside this file. Its schemas are made from the documents of
//! [`super::view`] by a test, which fails when the file is not what they say; `OPENAPI=write cargo test openapi` writes it.

use super::answer::Answer;

/// The description.
pub const TEXT: &str = include_str!("openapi.json");

/// The description as an answer.
pub fn answer() -> Answer {
    Answer { status: 200, body: TEXT.as_bytes().to_vec() }
}

#[cfg(test)]
mod describe;
#[cfg(test)]
mod tests;
