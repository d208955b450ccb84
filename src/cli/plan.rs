//! `tandem plan`: what would change on this machine if a file were applied now.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::clock;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, RealServerOverride};
use crate::config::overrides::apply;
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};
use crate::core::kept::Keeper;
use crate::core::look::{self, Found};
use crate::core::name::Name;
use crate::core::plan::{Basis, Entry, InstanceNow, Plan, Question, Role};
use crate::core::servers::summary;

mod text;

/// Words of `tandem plan`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Lines begin with + (comes), ~ (changes), - (goes), = (is there, is not ours, stays), or ? before one of them: not now,
but when the role or the checks say so. Without a running Tandem the file is planned as a start, else as its reload.
Nothing is changed and no module is loaded; the IPVS table can be read by root only.

Exit status: 0 nothing would change now, 1 something would change now, 2 the file has errors, 3 a file cannot be read,
4 the kernel could not be read (what could be is printed), 64 wrong command line. The first of 64, 3, 2, 4, 1, 0 counts.")]
pub struct Args {
    /// The file to apply; YAML when the name ends in .yaml or .yml.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file that was applied before: says which objects and settings differ, and what goes because the new file
    /// lacks it.
    #[arg(long, value_name = "OLD_FILE")]
    from: Option<PathBuf>,
    /// Plan every instance in this role. Without it: the role that the kernel's addresses show.
    #[arg(long = "as", value_name = "ROLE", value_parser = ["master", "backup"])]
    role: Option<String>,
    /// Compare the two files alone: do not look at this machine.
    #[arg(long, requires = "from", conflicts_with = "role")]
    files_only: bool,
    /// Go on in spite of errors in the file, without the objects that they concern, as a start does.
    #[arg(long)]
    lenient: bool,
    /// Name of the Tandem that would apply it, where several run in one network namespace.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    instance: String,
    /// Folder of its overrides of real servers [default: state_directory of the file, else /var/lib/tandem].
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// text for people, json for programs (one object an entry, one a line).
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

/// Prints the plan; returns the exit code (see the help text).
pub fn run(args: &Args) -> i32 {
    let facts = if args.files_only { Facts::of_the_text() } else { Facts::of_this_machine() };
    let mut loaded = config::load(&args.file, &facts);
    let mut before = args.from.as_deref().map(|path| (path, config::load(path, &facts)));
    if let Err(code) = judge(args, &loaded, before.as_ref()) {
        return code;
    }
    let overrides = if args.files_only { Vec::new() } else { kept(args, &loaded.config) };
    for config in [Some(&mut loaded), before.as_mut().map(|(_, old)| old)].into_iter().flatten() {
        apply(&mut config.config, &overrides);
    }
    let old = before.as_ref().map(|(_, old)| &old.config);
    if old.is_some() {
        // Marks stay over a reload.
        config::fwmarks::assign(&mut loaded.config, old);
    }
    let found = if args.files_only {
        Found::default()
    } else {
        let balances = |config: &Config| !config.virtual_server.is_empty();
        let files: Vec<&Config> = std::iter::once(&loaded.config).chain(old).collect();
        look::look(&name(args, &loaded.config).lock, files.iter().any(|config| balances(config)), &files)
    };
    let question = Question {
        file: &loaded.config,
        before: old,
        role: args.role.as_deref().map(|role| if role == "master" { Role::Master } else { Role::Backup }),
        running: found.running,
        now: clock::now(),
    };
    let mut plan = Plan::new(&question, &found.kernel);
    if !overrides.is_empty() {
        plan.notes.push(format!("with the overrides of earlier commands ({})", summary(&overrides)));
    }
    if found.running && has_errors(&loaded) {
        plan.notes
            .push("a running Tandem refuses a file with errors: its reload would change nothing".to_owned());
    }
    let out = if args.format == "json" {
        json(args, &plan, &found)
    } else {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        text::text(&heading(args, &plan, &found), &plan, !args.files_only, &found.errors, colour)
    };
    // A closed pipe (head) is no reason to complain; the exit code still tells.
    let _ = io::stdout().lock().write_all(out.as_bytes());
    for error in &found.errors {
        complain(&format!("tandem plan: {error}\n"));
    }
    match (found.errors.is_empty(), plan.changes_something()) {
        (false, _) => 4,
        (true, true) => 1,
        (true, false) => 0,
    }
}

/// Overrides of commands, which a start or a reload puts over the file.
fn kept(args: &Args, config: &Config) -> Vec<RealServerOverride> {
    Keeper::new(Keeper::folder(args.state_dir.as_deref(), config), &name(args, config).whole).peek()
}

/// What the daemon of that file is called.
fn name(args: &Args, config: &Config) -> Name {
    Name::of(&args.instance, config.net_namespace.as_deref(), config.instance.as_deref())
}

fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn has_errors(loaded: &Loaded) -> bool {
    loaded.diagnostics.iter().any(|finding| finding.level == Level::Error)
}

/// Prints what is wrong with the files; the exit code when that is the end.
fn judge(args: &Args, loaded: &Loaded, before: Option<&(&Path, Loaded)>) -> Result<(), i32> {
    let as_json = args.format == "json";
    let findings = |path: &Path, loaded: &Loaded| {
        if as_json {
            super::report::json(&loaded.diagnostics)
        } else {
            super::report::with_summary(path, loaded, super::report::Paint::of_stdout())
        }
    };
    let answer = |text: String| {
        let _ = io::stdout().lock().write_all(text.as_bytes());
    };
    if let Some((path, old)) = before.filter(|(_, old)| !old.readable) {
        answer(findings(path, old));
        return Err(3);
    }
    if !loaded.readable {
        answer(findings(&args.file, loaded));
        return Err(3);
    }
    if has_errors(loaded) && !args.lenient {
        answer(findings(&args.file, loaded));
        complain("tandem plan: the file has errors: correct them, or plan the rest of it with --lenient\n");
        return Err(2);
    }
    if has_errors(loaded) {
        complain(&findings(&args.file, loaded));
    }
    if let Some((path, _)) = before.filter(|(_, old)| has_errors(old)) {
        complain(&format!(
            "tandem plan: {} has errors: taken as a start takes it, without the objects that they concern\n",
            path.display()
        ));
    }
    Ok(())
}

fn heading(args: &Args, plan: &Plan, found: &Found) -> String {
    let file = args.file.display();
    match (&args.from, plan.basis) {
        (Some(old), _) if args.files_only => {
            format!("from {} to {file}; this machine was not looked at", old.display())
        }
        (Some(old), _) if found.running => {
            format!("from {} to {file}, as a reload of the Tandem that runs here", old.display())
        }
        (Some(old), _) => format!(
            "from {} to {file}, as a reload (no Tandem runs in this network namespace now)",
            old.display()
        ),
        (None, Basis::Reload) => format!("{file}, as a reload of the Tandem that runs here"),
        (None, Basis::Start) => format!("{file}, as a start (no Tandem runs in this network namespace)"),
    }
}

/// One line of JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Plan { file: &'a Path, from: Option<&'a Path>, basis: Basis, running: bool, changes: bool, looked: bool },
    Instance(&'a InstanceNow),
    Note { text: &'a str },
    Error { text: &'a str },
}

fn json(args: &Args, plan: &Plan, found: &Found) -> String {
    let head = Line::Plan {
        file: &args.file,
        from: args.from.as_deref(),
        basis: plan.basis,
        running: found.running,
        changes: plan.changes_something(),
        looked: !args.files_only && found.errors.is_empty(),
    };
    let mut lines: Vec<Option<String>> = vec![serde_json::to_string(&head).ok()];
    let line = |line: Line<'_>| serde_json::to_string(&line).ok();
    lines.extend(plan.instances.iter().map(|instance| line(Line::Instance(instance))));
    lines.extend(plan.entries.iter().map(|entry: &Entry| serde_json::to_string(entry).ok()));
    lines.extend(plan.notes.iter().map(|text| line(Line::Note { text })));
    lines.extend(found.errors.iter().map(|text| line(Line::Error { text })));
    lines.into_iter().flatten().map(|line| line + "\n").collect()
}
