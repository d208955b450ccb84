//! Overrides of commands in a file, so that they outlive the daemon. A file that cannot be understood is put aside and
//! named; it never keeps the daemon from running.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use crate::config::model::{Config, RealServerOverride};

/// Where state is kept when nobody says otherwise.
const STATE_DIRECTORY: &str = "/var/lib/tandem";
/// Version of the file's form.
const VERSION: u32 = 1;

/// The file's form. Overrides are text, each for itself: one that cannot be read does not take the others along.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    overrides: Vec<String>,
}

/// The file.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    /// Number of the newest value that was written: values may arrive out of order.
    number: u64,
    /// What is there has not been read, and there is no copy of it: it is put aside before anything takes its name.
    unread: bool,
    /// The file that this one takes the place of: it goes once there is something here.
    before: Option<PathBuf>,
}

impl Keeper {
    /// The file of a daemon of that instance name (empty for the only one).
    pub fn new(directory: &Path, instance: &str) -> Self {
        let name = match instance {
            "" => "overrides.json".to_owned(),
            name => format!("overrides-{}.json", name.replace(['/', '\0'], "_")),
        };
        Self { path: directory.join(name), written: Mutex::default() }
    }

    /// The file in another folder, which takes the place of this one with the first thing that is kept; `None` where it is
    /// this one.
    pub fn moved(&self, directory: &Path, instance: &str) -> Option<Self> {
        let next = Self::new(directory, instance);
        if next.path == self.path {
            return None;
        }
        // What is there is older than what is in force; what could not be read is left to whoever can. A lock that is held
        // belongs to a disk that takes its time, and what is written was read.
        let unread = self.written.try_lock().is_ok_and(|written| written.unread);
        next.written().before = (!unread).then(|| self.path.clone());
        Some(next)
    }

    /// The folder of a daemon with that file: the command line's word, else the file's, else the usual one.
    pub fn folder<'a>(by_command: Option<&'a Path>, config: &'a Config) -> &'a Path {
        let by_file = config.global_defs.state_directory.as_deref().map(Path::new);
        by_command.or(by_file).unwrap_or(Path::new(STATE_DIRECTORY))
    }

    /// What was kept, as far as it can be read, for those who only look.
    pub fn peek(&self) -> Vec<RealServerOverride> {
        fs::read(&self.path).map_or_else(|_| Vec::new(), |text| understood(&text).0)
    }

    /// What was kept, and what is wrong with it.
    pub fn read(&self) -> (Vec<RealServerOverride>, Option<String>) {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Vec::new(), None),
            Err(error) => {
                self.written().unread = true;
                let aside = self.aside();
                let problem = format!(
                    "{} cannot be read: {error}; the first change puts it aside as {}",
                    self.path.display(),
                    aside.display()
                );
                return (Vec::new(), Some(problem));
            }
        };
        let (overrides, problem) = understood(&text);
        let Some(problem) = problem else { return (overrides, None) };
        let aside = self.aside();
        let put_aside = match fs::copy(&self.path, &aside) {
            Ok(_) => format!("it is kept as {}", aside.display()),
            Err(error) => {
                self.written().unread = true;
                format!("it cannot be copied to {}: {error}", aside.display())
            }
        };
        (overrides, Some(format!("{} is damaged: {problem}; {put_aside}", self.path.display())))
    }

    /// Keeps these overrides, unless newer ones are kept already. After a crash there is the old file or the new one,
    /// whole.
    ///
    /// # Errors
    /// The file system's, with the file's name.
    pub fn write(&self, number: u64, overrides: &[RealServerOverride]) -> Result<(), String> {
        let mut written = self.written();
        if number <= written.number {
            return Ok(());
        }
        if written.unread {
            let aside = self.aside();
            match fs::rename(&self.path, &aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let (path, aside) = (self.path.display(), aside.display());
                    return Err(format!("{path} cannot be read, nor put aside as {aside}: {error}"));
                }
                _ => written.unread = false,
            }
        }
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let result = if overrides.is_empty() && !self.path.exists() {
            // Nothing to say, and nothing to take back.
            Ok(())
        } else {
            serde_json::to_vec_pretty(&Document { version: VERSION, overrides })
                .map_err(io::Error::other)
                .and_then(|text| replace(&self.path, &text, 0o600))
        };
        result.map_err(|error| format!("{}: {error}", self.path.display()))?;
        written.number = number;
        if let Some(before) = written.before.take() {
            // Else a start with the folder of then would find it, and believe it.
            match fs::remove_file(&before) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    let (path, here) = (before.display(), self.path.display());
                    tracing::warn!(
                        "{path} cannot be removed, {here} took its place: {error}; remove it by hand"
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where a file goes that cannot be understood.
    fn aside(&self) -> PathBuf {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".damaged");
        PathBuf::from(aside)
    }
}

fn understood(text: &[u8]) -> (Vec<RealServerOverride>, Option<String>) {
    let document: Document = match serde_json::from_slice(text) {
        Ok(document) => document,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    if document.version != VERSION {
        let problem = format!("it has version {}, this Tandem knows version {VERSION}", document.version);
        return (Vec::new(), Some(problem));
    }
    let (mut overrides, mut problem) = (Vec::new(), None);
    for line in &document.overrides {
        match line.parse() {
            Ok(one) => overrides.push(one),
            Err(error) => problem = Some(format!("{line:?}: {error}")),
        }
    }
    (overrides, problem)
}

/// Puts a text in the place of a file: written beside it, on the disk before it gets the name. `mode` is that of a new
/// file; one that is there keeps its own, and its owner.
///
/// # Errors
/// The file system's.
pub fn replace(path: &Path, text: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
    // A link is followed, so that it stays one.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(name);
    let _ = fs::remove_file(&beside);
    let there = fs::metadata(path).ok();
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        if let Some(there) = &there {
            let new = file.metadata()?;
            if (new.uid(), new.gid()) != (there.uid(), there.gid()) {
                fchown(&file, Some(there.uid()), Some(there.gid()))?;
            }
            file.set_permissions(there.permissions())?;
        }
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The name, too.
        fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-kept-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn some() -> Vec<RealServerOverride> {
        vec!["TCP 10.0.0.1:80 10.1.0.1:80 drain by root(uid=0,pid=1)".parse().unwrap()]
    }

    #[test]
    fn what_is_kept_comes_back() {
        let folder = place("back");
        let keeper = Keeper::new(&folder, "two/x");
        assert_eq!(keeper.read(), (Vec::new(), None));
        keeper.write(1, &[]).unwrap();
        assert!(!folder.exists(), "nothing is said about nothing");
        keeper.write(3, &some()).unwrap();
        // One that was overtaken.
        keeper.write(2, &[]).unwrap();
        let again = Keeper::new(&folder, "two/x");
        assert_eq!(again.read(), (some(), None));
        assert_eq!(Keeper::new(&folder, "").read(), (Vec::new(), None), "another daemon's are its own");
        again.write(1, &[]).unwrap();
        assert_eq!(again.read(), (Vec::new(), None));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn another_folder_takes_the_place_of_the_first() {
        let (first, second) = (place("first"), place("second"));
        let keeper = Keeper::new(&first, "x");
        assert!(keeper.moved(&first, "x").is_none());
        keeper.write(1, &some()).unwrap();
        let moved = keeper.moved(&second, "x").unwrap();
        assert_eq!(keeper.read(), (some(), None), "not before there is something in its place");
        moved.write(2, &some()).unwrap();
        assert_eq!((moved.read(), keeper.read()), ((some(), None), (Vec::new(), None)));
        // Nothing to say, and an old file there.
        keeper.write(3, &some()).unwrap();
        let back = moved.moved(&first, "x").unwrap();
        back.write(4, &[]).unwrap();
        assert_eq!((back.read(), moved.read()), ((Vec::new(), None), (Vec::new(), None)));
        // What nobody could read is not thrown away.
        fs::create_dir_all(first.join("overrides.json")).unwrap();
        let keeper = Keeper::new(&first, "");
        assert!(keeper.read().1.is_some());
        fs::remove_dir(first.join("overrides.json")).unwrap();
        fs::write(first.join("overrides.json"), "x").unwrap();
        keeper.moved(&second, "").unwrap().write(1, &some()).unwrap();
        assert!(first.join("overrides.json").exists());
        fs::remove_dir_all(first).unwrap();
        fs::remove_dir_all(second).unwrap();
    }

    #[test]
    fn a_damaged_file_is_put_aside() {
        let folder = place("damaged");
        fs::create_dir_all(&folder).unwrap();
        let keeper = Keeper::new(&folder, "");
        let file = folder.join("overrides.json");
        for (text, left, says) in [
            ("{\"version\":1,\"overri", 0, "EOF"),
            ("", 0, "EOF"),
            ("{\"version\":2,\"overrides\":[]}", 0, "it has version 2"),
            (
                "{\"version\":1,\"overrides\":[\"TCP 10.0.0.1:80 10.1.0.1:80 drain by root(uid=0,pid=1)\",\"x\"]}",
                1,
                "is no ADDRESS:PORT",
            ),
        ] {
            fs::write(&file, text).unwrap();
            let (read, problem) = keeper.read();
            let problem = problem.unwrap();
            assert_eq!(read.len(), left, "{text}");
            assert!(problem.contains(says) && problem.contains("overrides.json is damaged"), "{problem}");
            assert_eq!(fs::read_to_string(folder.join("overrides.json.damaged")).unwrap(), text);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_not_overwritten() {
        let folder = place("unread");
        // Something that nobody can read, not even root.
        let file = folder.join("overrides.json");
        fs::create_dir_all(&file).unwrap();
        let keeper = Keeper::new(&folder, "");
        let (read, problem) = keeper.read();
        assert!(read.is_empty() && problem.unwrap().contains("cannot be read"));
        keeper.write(1, &some()).unwrap();
        assert!(folder.join("overrides.json.damaged").is_dir());
        assert_eq!(keeper.read(), (some(), None));
        keeper.write(2, &[]).unwrap();
        assert!(folder.join("overrides.json.damaged").is_dir(), "once");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_kept_is_said() {
        let folder = place("file");
        fs::write(&folder, "a file, no folder").unwrap();
        let error = Keeper::new(&folder, "").write(1, &some()).unwrap_err();
        assert!(error.contains("overrides.json"), "{error}");
        fs::remove_file(folder).unwrap();
    }
}
