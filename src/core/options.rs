//! What the command line asks of a run.

use std::path::PathBuf;

/// Options of `tandem run`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Where to write the process id, removed at the end.
    pub pid_file: Option<PathBuf>,
}
