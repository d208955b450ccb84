//! The command line: one file a subcommand, all defined in one place.

use clap::{Parser, Subcommand};

pub mod check;
mod log;
pub mod plan;
pub mod run;

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
    /// Show what would change on this machine if a file were applied now.
    Plan(plan::Args),
}

/// Reads the command line, does what it says, returns the exit code (64 for a wrong command line).
pub fn main() -> i32 {
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
        Command::Plan(args) => plan::run(&args),
    }
}
