//! `reload_time_file`: watches the file, and says when the reload that it asks for is due. The wall clock counts, also after
//! somebody has set it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock;
use crate::config::model::Global;
use crate::core::timetable::{Appointment, Day, LONGEST, Zone, appointment};

/// Somebody may set the clock: an appointment is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The file and its appointment.
#[derive(Default)]
pub(super) struct Timing {
    path: Option<PathBuf>,
    /// `reload_repeat`: the file stays, and a time without a date is every day's.
    repeat: bool,
    watch: Option<Watch>,
    /// When it is due.
    at: Option<SystemTime>,
    /// What was last said of the file.
    said: String,
}

/// The folder of the file.
struct Watch {
    inotify: AsyncFd<Descriptor>,
    name: OsString,
}

/// tokio asks for the number of a descriptor, nix's value knows it.
struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// The machine's own time zone.
struct Local;

impl Zone for Local {
    fn day(&self, at: u64) -> Day {
        let parts = clock::local(UNIX_EPOCH + Duration::from_secs(at));
        (parts.year, parts.month, parts.day)
    }

    fn at(&self, (year, month, day): Day, (hour, minute, second): (u32, u32, u32)) -> Option<u64> {
        clock::of_local(&clock::Parts { year, month, day, hour, minute, second })
    }
}

impl Timing {
    /// At start and after each reload: the file is read anew. Call it on a runtime.
    pub(super) fn configure(&mut self, global: &Global) {
        let path = global.reload_time_file.as_ref().map(PathBuf::from);
        self.repeat = global.reload_repeat;
        if path != self.path {
            self.said.clear();
        }
        // Also where it is the same one: its folder may be another.
        self.watch = path.as_deref().and_then(|path| match watch(path) {
            Ok(watch) => Some(watch),
            Err(error) => {
                tracing::warn!(
                    "reload_time_file {}: its folder cannot be watched: {error}; the file is read at each reload alone",
                    path.display()
                );
                None
            }
        });
        self.path = path;
        self.read();
    }

    /// Returns when a reload is due. It may be dropped and called again.
    pub(super) async fn due(&mut self) {
        loop {
            let left = self.at.map(|at| at.duration_since(clock::wall()).unwrap_or_default());
            let Self { watch, .. } = self;
            tokio::select! {
                biased;
                // A file that has just gone asks for nothing any more.
                () = changed(watch.as_mut()) => self.read(),
                () = wait(left) => if left == Some(Duration::ZERO) && self.is_there() {
                    return;
                }
            }
        }
    }

    /// The reload begins: the file has said what it had to say.
    pub(super) fn begins(&mut self) {
        self.at = None;
        let Some(path) = self.path.as_ref() else { return };
        tracing::info!("reload_time_file {}: it is time", path.display());
        if !self.repeat
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(
                "reload_time_file {} cannot be removed: {error}; a time without a date is meant for tomorrow again",
                path.display()
            );
        }
    }

    /// It may be gone with its folder, of which nobody tells.
    fn is_there(&mut self) -> bool {
        let there = self.path.as_ref().is_some_and(|path| path.exists());
        if !there {
            self.at = None;
        }
        there
    }

    fn read(&mut self) {
        self.at = None;
        let Some(path) = &self.path else { return };
        let now = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let said = match text(path) {
            Ok(None) => String::new(),
            Ok(Some(text)) => match appointment(&text, now, &Local) {
                Ok(None) => String::new(),
                Ok(Some(Appointment::At(at))) => {
                    let at = UNIX_EPOCH + Duration::from_secs(at);
                    self.at = Some(at);
                    format!("the next reload is at {}", clock::utc(at))
                }
                Ok(Some(Appointment::Over(at))) => {
                    let at = clock::utc(UNIX_EPOCH + Duration::from_secs(at));
                    format!("{at} is over: no reload is planned")
                }
                Err(problem) => format!("{problem}; no reload is planned"),
            },
            Err(error) => format!("it cannot be read: {error}; no reload is planned"),
        };
        let path = path.display();
        if said == self.said {
            return;
        }
        if said.is_empty() {
            tracing::info!("reload_time_file {path}: it asks for no reload any more");
        } else if self.at.is_some() {
            tracing::info!("reload_time_file {path}: {said}");
        } else {
            tracing::warn!("reload_time_file {path}: {said}");
        }
        self.said = said;
    }
}

/// The beginning of the file; `None` without one.
fn text(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // To read a pipe would wait for who writes it.
        Ok(file) if !file.is_file() => return Err(io::Error::other("it is no file")),
        Ok(_) | Err(_) => {}
    }
    let mut text = Vec::new();
    File::open(path)?.take(u64::try_from(LONGEST).unwrap_or(64) * 2).read_to_end(&mut text)?;
    Ok(Some(text))
}

fn watch(path: &Path) -> io::Result<Watch> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it has no file name"))?.to_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let come = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CREATE;
    let go = AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_DELETE;
    inotify.add_watch(folder, come | go)?;
    // SAFETY: the value owns its descriptor and gives the same open one for as long as it lives.
    #[expect(unsafe_code, reason = "tokio cannot know that by itself")]
    let inotify = unsafe { AsyncFd::register_with_interest(Descriptor(inotify), Interest::READABLE) };
    Ok(Watch { inotify: inotify.map_err(io::Error::from)?, name })
}

/// Returns when something has happened to the file; never without a watch.
async fn changed(watch: Option<&mut Watch>) {
    let Some(Watch { inotify, name }) = watch else { return std::future::pending().await };
    loop {
        let Ok(mut ready) = inotify.readable_mut().await else { return std::future::pending().await };
        let mut ours = false;
        // Until there is no more: that is an error of its own. Lost ones have no name.
        while let Ok(events) = ready.get_inner().0.read_events() {
            ours |= events.iter().any(|event| event.name.as_ref().is_none_or(|of| of == name));
        }
        ready.clear_ready();
        if ours {
            return;
        }
    }
}

async fn wait(left: Option<Duration>) {
    match left {
        Some(left) => tokio::time::sleep(left.min(LOOK_EVERY)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn in_seconds(secs: u64) -> String {
        let at = clock::utc(clock::wall() + Duration::from_secs(secs));
        at.replace('T', " ")
    }

    #[tokio::test]
    async fn a_file_that_comes_changes_and_goes_is_followed() {
        let folder = std::env::temp_dir().join(format!("tandem-timing-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("when");
        let mut global = Global { reload_time_file: Some(path.display().to_string()), ..Global::default() };
        let mut timing = Timing::default();
        timing.configure(&global);
        assert!(timing.at.is_none());
        // Far off, then soon, by a file that takes its place; others in the folder mean nothing.
        fs::write(&path, in_seconds(500)).unwrap();
        fs::write(folder.join("other"), "x").unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(300), timing.due()).await.is_err());
        assert!(timing.at.is_some(), "{}", timing.said);
        fs::write(folder.join("new"), in_seconds(2)).unwrap();
        fs::rename(folder.join("new"), &path).unwrap();
        let begun = clock::now();
        tokio::time::timeout(LIMIT, timing.due()).await.expect("it is due");
        let took = clock::now() - begun;
        assert!((Duration::from_millis(900)..Duration::from_secs(10)).contains(&took), "{took:?}");
        timing.begins();
        assert!(!path.exists(), "it has said what it had to say");
        assert!(tokio::time::timeout(Duration::from_millis(100), timing.due()).await.is_err());
        // What is wrong is said, what is gone asks for nothing; with reload_repeat the file stays.
        global.reload_repeat = true;
        fs::write(&path, "soon").unwrap();
        timing.configure(&global);
        assert!(timing.at.is_none() && timing.said.contains("\"soon\" is no time"), "{}", timing.said);
        fs::write(&path, in_seconds(1)).unwrap();
        tokio::time::timeout(LIMIT, timing.due()).await.expect("it is due");
        timing.begins();
        assert!(path.exists());
        fs::write(&path, in_seconds(1)).unwrap();
        timing.read();
        fs::remove_file(&path).unwrap();
        assert!(tokio::time::timeout(Duration::from_secs(2), timing.due()).await.is_err());
        assert!(timing.at.is_none() && timing.said.is_empty());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn local_times_are_the_machine_s() {
        let now = clock::wall().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let parts = clock::local(UNIX_EPOCH + Duration::from_secs(now));
        let time = (parts.hour, parts.minute, parts.second);
        let again = Local.at(Local.day(now), time).unwrap();
        // Of an hour that the clock shows twice it may be the other one.
        assert!(again.abs_diff(now) <= 7200, "{again} {now}");
    }
}
