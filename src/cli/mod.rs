//! The command line: one file a subcommand, all defined in one place.

use clap::{CommandFactory, Parser, Subcommand};

pub mod check;
pub mod convert;
pub mod door;
pub mod genhash;
pub mod keepalived;
mod log;
pub mod paint;
mod pair;
pub mod plan;
pub mod release;
mod report;
pub mod run;
pub mod schema;
pub mod top;

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
    /// Show how everything stands: instances with the arithmetic of their priorities, virtual servers with their real
    /// servers, connections and rates. Exit codes: 0 shown, 1 no daemon answers, 2 refused.
    Status(door::Status),
    /// Watch the real servers live: connections, rates, health. Keys: ? tells them.
    Top(top::Args),
    /// Show the real servers of the running daemon: health, weights, overrides, connections of those that drain.
    Servers(door::List),
    /// Show what commands and real_server_override lines have made different, by whom and when.
    Overrides(door::ListOverrides),
    /// Give a real server another weight.
    Weight(door::Weight),
    /// Send a real server nothing new; its connections go on.
    Drain(door::Drain),
    /// Take a real server out; its checks go on.
    Disable(door::Disable),
    /// Let a real server be what the file says again.
    Enable(door::Plain),
    /// Add a real server like another one.
    Add(door::Add),
    /// Take a real server away; drain_on_removal drains it first.
    Delete(door::Delete),
    /// Have real servers checked at once, and show what came of it. Exit codes: 0 all are up, 1 no daemon answers, 2 refused,
    /// 3 some are down or were not checked.
    CheckNow(door::CheckNow),
    /// Show the configuration in force, overrides included, without its secrets.
    Config(door::ShowConfig),
    /// Let a peer be master of an instance: this director yields to any peer until the order ends, and takes the addresses
    /// only if nobody else is there.
    StepDown(door::Order),
    /// Be master of an instance now, over a peer of higher priority: with priority 254 until the order ends.
    TakeOver(door::Order),
    /// Take an order back: the ordinary election decides.
    EndOrder(door::Release),
    /// Give an instance back what its priority is enough for: ends an order, and takes over from a lower master once,
    /// nopreempt or not.
    Failback(door::Failback),
    /// Step down everywhere and stay out of elections until it is off; checks and the table go on.
    Maintenance(door::Maintenance),
    /// Show what happened, and why.
    History(door::History),
    /// Show how an instance or a server stands, and the last changes with their causes.
    Why(door::Why),
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
        Command::Status(args) => door::status(&args),
        Command::Top(args) => top::run(&args),
        Command::Servers(args) => door::servers(&args),
        Command::Overrides(args) => door::overrides(&args),
        Command::Weight(args) => door::weight(&args),
        Command::Drain(args) => door::drain(&args),
        Command::Disable(args) => door::disable(&args),
        Command::Enable(args) => door::enable(&args),
        Command::Add(args) => door::add(&args),
        Command::Delete(args) => door::delete(&args),
        Command::CheckNow(args) => door::check_now(&args),
        Command::Config(args) => door::config(&args),
        Command::StepDown(args) => door::step_down(&args),
        Command::TakeOver(args) => door::take_over(&args),
        Command::EndOrder(args) => door::release(&args),
        Command::Failback(args) => door::failback(&args),
        Command::Maintenance(args) => door::maintenance(&args),
        Command::History(args) => door::history(&args),
        Command::Why(args) => door::why(&args),
        Command::Reload(args) => door::reload(&args),
        Command::Upgrade(args) => door::upgrade(&args),
        Command::Leave(args) => door::leave(&args),
        Command::Release(args) => release::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_arguments_of_a_command_have_one_name() {
        Cli::command().debug_assert();
    }
}
