//! The command line: one file a subcommand, all defined in one place.

use clap::{CommandFactory, Parser, Subcommand};

pub mod check;
pub mod convert;
pub mod door;
pub mod genhash;
pub mod keepalived;
mod log;
mod pair;
pub mod plan;
pub mod release;
mod report;
pub mod run;
pub mod schema;

/// A pair of Linux machines as one highly available layer-4 load balancer: VRRP, IPVS and health checks.
#[derive(Parser, Debug)]
#[command(name = "tandem", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the daemon in the foreground. SIGTERM stops it, SIGHUP reloads the configuration.
    Run(run::Args),
    /// Check configuration files and explain every problem.
    Check(check::Args),
    /// Convert keepalived.conf to YAML, or YAML to keepalived.conf, without loss.
    Convert(convert::Args),
    /// Print the JSON Schema of the YAML form, for editors.
    Schema,
    /// Fetch a page as a check does and print the MD5 of its body, for `digest`.
    Genhash(genhash::Args),
    /// Show what would change on this machine if a file were applied now.
    Plan(plan::Args),
    /// Show the real servers of the running daemon: health, weights, overrides, connections of those that drain.
    Servers(door::List),
    /// Show what commands and real_server_override lines have made different, by whom and when.
    Overrides(door::ListOverrides),
    /// Give a real server another weight.
    Weight(door::Weight),
    /// Send a real server nothing new; its connections go on.
    Drain(door::Drain),
    /// Take a real server out; its checks go on.
    Disable(door::Plain),
    /// Let a real server be what the file says again.
    Enable(door::Plain),
    /// Add a real server like another one.
    Add(door::Add),
    /// Take a real server away; drain_on_removal drains it first.
    Delete(door::Plain),
    /// Have the running daemon read its configuration again, and say what has changed or why nothing has.
    Reload(door::Life),
    /// Have the installed program go on in the place of the running one: addresses, table and connections stay.
    Upgrade(door::Life),
    /// End the running daemon and leave addresses and table as they are, for a start that follows at once.
    Leave(door::Leave),
    /// Take the addresses off this machine that a daemon left here which does not run any more.
    Release(release::Args),
}

/// The command line's definition, which man pages and shell completions are made from (`examples/documents.rs`).
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line, does what it says, returns the exit code (64 for a wrong command line).
pub fn main() -> i32 {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    if keepalived::is_called(&program) {
        return keepalived::run(arguments);
    }
    if genhash::is_called(&program) {
        return genhash::alone(arguments);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 64 } else { 0 };
            // Nothing is left to be done when even this cannot be printed.
            let _ = error.print();
            return code;
        }
    };
    match cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Schema => schema::run(),
        Command::Genhash(args) => genhash::run(args),
        Command::Plan(args) => plan::run(&args),
        Command::Servers(args) => door::servers(&args),
        Command::Overrides(args) => door::overrides(&args),
        Command::Weight(args) => door::weight(&args),
        Command::Drain(args) => door::drain(&args),
        Command::Disable(args) => door::disable(&args),
        Command::Enable(args) => door::enable(&args),
        Command::Add(args) => door::add(&args),
        Command::Delete(args) => door::delete(&args),
        Command::Reload(args) => door::reload(&args),
        Command::Upgrade(args) => door::upgrade(&args),
        Command::Leave(args) => door::leave(&args),
        Command::Release(args) => release::run(&args),
    }
}
