//! `tandem convert`: keepalived.conf to YAML and back.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::config::model::Config;
use crate::config::resolve::Facts;
use crate::config::{self, yaml};

use super::report::{Paint, exit_code, findings};

/// Words of `tandem convert`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "The result is read again and compared before it is given out: nothing is lost but comments, and what \
                        the file's own problems (on standard error) have dropped already. Includes and $variables are \
                        resolved, and of @id lines those of one director are taken.\n\n\
                        Exit status: 0 done, 1 done with warnings, 2 done with errors in the file, 3 it cannot be read, \
                        4 it cannot be said in the other form, or not written; 64 wrong command line."
)]
pub struct Args {
    /// What to convert; YAML when the name ends in .yaml or .yml.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The form to write; default: the other one.
    #[arg(long, value_name = "FORM", value_parser = ["yaml", "conf"])]
    to: Option<String>,
    /// Write to this file rather than to standard output; its folder must exist.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Which @id lines are meant; default: this host's short name.
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,
}

/// Converts; returns the exit code (see the help text).
pub fn run(args: &Args) -> i32 {
    let mut facts = Facts::of_the_text();
    if args.config_id.is_some() {
        facts.config_id.clone_from(&args.config_id);
    }
    let loaded = config::parse(&args.file, &facts);
    // Nothing is left to be done when even standard error is gone.
    let _ = io::stderr().write_all(findings(&args.file, &loaded.diagnostics, Paint::of_stderr()).as_bytes());
    let code = exit_code(&loaded, false);
    if !loaded.readable {
        return code;
    }
    let to_yaml = match args.to.as_deref() {
        Some(form) => form == "yaml",
        None => !config::is_yaml(&args.file),
    };
    let result = converted(&loaded.config, to_yaml).and_then(|text| written(&text, args.output.as_deref()));
    match result {
        Ok(()) => code,
        Err(problems) => {
            for problem in problems {
                eprintln!("tandem convert: {problem}");
            }
            4
        }
    }
}

/// The text in the other form, proved to say the same.
fn converted(config: &Config, to_yaml: bool) -> Result<String, Vec<String>> {
    let (text, name) = if to_yaml {
        (yaml::to_yaml(config).map_err(|error| vec![error.to_string()])?, "converted.yaml")
    } else {
        (config::to_conf(config)?, "converted.conf")
    };
    let again = config::parse_bytes(Path::new(name), text.as_bytes(), &Facts::default());
    if again.config == *config {
        return Ok(text);
    }
    let mut problems: Vec<String> = again.diagnostics.iter().map(ToString::to_string).collect();
    problems.push("the other form would not say the same; nothing was written".to_owned());
    Err(problems)
}

fn written(text: &str, output: Option<&Path>) -> Result<(), Vec<String>> {
    match output {
        Some(path) => fs::write(path, text)
            .map_err(|error| vec![format!("{} cannot be written: {error}", path.display())]),
        None => io::stdout().lock().write_all(text.as_bytes()).map_err(|error| vec![error.to_string()]),
    }
}
