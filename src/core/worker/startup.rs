//! What a start under the name keepalived asks for besides.

use std::io::Write as _;
use std::path::PathBuf;

use crate::board;
use crate::config::model::{Config, Global};
use crate::config::{self, Loaded};
use crate::core::door::default_path;
use crate::core::error::Error;
use crate::core::lifeline::Line;
use crate::core::name::Name;
use crate::core::options::Options;
use crate::core::pidfile::{Held, PidFile};
use crate::core::recall::Home;
use crate::core::secrets::masked;
use crate::core::{release, remember, supervisor};

/// What the daemon is called once its file has been read: its options under that name, and where all that it remembers
/// belongs. Call it in the network namespace of the daemon.
pub(super) fn named(options: &Options, config: &Config) -> (Options, Home) {
    let namespace = options.pids.as_ref().and_then(|pids| pids.namespace.as_ref());
    let namespace = namespace.or(config.net_namespace.as_ref());
    let name = Name::of(&options.instance, namespace.map(String::as_str), config.instance.as_deref());
    let mut options = options.clone();
    if options.pids.is_some() && options.control.is_some() {
        // keepalived's command line cannot say where. (That of `tandem run` does: its clients go by it.)
        let folder = remember::folder(options.run_directory.as_deref());
        options.control = Some(default_path(folder, &name.whole));
    }
    options.instance = name.whole;
    let config = release::file_name(&options.config);
    (options, Home { space: board::space(), namespace: namespace.cloned(), lock: name.lock, config })
}

/// What the command line says of a configuration that could be read.
pub(super) fn may_run(options: &Options, loaded: &Loaded) -> Result<(), Error> {
    if options.strict_includes && loaded.diagnostics.iter().any(|finding| finding.code == "include-missing") {
        return Err(Error::IncludeMissing);
    }
    if options.dump_config {
        match config::to_conf(&masked(&loaded.config, "XXXXXX")) {
            Ok(text) => text.lines().for_each(|line| tracing::info!("{line}")),
            Err(why) => {
                tracing::warn!("the configuration cannot be shown as keepalived.conf: {}", why.join("; "));
            }
        }
    }
    Ok(())
}

/// Takes the pid files, and tells whoever waits for us that we run.
pub(super) fn pid_files(options: &Options, config: &Config, line: &Line) -> Result<Held, Error> {
    // Signals go to the supervisor, where there is one: it is what the file of the whole names.
    let supervised = supervisor::is_worker();
    let whole = supervisor::daemon_pid();
    let files = match &options.pids {
        // The supervisor has written it.
        None if supervised => Held::default(),
        None => Held::whole(options.pid_file.as_deref().map(PidFile::take).transpose()?),
        Some(said) => Held::take(config, said, whole)?,
    };
    files.paths().for_each(|path| line.file(path));
    if let Some(started) = &options.started {
        // Whoever started us may have gone.
        let _ = (&**started).write_all(&[0]);
    }
    Ok(files)
}

/// Gives the process and its threads the names that the file asks for: what `ps -L` and `top -H` show. Nothing depends on
/// them, so that a system without `/proc` goes on under the usual ones. False: a thread has not begun yet (each names itself
/// when it first runs), and it is to be tried again.
pub(super) fn name_threads(config: &Config) -> bool {
    let global = &config.global_defs;
    let parts = global.process_names == Some(true);
    let wanted = |own: &Option<String>, name: &str| own.clone().or_else(|| parts.then(|| name.to_owned()));
    let names = [
        ("vrrp", wanted(&global.vrrp_process_name, "keepalived_vrrp")),
        ("check", wanted(&global.checker_process_name, "keepalived_lvs")),
        (
            "bfd",
            wanted(&global.bfd_process_name, "keepalived_bfd").filter(|_| !config.bfd_instance.is_empty()),
        ),
    ];
    if let Some(name) = &global.process_name {
        let _ = std::fs::write("/proc/self/comm", name);
    }
    let mut missing: Vec<(&str, &String)> =
        names.iter().filter_map(|(of, wanted)| Some((*of, wanted.as_ref()?))).collect();
    if missing.is_empty() {
        return true;
    }
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return true };
    for thread in threads.flatten() {
        let comm = thread.path().join("comm");
        let name = std::fs::read_to_string(&comm).unwrap_or_default();
        if let Some(at) = missing.iter().position(|(of, _)| *of == name.trim_end()) {
            let (_, wanted) = missing.swap_remove(at);
            let _ = std::fs::write(comm, wanted);
        }
    }
    missing.is_empty()
}

/// `reload_file`: there as long as a reload is under way.
pub(super) struct ReloadFile(PathBuf);

impl ReloadFile {
    /// Makes it, where the configuration in force asks for one.
    pub(super) fn make(global: &Global) -> Option<Self> {
        let path = match global.reload_file.as_deref()? {
            "" => "/run/keepalived.reload",
            path => path,
        };
        match std::fs::write(path, "") {
            Ok(()) => Some(Self(path.into())),
            Err(error) => {
                tracing::warn!("reload_file {path} cannot be made: {error}");
                None
            }
        }
    }
}

impl Drop for ReloadFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reload_file_is_there_for_as_long_as_it_is_held() {
        let path = std::env::temp_dir().join(format!("tandem-reload-{}", std::process::id()));
        let mut global = Global::default();
        assert!(ReloadFile::make(&global).is_none());
        global.reload_file = Some(path.display().to_string());
        let held = ReloadFile::make(&global);
        assert!(held.is_some() && path.exists());
        drop(held);
        assert!(!path.exists());
        global.reload_file = Some("/nowhere/at/all".to_owned());
        assert!(ReloadFile::make(&global).is_none(), "a reload goes on without it");
    }
}
