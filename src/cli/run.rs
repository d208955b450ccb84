//! `tandem run`: the daemon in the foreground.

use std::path::PathBuf;

use anyhow::Context;

use crate::core::door::default_path;
use crate::core::error::Error;
use crate::core::options::Options;
use crate::core::worker;

/// Words of `tandem run`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Configuration: keepalived.conf syntax, or YAML when the name ends in .yaml or .yml.
    #[arg(short, long, value_name = "FILE", default_value = "/etc/tandem/tandem.conf")]
    config: PathBuf,
    /// Write the process id to this file.
    #[arg(short, long, value_name = "FILE")]
    pid: Option<PathBuf>,
    /// Name of this daemon, where several with different files run in one network namespace.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    instance: String,
    /// Socket that commands (`tandem drain` and the like) reach this daemon by, or `off`
    /// [default: /run/tandem/control.sock, with --instance control-NAME.sock].
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Folder where overrides of real servers are kept [default: state_directory of the file, else /var/lib/tandem].
    #[arg(long, value_name = "FOLDER")]
    state_dir: Option<PathBuf>,
    /// Least level that is logged: error, warn, info, debug or trace.
    #[arg(short, long, value_name = "LEVEL", default_value = "info")]
    log_level: tracing::Level,
}

/// Runs until SIGTERM or SIGINT. Returns the exit code: 0 orderly stop, 3 unreadable configuration, 1 anything
/// else.
pub fn run(args: Args) -> i32 {
    super::log::start(args.log_level);
    let control = args.control.unwrap_or_else(|| default_path(&args.instance));
    let options = Options {
        config: args.config,
        pid_file: args.pid,
        instance: args.instance,
        control: Some(control).filter(|path| path.as_os_str() != "off"),
        state_directory: args.state_dir,
    };
    let result = worker::run(&options);
    let unreadable = matches!(result, Err(Error::Unreadable(_)));
    match result.context("tandem run") {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error:#}");
            if unreadable { 3 } else { 1 }
        }
    }
}
