//! `tandem schema`: the JSON Schema of the YAML form.

use std::io::{self, Write};

use crate::config::schema;

/// Prints it.
pub fn run() -> i32 {
    match io::stdout().lock().write_all(schema::schema_text().as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
