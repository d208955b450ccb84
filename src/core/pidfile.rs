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

/// Removes the file of a daemon that has ended, where it still names one of its processes.
pub(super) fn remove(path: &Path, ours: &[u32]) {
    let named = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if named.is_some_and(|pid| ours.contains(&pid)) {
        let _ = fs::remove_file(path);
    }
}

/// Where keepalived's pid files are. Debian's 2.2.7 has `keepalived.pid`, `vrrp.pid`, `checkers.pid` and `bfd.pid` in `/run`; in
/// `/run/keepalived` with `use_pid_dir` or a name (`instance`), below that with a namespace. None of these words changes at a
/// reload.
#[derive(Clone, Debug)]
pub(super) struct Places {
    said: PidFiles,
    folder: PathBuf,
    infix: String,
}

impl Places {
    /// The places of the configuration at the start.
    pub(super) fn of(config: &Config, said: &PidFiles) -> Self {
        let mut folder = PathBuf::from("/run");
        let namespace = said.namespace.as_ref().or(config.net_namespace.as_ref());
        if config.use_pid_dir || config.instance.is_some() || namespace.is_some() {
            folder.push("keepalived");
        }
        if let Some(namespace) = namespace {
            folder.push(namespace);
        }
        let infix = config.instance.as_ref().map(|name| format!("_{name}")).unwrap_or_default();
        Self { said: said.clone(), folder, infix }
    }

    fn place(&self, own: Option<&PathBuf>, name: &str) -> PathBuf {
        own.cloned().unwrap_or_else(|| self.folder.join(format!("{name}{}.pid", self.infix)))
    }

    /// The file of the whole daemon.
    pub(super) fn main(&self) -> PathBuf {
        self.place(self.said.main.as_ref(), "keepalived")
    }

    /// Those of the parts that have something to do in this configuration.
    pub(super) fn parts(&self, config: &Config) -> Vec<PathBuf> {
        let vrrp = !config.vrrp_instance.is_empty() || !config.static_ipaddress.is_empty();
        let parts = [
            (vrrp, &self.said.vrrp, "vrrp"),
            (!config.virtual_server.is_empty(), &self.said.checkers, "checkers"),
            (!config.bfd_instance.is_empty(), &self.said.bfd, "bfd"),
        ];
        let parts = parts.into_iter().filter(|(runs, ..)| *runs);
        parts.map(|(_, own, name)| self.place(own.as_ref(), name)).collect()
    }
}

/// The pid files of a daemon that runs; dropping them removes them.
#[derive(Debug, Default)]
pub(super) struct Held {
    whole: Option<PidFile>,
    parts: Vec<PidFile>,
    places: Option<Places>,
}

impl Held {
    /// That of the whole alone, as `tandem run` has it.
    pub(super) fn whole(file: Option<PidFile>) -> Self {
        Self { whole: file, ..Self::default() }
    }

    /// keepalived's: that of the whole names the process `whole`.
    ///
    /// # Errors
    /// Another daemon has it, or one cannot be written.
    pub(super) fn take(config: &Config, said: &PidFiles, whole: u32) -> Result<Self, Error> {
        let places = Places::of(config, said);
        let main = PidFile::take_for(&places.main(), whole)?;
        let parts = places.parts(config).into_iter().map(|path| PidFile::write(&path));
        let parts = parts.collect::<Result<_, _>>()?;
        Ok(Self { whole: Some(main), parts, places: Some(places) })
    }

    /// The parts of another configuration: files come and go with what there is to do.
    ///
    /// # Errors
    /// What could not be written; all else is done.
    pub(super) fn follow(&mut self, config: &Config) -> Vec<Error> {
        let wanted = self.places.as_ref().map(|places| places.parts(config)).unwrap_or_default();
        // One that could not be written is tried again.
        self.parts.retain(|file| file.0.as_ref().is_some_and(|path| wanted.contains(path)));
        let mut errors = Vec::new();
        for path in wanted {
            if !self.parts.iter().any(|file| file.0.as_ref() == Some(&path)) {
                match PidFile::write(&path) {
                    Ok(file) => self.parts.push(file),
                    Err(error) => errors.push(error),
                }
            }
        }
        errors
    }

    /// The files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.whole.iter().chain(&self.parts).filter_map(|file| file.0.as_deref())
    }
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
            let places = Places::of(config, said);
            let show = |path: &PathBuf| path.display().to_string();
            let parts = places.parts(config);
            std::iter::once(show(&places.main())).chain(parts.iter().map(show)).collect::<Vec<_>>().join(" ")
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

    #[test]
    fn files_come_and_go_with_what_there_is_to_do() {
        let folder = std::env::temp_dir().join(format!("tandem-pidfiles-{}", std::process::id()));
        let at = |name: &str| folder.join(name);
        let load = |text: &str| {
            let facts = crate::config::resolve::Facts::default();
            crate::config::load_text(Path::new("x.conf"), text.as_bytes(), &facts).config
        };
        let said = PidFiles {
            main: Some(at("p")),
            vrrp: Some(at("r")),
            checkers: Some(at("c")),
            ..PidFiles::default()
        };
        let server = "virtual_server 10.0.0.1 80 {\n protocol TCP\n real_server 10.0.0.2 80 {\n }\n}\n";
        let instance =
            "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n virtual_ipaddress { 10.0.0.1 }\n}\n";
        let there = || ["p", "r", "c"].into_iter().filter(|name| at(name).exists()).collect::<String>();
        let mut held = Held::take(&load(instance), &said, 4711).unwrap();
        assert_eq!(there(), "pr");
        assert!(held.follow(&load(&format!("{instance}{server}"))).is_empty());
        assert_eq!(there(), "prc");
        assert!(held.follow(&load(server)).is_empty());
        assert_eq!(there(), "pc");
        assert_eq!(held.paths().count(), 2);
        std::mem::forget(held);
        // Killed for good: who looked after it takes away what names it, and nothing else.
        remove(&at("p"), &[1, 2]);
        assert_eq!(there(), "pc");
        remove(&at("p"), &[4711]);
        remove(&at("c"), &[1, std::process::id()]);
        assert_eq!(there(), "");
        fs::remove_dir_all(folder).unwrap();
    }
}
