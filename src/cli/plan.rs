//! `tandem plan`: what would change on this machine if a file were applied now.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::clock;
use crate::config::diagnostic::Level;
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};
use crate::core::plan::{self, Action, Entry, Kernel, Role};
use crate::{ipvs, net};

use super::report::{Paint, findings};

/// Words of `tandem plan`.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Lines: + comes, ~ changes, - goes, . stays as it is and is worth knowing. Nothing is carried out.\n\n\
                        Exit status: 0 nothing would change, 1 something would, 2 the file has errors (they are printed, \
                        as tandem check does; --lenient goes on like a start), 3 a file cannot be read, 4 the kernel \
                        could not be read in part, 64 wrong command line."
)]
pub struct Args {
    /// What would be applied; YAML when the name ends in .yaml or .yml.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Compare with this file, setting by setting, as well as with the kernel.
    #[arg(long, value_name = "OLD_FILE")]
    from: Option<PathBuf>,
    /// The role that instances are thought in: as the kernel shows it now (an instance is master when some of its
    /// addresses are here), or all of them master or backup.
    #[arg(long = "as", value_name = "ROLE", default_value = "now", value_parser = ["now", "master", "backup"])]
    role: String,
    /// Go on with what is good in a file that has errors, as a start does.
    #[arg(long)]
    lenient: bool,
    /// text for people, json for programs (one object an entry, one a line).
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// Prints the plan; returns the exit code (see the help text).
pub fn run(args: &Args) -> i32 {
    let facts = Facts::of_this_machine();
    let loaded = config::load(&args.file, &facts);
    if let Some(code) = refused(args, &loaded) {
        return code;
    }
    let mut entries = Vec::new();
    if let Some(old) = &args.from {
        let before = config::load(old, &facts);
        if !before.readable {
            eprint!("{}", findings(old, &before.diagnostics, Paint::of_stderr()));
            return 3;
        }
        entries.extend(plan::settings(&before.config, &loaded.config));
    }
    let role = match args.role.as_str() {
        "master" => Role::Master,
        "backup" => Role::Backup,
        _ => Role::AsNow,
    };
    let mut blind = false;
    match kernel() {
        Ok(kernel) => {
            entries.extend(plan::addresses(&loaded.config, &kernel.links, role));
            match &kernel.table {
                Ok(table) => entries.extend(plan::services(&loaded.config, table, clock::now())),
                Err(_) if loaded.config.virtual_server.is_empty() => {}
                Err(problem) => {
                    eprintln!("tandem plan: services and destinations are not compared: {problem}");
                    blind = true;
                }
            }
        }
        Err(problem) => {
            eprintln!("tandem plan: the interfaces cannot be read: {problem}");
            blind = true;
        }
    }
    // A closed pipe (head) is no reason to complain; the exit code still tells.
    let _ = io::stdout().lock().write_all(shown(&entries, &args.format).as_bytes());
    match (blind, plan::changes(&entries)) {
        (true, _) => 4,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// The exit code of a file that is not gone on with.
fn refused(args: &Args, loaded: &Loaded) -> Option<i32> {
    let errors = loaded.diagnostics.iter().any(|finding| finding.level == Level::Error);
    if errors || !loaded.readable {
        eprint!("{}", findings(&args.file, &loaded.diagnostics, Paint::of_stderr()));
    }
    match (loaded.readable, errors && !args.lenient) {
        (false, _) => Some(3),
        (true, true) => Some(2),
        (true, false) => None,
    }
}

/// Reads what the plan is compared with.
fn kernel() -> Result<Kernel, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let links = runtime.block_on(net::monitor::first_dump()).map_err(|error| error.to_string())?;
    let table = ipvs::kernel::read_all().map_err(|error| format!("{error:#}"));
    Ok(Kernel { links, table })
}

fn shown(entries: &[Entry], format: &str) -> String {
    if format == "json" {
        return entries
            .iter()
            .filter_map(|e| serde_json::to_string(e).ok())
            .map(|line| line + "\n")
            .collect();
    }
    let paint = Paint::of_stdout();
    let mut text = String::new();
    for entry in entries {
        let detail = if entry.detail.is_empty() { String::new() } else { format!(": {}", entry.detail) };
        let (sign, colour) = match entry.action {
            Action::Add => ("+", "32"),
            Action::Change => ("~", "33"),
            Action::Remove => ("-", "31"),
            Action::Note => (".", "2"),
        };
        text += &paint.line(colour, &format!("{sign} {} {}{detail}", entry.kind, entry.name));
        text.push('\n');
    }
    let count = |action| entries.iter().filter(|entry| entry.action == action).count();
    text += &format!(
        "{} to add, {} to change, {} to remove\n",
        count(Action::Add),
        count(Action::Change),
        count(Action::Remove)
    );
    text
}
