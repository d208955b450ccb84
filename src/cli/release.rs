//! `tandem release`: the last resort by hand, and for a unit whose daemon never came.

use std::path::PathBuf;

use crate::core::release::{Error, Whose, run as take_off};
use crate::core::remember::folder;

/// Words of `tandem release`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Name of the daemon, where several run.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    instance: String,
    /// Whichever daemon read this file, by any name.
    #[arg(short, long, value_name = "FILE", conflicts_with = "instance")]
    config: Option<PathBuf>,
    /// Folder where that daemon kept what a restart must know [default: /run/tandem].
    #[arg(long, value_name = "FOLDER")]
    run_dir: Option<PathBuf>,
    /// Only where systemd says (SERVICE_RESULT) that the unit was skipped or has failed for good. For `ExecStopPost`.
    #[arg(long)]
    if_failed: bool,
}

/// Exit codes: 0 done, or nothing to do; 1 the kernel refuses; 2 the daemon runs.
pub fn run(args: &Args) -> i32 {
    let result = std::env::var("SERVICE_RESULT").unwrap_or_default();
    if args.if_failed && !nobody_follows(&result) {
        return 0;
    }
    let whose = args.config.as_deref().map_or(Whose::Named(&args.instance), Whose::Reading);
    match take_off(folder(args.run_dir.as_deref()), whose) {
        Ok(0) => 0,
        Ok(count) => {
            println!("{count} addresses were taken off this machine");
            0
        }
        Err(error) => {
            eprintln!("tandem release: {error}");
            if matches!(error, Error::Runs(_)) { 2 } else { 1 }
        }
    }
}

/// What systemd says of a unit whose addresses nobody looks after now. Not after a success: then all is gone, or was left on
/// purpose for a start that follows. Not after a crash: another process goes on within a second, and the peer need not hear of it.
fn nobody_follows(result: &str) -> bool {
    matches!(
        result,
        "exec-condition" | "exit-code" | "timeout" | "protocol" | "resources" | "start-limit-hit"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_and_a_crash_keep_the_addresses() {
        // systemd.exec(5), table "Defined $SERVICE_RESULT values".
        for (result, released) in [
            ("success", false),
            ("signal", false),
            ("core-dump", false),
            ("watchdog", false),
            ("oom-kill", false),
            ("", false),
            ("exec-condition", true),
            ("exit-code", true),
            ("timeout", true),
            ("protocol", true),
            ("resources", true),
            ("start-limit-hit", true),
        ] {
            assert_eq!(nobody_follows(result), released, "{result}");
        }
    }
}
