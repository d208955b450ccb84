//! The pid file: taken at start, refused while it names a living Tandem, removed at the end.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;

/// A pid file of ours; dropping it removes the file.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes our process id. A stale file does not hinder.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok())
            && pid != std::process::id()
            && is_tandem(pid)
        {
            return Err(Error::AlreadyRunning { path: path.to_owned(), pid });
        }
        if let Some(directory) = path.parent() {
            let _ = fs::create_dir_all(directory);
        }
        fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|source| Error::PidFile { path: path.to_owned(), source })?;
        Ok(Self(path.to_owned()))
    }
}

impl PidFile {
    /// The file stays: this process goes on under another program.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// True when that process lives and runs this program: a reused number is nobody's lock.
fn is_tandem(pid: u32) -> bool {
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    name(&pid.to_string()).is_some_and(|theirs| Some(theirs) == name("self"))
}
