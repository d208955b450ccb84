//! What the command line asks of a run.

use std::path::PathBuf;

/// Options of `tandem run`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Name of this daemon where several run in one network namespace; empty for the only one.
    pub instance: String,
    /// Where to write the process id, removed at the end.
    pub pid_file: Option<PathBuf>,
    /// The control socket; `None` = no commands.
    pub control: Option<PathBuf>,
    /// Where overrides are kept; `None` = where the file says, else `/var/lib/tandem`.
    pub state_directory: Option<PathBuf>,
    /// Where it is kept what a restart must know, in memory; `None` = `/run/tandem`.
    pub run_directory: Option<PathBuf>,
    /// A small parent looks after the worker. Without it the worker is the daemon.
    pub supervise: bool,
    /// Addresses, routes and rules stay at an orderly stop.
    pub keep_addresses: bool,
    /// The IPVS table stays at an orderly stop.
    pub keep_table: bool,
}
