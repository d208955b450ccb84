//! Pid files: taken at start, refused while they name a living Tandem, removed at the end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::options::PidFiles;
use crate::config::model::Config;

/// A pid file of ours; dropping it removes the file. `None`: the disk did not take it.
#[derive(Debug)]
pub(super) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes our process id into the file of a part; whether we may run is decided by the file of the whole.
    pub(super) fn write(path: &Path) -> Result<Self, Error> {
        Self::write_as(path, std::process::id())
    }

    fn write_as(path: &Path, pid: u32) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            let _ = fs::create_dir_all(directory);
        }
        match fs::write(path, format!("{pid}\n")) {
            Ok(()) => Ok(Self(Some(path.to_owned()))),
            Err(error) if is_full(&error) => {
                // Without a number in it, it names nobody.
                let _ = fs::remove_file(path);
                tracing::error!(
                    "no pid file {}: {error}; the daemon runs without, and whoever looks for it there finds nobody: free or \
                     mend that disk, then start it again",
                    path.display()
                );
                Ok(Self(None))
            }
            Err(source) => Err(Error::PidFile { path: path.to_owned(), source }),
        }
    }

    /// Writes our process id. A stale file does not hinder.
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        Self::take_for(path, std::process::id())
    }

    /// The same with the process id of our supervisor.
    pub(super) fn take_for(path: &Path, whole: u32) -> Result<Self, Error> {
        if let Some(pid) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok())
            && pid != whole
            && is_tandem(pid)
        {
            return Err(Error::AlreadyRunning { path: path.to_owned(), pid });
        }
        Self::write_as(path, whole)
    }

    /// The file stays: this process goes on under another program.
    pub(super) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// A disk that takes nothing is no reason to serve nobody; a wrong path is a mistake that somebody shall mend.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | ReadOnlyFilesystem | QuotaExceeded)
}

/// True when that process lives and runs this program: a reused number is nobody's lock.
fn is_tandem(pid: u32) -> bool {
    let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    name(&pid.to_string()).is_some_and(|theirs| Some(theirs) == name("self"))
}

/// Where keepalived's pid files of this configuration are: the one of the whole daemon, and those of the parts that have
/// something to do. Debian's 2.2.7 has `keepalived.pid`, `vrrp.pid`, `checkers.pid` and `bfd.pid` in `/run`; in
/// `/run/keepalived` with `use_pid_dir` or a name (`instance`), below that with a namespace.
pub(super) fn places(config: &Config, said: &PidFiles) -> (PathBuf, Vec<PathBuf>) {
    let mut folder = PathBuf::from("/run");
    let namespace = said.namespace.as_ref().or(config.net_namespace.as_ref());
    if config.use_pid_dir || config.instance.is_some() || namespace.is_some() {
        folder.push("keepalived");
    }
    if let Some(namespace) = namespace {
        folder.push(namespace);
    }
    let infix = config.instance.as_ref().map(|name| format!("_{name}")).unwrap_or_default();
    let place = |own: &Option<PathBuf>, name: &str| {
        own.clone().unwrap_or_else(|| folder.join(format!("{name}{infix}.pid")))
    };
    let vrrp = !config.vrrp_instance.is_empty() || !config.static_ipaddress.is_empty();
    let parts = [
        (vrrp, &said.vrrp, "vrrp"),
        (!config.virtual_server.is_empty(), &said.checkers, "checkers"),
        (!config.bfd_instance.is_empty(), &said.bfd, "bfd"),
    ];
    let parts = parts.into_iter().filter(|(runs, ..)| *runs).map(|(_, own, name)| place(own, name));
    (place(&said.main, "keepalived"), parts.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::BfdInstance;

    #[test]
    fn a_full_disk_costs_the_file_and_not_the_daemon() {
        for (error, wanted) in
            [(libc::ENOSPC, true), (libc::EROFS, true), (libc::EDQUOT, true), (libc::EACCES, false)]
        {
            assert_eq!(is_full(&io::Error::from_raw_os_error(error)), wanted, "{error}");
        }
        let missing = Path::new("/proc/no-such-folder/pid");
        assert!(matches!(PidFile::take(missing), Err(Error::PidFile { .. })), "a wrong path is said");
    }

    #[test]
    fn places_are_debian_s() {
        let text = "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress { 10.0.0.1 }\n}\n\
                    bfd_instance b { neighbor_ip 10.0.0.9 }\n";
        let path = Path::new("x.conf");
        let mut config =
            crate::config::load_text(path, text.as_bytes(), &crate::config::resolve::Facts::default()).config;
        let of = |config: &Config, said: &PidFiles| {
            let (main, parts) = places(config, said);
            let show = |path: &PathBuf| path.display().to_string();
            std::iter::once(show(&main)).chain(parts.iter().map(show)).collect::<Vec<_>>().join(" ")
        };
        let plain = PidFiles::default();
        assert_eq!(of(&config, &plain), "/run/keepalived.pid /run/vrrp.pid /run/bfd.pid");
        let said = PidFiles { main: Some("/x/p".into()), vrrp: Some("/x/r".into()), ..PidFiles::default() };
        assert_eq!(of(&config, &said), "/x/p /x/r /run/bfd.pid");
        let namespace = PidFiles { namespace: Some("red".to_owned()), ..PidFiles::default() };
        assert_eq!(
            of(&config, &namespace),
            "/run/keepalived/red/keepalived.pid /run/keepalived/red/vrrp.pid /run/keepalived/red/bfd.pid"
        );
        config.bfd_instance = Vec::<BfdInstance>::new();
        config.use_pid_dir = true;
        assert_eq!(of(&config, &plain), "/run/keepalived/keepalived.pid /run/keepalived/vrrp.pid");
        config.instance = Some("one".to_owned());
        assert_eq!(of(&config, &plain), "/run/keepalived/keepalived_one.pid /run/keepalived/vrrp_one.pid");
    }
}
