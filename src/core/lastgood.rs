//! The configuration that is in force, kept in memory (`/run`) for the worker that takes the place of one that died. Meanwhile
//! somebody may be writing its file anew: half a file must not cost a director its services, as it would not by a reload. A
//! start by a person or a service manager reads the file alone.
//!
//! It holds passwords, as the file does: mode 0600. It is removed at an orderly end.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use super::memory;
use super::options::Options;
use super::reload::{Refusal, judge};
use super::remember;
use super::supervisor;
use crate::config::Loaded;
use crate::config::model::Config;

/// Version of the file's form.
const VERSION: u32 = 1;
/// The write waits for what is more urgent after a start or a reload.
const REST: Duration = Duration::from_secs(1);

/// What is read.
#[derive(Debug, Deserialize)]
struct Document {
    version: u32,
    /// Process that stands for the daemon whose configuration it is.
    daemon: u32,
    /// The file that it came from.
    file: PathBuf,
    base: Config,
    bare: Option<Config>,
}

/// The same as it is written: nothing is copied.
#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    daemon: u32,
    file: &'a Path,
    base: &'a Config,
    bare: Option<&'a Config>,
}

/// What goes on in the place of a file that cannot: the configuration, and the same without overrides of its own file.
#[derive(Debug)]
pub(super) struct Kept {
    base: Config,
    bare: Option<Config>,
}

/// Whether the kept configuration goes on, and why: a reload would have refused the file. A configuration that is not kept
/// cannot.
fn refused(kept: Option<&Kept>, loaded: &Loaded) -> Option<Refusal> {
    judge(&kept?.base, loaded).err()
}

/// Where that of the daemon of this name is.
fn place(options: &Options, called: &str) -> PathBuf {
    let name = match called {
        "" => "config.json".to_owned(),
        name => format!("config-{}.json", name.replace(['/', '\0'], "_")),
    };
    remember::folder(options.run_directory.as_deref()).join(name)
}

/// The file as a worker reads it, or what was in force before where it has become a file that a reload would refuse. Only for
/// a worker that takes the place of another one (`again`).
pub(super) fn or_last_good(
    options: &Options,
    again: bool,
    (loaded, bare): (Loaded, Option<Config>),
) -> (Loaded, Option<Config>) {
    // A good file is not compared with what is kept: that may be large, and would be read at each restart.
    let idle = loaded.config.vrrp_instance.is_empty() && loaded.config.virtual_server.is_empty();
    if !again || !(idle || judge(&Config::default(), &loaded).is_err()) {
        return (loaded, bare);
    }
    // The file cannot be asked for its name.
    let called = supervisor::named_before().unwrap_or_else(|| options.instance.clone());
    let kept = read(options, &called);
    let Some(refusal) = refused(kept.as_ref(), &loaded) else { return (loaded, bare) };
    let Some(kept) = kept else { return (loaded, bare) };
    let path = options.config.display();
    tracing::error!(
        "{path} is not what this daemon ran by, and a reload would refuse it: {refusal}. Going on with the configuration \
         that was in force before the restart; mend the file (tandem check {path}), then reload"
    );
    (Loaded { config: kept.base, diagnostics: Vec::new(), readable: true }, kept.bare)
}

/// What is kept of this daemon and this file; what is damaged is told and counts for nothing.
fn read(options: &Options, called: &str) -> Option<Kept> {
    let path = place(options, called);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) => {
            tracing::warn!("{} cannot be read, so that the file alone counts: {error}", path.display());
            return None;
        }
    };
    let document: Document = match serde_json::from_slice(&text) {
        Ok(document) => document,
        Err(error) => {
            tracing::error!("{} is damaged, so that the file alone counts: {error}", path.display());
            return None;
        }
    };
    let ours = document.version == VERSION
        && document.daemon == supervisor::daemon_pid()
        && document.file == options.config;
    ours.then_some(Kept { base: document.base, bare: document.bare })
}

fn write(path: &Path, document: &Written<'_>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("json.new");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&beside)?;
    let mut out = BufWriter::new(file);
    serde_json::to_writer(&mut out, document)?;
    out.flush()?;
    drop(out);
    fs::rename(&beside, path)
}

/// Who keeps it.
#[derive(Debug)]
pub(super) struct LastGood {
    path: PathBuf,
    file: PathBuf,
    /// Without a supervisor nobody takes our place, and without a board what lies there is another daemon's.
    wanted: bool,
    /// True once nothing is to be kept any more; held while it is written.
    over: Arc<Mutex<bool>>,
    task: Option<JoinHandle<()>>,
}

impl LastGood {
    /// Of the daemon with these options.
    pub(super) fn new(options: &Options, wanted: bool) -> Self {
        let file = options.config.clone();
        Self { path: place(options, &options.instance), file, wanted, over: Arc::default(), task: None }
    }

    /// This configuration is in force. Call it on a runtime; it is written a little later, elsewhere.
    pub(super) fn keep(&mut self, base: Arc<Config>, bare: Option<Arc<Config>>) {
        if !self.wanted {
            return;
        }
        // Overtaken before it was written.
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let (path, file, over) = (self.path.clone(), self.file.clone(), Arc::clone(&self.over));
        self.task = Some(tokio::spawn(async move {
            tokio::time::sleep(REST).await;
            let write = move || {
                let over = over.lock().unwrap_or_else(PoisonError::into_inner);
                if *over {
                    return;
                }
                let (base, bare) = (&*base, bare.as_deref());
                let daemon = supervisor::daemon_pid();
                let document = Written { version: VERSION, daemon, file: &file, base, bare };
                if let Err(error) = write(&path, &document) {
                    tracing::warn!(
                        "{}: {error}; after a crash this daemon goes by its file alone, whatever state that is in",
                        path.display()
                    );
                }
                drop(over);
                memory::give_back();
            };
            let _ = tokio::task::spawn_blocking(write).await;
        }));
    }

    /// An orderly end leaves nothing.
    pub(super) fn forget(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if self.wanted {
            *self.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::resolve::Facts;

    const GOOD: &str = "vrrp_instance A {\n interface eth0\n virtual_router_id 7\n authentication {\n  auth_type PASS\n \
        auth_pass secret\n }\n virtual_ipaddress { 10.0.0.1 }\n}\nvirtual_server 10.0.0.1 80 {\n protocol TCP\n \
        real_server 10.0.0.2 80 { TCP_CHECK { connect_timeout 2.5 } }\n}\n";

    fn load(text: &str) -> Loaded {
        config::load_text(Path::new("x.conf"), text.as_bytes(), &Facts::default())
    }

    fn options(name: &str) -> Options {
        let folder = std::env::temp_dir().join(format!("tandem-good-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        Options { run_directory: Some(folder), ..Options::of("x.conf".into()) }
    }

    async fn kept(options: &Options, text: &str) -> LastGood {
        let mut keeper = LastGood::new(options, true);
        let config = Arc::new(load(text).config);
        keeper.keep(Arc::clone(&config), Some(config));
        keeper.task.as_mut().expect("a task").await.expect("no panic");
        keeper
    }

    #[tokio::test]
    async fn a_broken_file_has_a_stand_in_at_a_restart_alone() {
        let options = options("broken");
        let mut keeper = kept(&options, GOOD).await;
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(place(&options, "")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600, "it holds passwords");
        let good = load(GOOD).config;
        let unreadable = Loaded { readable: false, ..load("") };
        let half = load(&GOOD[..GOOD.len() / 2]);
        let elsewhere = load(&format!("net_namespace red\n{GOOD}"));
        let another = load(&GOOD.replace("10.0.0.2", "10.0.0.3"));
        // (the file now, whether it is a restart, whether what was in force goes on)
        for (name, now, again, stands_in) in [
            ("gone", &unreadable, true, true),
            ("half", &half, true, true),
            ("empty", &load(""), true, true),
            ("elsewhere", &elsewhere, true, true),
            ("another good one", &another, true, false),
            ("the same", &load(GOOD), true, false),
            ("half, at a start", &half, false, false),
            ("gone, at a start", &unreadable, false, false),
        ] {
            let (loaded, bare) = or_last_good(&options, again, (now.clone(), None));
            assert_eq!(bare.is_some(), stands_in, "{name}");
            let wanted = if stands_in { &good } else { &now.config };
            assert!(loaded.config == *wanted, "{name}: {:#?}", loaded.config);
            assert_eq!(loaded.readable, stands_in || now.readable, "{name}");
        }
        // Of another file, or damaged, it counts for nothing.
        let other = Options { config: "y.conf".into(), ..options.clone() };
        assert!(!or_last_good(&other, true, (unreadable.clone(), None)).0.readable);
        fs::write(place(&options, ""), "{\"version\":1").unwrap();
        assert!(!or_last_good(&options, true, (unreadable.clone(), None)).0.readable);
        keeper.forget();
        assert!(!place(&options, "").exists(), "an orderly end leaves nothing");
        assert!(!or_last_good(&options, true, (unreadable, None)).0.readable);
        fs::remove_dir_all(options.run_directory.unwrap()).unwrap();
    }

    #[tokio::test]
    async fn nobody_keeps_what_nobody_will_read() {
        let options = options("alone");
        let mut keeper = LastGood::new(&options, false);
        keeper.keep(Arc::default(), None);
        assert!(keeper.task.is_none());
        keeper.forget();
        assert!(!options.run_directory.unwrap().exists());
    }

    /// Whatever a file can say comes back.
    #[test]
    fn every_example_survives_its_form() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap().flatten() {
            for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                let path = file.path();
                if path.extension().is_none_or(|extension| extension != "conf" && extension != "yaml") {
                    continue;
                }
                let config = config::load(&path, &Facts::default()).config;
                let text = serde_json::to_vec(&config).unwrap();
                let again: Config = serde_json::from_slice(&text).unwrap();
                assert!(again == config, "{}", path.display());
                count += 1;
            }
        }
        assert!(count > 20, "only {count} files");
    }
}
