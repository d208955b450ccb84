//! `tandem check`: every problem of a file, with its place, consequence and cure.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::config;
use crate::config::model::Config;
use crate::config::resolve::Facts;
use crate::core::director;

use super::report::{Paint, exit_code, json, with_summary};

/// Words of `tandem check`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Exit status: 0 clean (advice aside), 1 warnings, 2 errors, 3 a file cannot be read, 64 wrong \
                        command line. With several files the worst one counts."
)]
pub struct Args {
    /// Files to check; YAML when the name ends in .yaml or .yml.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Treat warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Judge the text alone: do not look for its interfaces, scripts and users on this machine.
    #[arg(long)]
    text_only: bool,
    /// Which @id lines are meant; default: this host's short name.
    #[arg(short = 'i', long, value_name = "ID")]
    config_id: Option<String>,
    /// Compare the two files as the directors of one pair: who is master, what fails over, and what differs.
    #[arg(long)]
    pair: bool,
    /// With --pair: which @id lines of the first file are meant; default: what -i says, or this host's short name.
    #[arg(long, value_name = "ID", requires = "pair")]
    id_a: Option<String>,
    /// The same for the second file. Where both are given, one file can serve both directors.
    #[arg(long, value_name = "ID", requires = "pair")]
    id_b: Option<String>,
    /// text for people, json for editors and CI (one object a finding, one a line).
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// Prints all problems of all files; returns the exit code (see the help text).
pub fn run(args: &Args) -> i32 {
    if args.pair {
        let ids = [&args.id_a, &args.id_b].map(|id| id.as_ref().or(args.config_id.as_ref()).cloned());
        return super::pair::run(&args.files, ids, args.strict, &args.format);
    }
    let mut facts = if args.text_only { Facts::of_the_text() } else { Facts::of_this_machine() };
    if args.config_id.is_some() {
        facts.config_id.clone_from(&args.config_id);
    }
    let mut out = io::stdout().lock();
    let mut worst = 0;
    for file in &args.files {
        let mut loaded = config::load(file, &facts);
        if !args.text_only && is_of_this_machine(&loaded.config, &facts) {
            let machine = director::look::look(&loaded.config);
            loaded.diagnostics.extend(director::judge(&loaded.config, &machine));
        }
        worst = worst.max(exit_code(&loaded, args.strict));
        let text = if args.format == "json" {
            json(&loaded.diagnostics)
        } else {
            with_summary(file, &loaded, Paint::of_stdout())
        };
        // A closed pipe (head) is no reason to complain; the exit code still tells.
        let _ = out.write_all(text.as_bytes());
        // The process ends soon: giving a large configuration back piece by piece would take a tenth of the time.
        std::mem::forget(loaded);
    }
    worst
}

/// True when this machine could run the file: it has the interface of every instance. Of another machine's kernel
/// settings nothing can be said.
fn is_of_this_machine(config: &Config, facts: &Facts) -> bool {
    let there = |name: &str| facts.interfaces.as_ref().is_some_and(|all| all.contains(name));
    config.vrrp_instance.iter().all(|i| i.interface.is_empty() || there(&i.interface))
}
