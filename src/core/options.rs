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
}
