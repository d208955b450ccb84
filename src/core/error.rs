//! Why the daemon did not run, or ended.

use std::io;
use std::path::PathBuf;

use crate::vrrp::driver::StartError;

/// Why the daemon did not run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read at all.
    #[error("cannot read {0}: nothing to run; see the messages above")]
    Unreadable(PathBuf),
    /// A file that an `include` names is missing, and the command line asks for all of them.
    #[error("an included file is missing (see the messages above), and --all-config wants every one")]
    IncludeMissing,
    /// The pid file belongs to a living process.
    #[error("{path} names the running process {pid}: stop that one first, or give another --pid")]
    AlreadyRunning {
        /// The pid file.
        path: PathBuf,
        /// Who it names.
        pid: u32,
    },
    /// Another Tandem runs in this network namespace.
    #[error(
        "another Tandem (pid {pid}) runs in this network namespace: stop it first, or give one of them --instance NAME"
    )]
    InNamespace {
        /// Its process id, as far as it is known.
        pid: String,
    },
    /// The pid file cannot be written.
    #[error("cannot write the pid file {path}: {source}")]
    PidFile {
        /// The pid file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A thread, runtime or signal handler could not be made.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// `net_namespace` cannot be entered.
    #[error(transparent)]
    Namespace(#[from] crate::net::space::Error),
    /// The kernel's interfaces could not be read.
    #[error("cannot read the interfaces of this machine: {0}")]
    Net(#[from] crate::net::Error),
    /// The vrrp thread could not start.
    #[error(transparent)]
    Vrrp(#[from] StartError),
    /// The bfd thread could not start.
    #[error(transparent)]
    Bfd(#[from] crate::bfd::driver::StartError),
    /// Another thread ended by itself.
    #[error("the {0} thread ended unexpectedly: this is a defect of Tandem, please report it with the log")]
    ThreadDied(&'static str),
    /// The vrrp thread ended by itself.
    #[error("the vrrp thread ended unexpectedly: leaving, so that the peer can take over")]
    VrrpDied,
}
