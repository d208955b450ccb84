//! What a person is told about a file: the place, the problem, the consequence, the cure.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is wrong, but this will not do what most people who write it expect.
    Advice,
    /// A word or line is passed over, or a value is replaced; the object stays.
    Warning,
    /// An object (instance, virtual server, …) or the whole file is dropped.
    Error,
}

/// A position in a file. Lines and columns count from 1; the column counts characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// File as named to the reader.
    pub file: Arc<PathBuf>,
    /// Line, from 1; 0 = the file as a whole.
    pub line: u32,
    /// Column, from 1; 0 = the line as a whole.
    pub column: u32,
}

impl Place {
    /// True when it stands further down in the same file.
    pub fn is_below(&self, other: &Self) -> bool {
        self.file == other.file && (self.line, self.column) > (other.line, other.column)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        Ok(())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad.
    pub level: Level,
    /// Where; `None` when it concerns no single place.
    pub place: Option<Place>,
    /// A stable name for programs, `unknown-keyword`, `out-of-range`, …
    pub code: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What Tandem does about it.
    pub consequence: String,
    /// What to write instead; empty when there is nothing sensible to say.
    pub fix: String,
}

impl Diagnostic {
    /// Writes control characters out. Words of the file are part of the text; none of them may begin a line of the log
    /// or command a terminal.
    pub(super) fn make_printable(&mut self) {
        for text in [&mut self.problem, &mut self.consequence, &mut self.fix] {
            if text.contains(char::is_control) {
                let shown =
                    |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
                *text = text.chars().map(shown).collect();
            }
        }
    }
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: level: problem; consequence; fix` on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        let level = match self.level {
            Level::Advice => "advice",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        write!(f, "{level}: {}", self.problem)?;
        if !self.consequence.is_empty() {
            write!(f, "; {}", self.consequence)?;
        }
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        Ok(())
    }
}
