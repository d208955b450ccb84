//! Writes the man pages and shell completions: `cargo run --example documents -- DIRECTORY`. An example rather than a subcommand, so
//! that the daemon does not carry what makes them.
#![allow(clippy::print_stderr, reason = "a tool for the terminal")]

use std::path::Path;
use std::process::ExitCode;

mod completions;
mod pages;
mod words;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: documents DIRECTORY");
        return ExitCode::from(64);
    };
    let directory = Path::new(&directory);
    match pages::write(directory).and_then(|()| completions::write(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("documents: {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}
