//! `tandem run`: the daemon in the foreground.

use std::path::PathBuf;

use anyhow::Context;

use crate::core::door::default_path;
use crate::core::error::Error;
use crate::core::options::Options;
use crate::core::remember::folder;
use crate::core::{release, supervisor, worker};

use super::log::{self, Facility, Format, Logs};

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
    /// Folder in memory where it is kept what a restart must know [default: /run/tandem].
    #[arg(long, value_name = "FOLDER")]
    run_dir: Option<PathBuf>,
    /// Run without the small parent that starts the daemon anew when it dies or hangs.
    #[arg(long)]
    no_supervisor: bool,
    /// Least level that is logged: error, warn, info, debug or trace.
    #[arg(short, long, value_name = "LEVEL", default_value = "info")]
    log_level: tracing::Level,
    /// Form of the log on standard error and in --log-file: `json` has one object a line.
    #[arg(long, value_name = "FORM", value_enum, default_value = "text")]
    log_format: Format,
    /// Log to this file and not to standard error. It is opened again when somebody has put it away.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Log to syslog (/dev/log) with this facility, and not to standard error: 0-7, local0-local7, user or daemon.
    #[arg(long, value_name = "FACILITY")]
    syslog: Option<Facility>,
    /// Log to systemd's journal by its own protocol, and not to standard error. Where standard error leads to the journal
    /// already, as in a unit, that is so without this option.
    #[arg(long)]
    journal: bool,
}

/// Runs until SIGTERM or SIGINT. Returns the exit code: 0 orderly stop, 3 unreadable configuration, 1 anything
/// else.
pub fn run(args: Args) -> i32 {
    supervisor::hear_of_children();
    if !args.no_supervisor {
        supervisor::hold_signals();
    }
    let logs = Logs {
        level: args.log_level,
        format: args.log_format,
        console: args.log_file.is_none() && args.syslog.is_none() && !args.journal,
        file: args.log_file,
        syslog: args.syslog.map(|facility| (facility, "tandem")),
        journal: args.journal,
        name: "tandem",
    };
    let folder = folder(args.run_dir.as_deref()).to_owned();
    let control = args.control.unwrap_or_else(|| default_path(&folder, &args.instance));
    let options = Options {
        pid_file: args.pid,
        instance: args.instance,
        control: Some(control).filter(|path| path.as_os_str() != "off"),
        state_directory: args.state_dir,
        run_directory: args.run_dir,
        supervise: !args.no_supervisor,
        ..Options::of(args.config)
    };
    let _logging = match log::start(&logs) {
        Ok(logging) => logging,
        Err(error) => {
            eprintln!("tandem run: cannot log: {error}; see --log-file");
            // Also for this an earlier one may have left its addresses here.
            release::abandoned(&options, None);
            return 1;
        }
    };
    let result = daemon(&options);
    let unreadable = matches!(result, Err(Error::Unreadable(_)));
    match result.context("tandem run") {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            if unreadable { 3 } else { 1 }
        }
    }
}

/// Runs the daemon: the supervisor, or the worker that one has started. Returns the exit code of an orderly end.
pub(super) fn daemon(options: &Options) -> Result<i32, Error> {
    if options.supervise && !supervisor::is_worker() {
        supervisor::run(options)
    } else {
        let result = worker::run(options).map(|()| 0);
        if result.is_err() && !supervisor::is_worker() {
            // Nobody looks after this one.
            release::abandoned(options, None);
        }
        result
    }
}
