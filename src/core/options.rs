//! What the command line asks of a run.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::parts::Parts;

/// Options of `tandem run`, and of the daemon under the name keepalived.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Name of this daemon where several run in one network namespace; empty for the only one.
    pub instance: String,
    /// Where to write the process id, removed at the end.
    pub pid_file: Option<PathBuf>,
    /// keepalived's pid files, wherever the configuration wants them; `None`: only [`Options::pid_file`].
    pub pids: Option<PidFiles>,
    /// The control socket; `None` = no commands.
    pub control: Option<PathBuf>,
    /// Where overrides are kept; `None` = where the file says, else `/var/lib/tandem`.
    pub state_directory: Option<PathBuf>,
    /// Where it is kept what a restart must know, in memory; `None` = `/run/tandem`.
    pub run_directory: Option<PathBuf>,
    /// Virtual addresses, routes and rules stay at stop (keepalived's `-V`).
    pub keep_addresses: bool,
    /// The IPVS table stays at stop (keepalived's `-I`).
    pub keep_table: bool,
    /// A small parent looks after the worker: one that dies or hangs is started again. Not with keepalived's `-R`; the worker
    /// is the daemon then.
    pub supervise: bool,
    /// Which parts of the configuration run (keepalived's `-P`, `-C`, `-B`).
    pub parts: Parts,
    /// Which `@id` lines of the configuration are meant; `None` = those of this host.
    pub config_id: Option<String>,
    /// An included file that is missing is an error (keepalived's `-e`).
    pub strict_includes: bool,
    /// Mask of the files that we and our programs create, in the place of the file's `umask`.
    pub umask: Option<u16>,
    /// Log the configuration as it was understood (keepalived's `-d`).
    pub dump_config: bool,
    /// Does nothing at SIGINT (keepalived's `--ignore-sigint`).
    pub ignore_sigint: bool,
    /// One byte is written here when the pid file is there and signals are heard: whoever started us may go.
    pub started: Option<Arc<File>>,
}

/// keepalived's pid files as far as its command line names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidFiles {
    /// `-p`: the whole daemon.
    pub main: Option<PathBuf>,
    /// `-r`.
    pub vrrp: Option<PathBuf>,
    /// `-c`.
    pub checkers: Option<PathBuf>,
    /// `-b`.
    pub bfd: Option<PathBuf>,
    /// `-s`, which takes the place of the file's `net_namespace`.
    pub namespace: Option<String>,
}

impl Options {
    /// Everything at its default: all of that file, supervised, without pid file and control socket.
    pub fn of(config: PathBuf) -> Self {
        Self {
            config,
            instance: String::new(),
            pid_file: None,
            pids: None,
            control: None,
            state_directory: None,
            run_directory: None,
            keep_addresses: false,
            keep_table: false,
            supervise: true,
            parts: Parts::default(),
            config_id: None,
            strict_includes: false,
            umask: None,
            dump_config: false,
            ignore_sigint: false,
            started: None,
        }
    }
}
