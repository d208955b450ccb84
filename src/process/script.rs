//! What is wrong with a script's file, before it is run: missing, not executable, or in reach of others than root.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::RunAs;

/// Symbolic links followed in one path before it counts as a loop (the kernel's own limit).
const LINKS: usize = 40;
/// Where execvp(3) looks without a PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What is wrong with a script's file. Displays as a sentence; [`Problem::cure`] says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// There is no word at all.
    #[error("there is no program to run")]
    Empty,
    /// A word without a slash that no directory of PATH has.
    #[error("{0} is in no directory of PATH")]
    NotInPath(String),
    /// No such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A directory, a socket, a device.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// Its mode does not let that user execute it.
    #[error("{} may not be executed by {user}", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Who would run it.
        user: String,
    },
    /// A directory above it does not let that user through.
    #[error("{} does not let {user} through to what is in it", .directory.display())]
    Closed {
        /// The directory.
        directory: PathBuf,
        /// Who would run it.
        user: String,
    },
    /// It would run as root, and others than root can change it or replace it.
    #[error("{} would run as root, but others than root can change {}", .script.display(), .open.display())]
    Writable {
        /// The script as it was named.
        script: PathBuf,
        /// The file, directory or link that is open to others.
        open: PathBuf,
    },
    /// The file system did not answer.
    #[error("cannot look at {}: {words}", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The system's words.
        words: String,
    },
}

impl Problem {
    /// What to do about it.
    pub fn cure(&self) -> String {
        match self {
            Self::Empty => "name a program".to_owned(),
            Self::NotInPath(_) => "install it, or write its whole path".to_owned(),
            Self::Missing(_) => "install it, or mend its path".to_owned(),
            Self::NotAFile(_) => "name the program itself".to_owned(),
            Self::NotExecutable { path, user } => {
                format!("chmod +x {}, or run it as another user than {user}", path.display())
            }
            Self::Closed { directory, .. } => {
                format!("chmod a+x {}, or move the script", directory.display())
            }
            Self::Writable { open, .. } => format!("chown root:root {0}; chmod go-w {0}", open.display()),
            Self::Unknown { .. } => "mend the file system".to_owned(),
        }
    }
}

/// Looks at the file that a command's first word means, for the user who would run it (`None` = as the daemon). With
/// `security` a file that would run as root must be out of everybody else's reach, with every directory and link on
/// the way to it (keepalived's `enable_script_security`). Access lists beyond the mode bits are not looked at.
pub fn script_check(argv0: &str, run_as: Option<&RunAs>, security: bool) -> Result<(), Problem> {
    let path = locate(argv0)?;
    let steps = steps(&path)?;
    let Some((file, directories)) = steps.split_last() else { return Err(Problem::NotAFile(path)) };
    if !file.meta.is_file() {
        return Err(Problem::NotAFile(file.path.clone()));
    }
    let who = Who::of(run_as);
    if let Some(closed) = directories.iter().find(|d| d.meta.is_dir() && !who.may_execute(&d.meta)) {
        return Err(Problem::Closed { directory: closed.path.clone(), user: who.name });
    }
    if !who.may_execute(&file.meta) {
        return Err(Problem::NotExecutable { path: file.path.clone(), user: who.name });
    }
    if security
        && who.uid == 0
        && let Some(open) = steps.iter().find(|step| step.open())
    {
        return Err(Problem::Writable { script: path, open: open.path.clone() });
    }
    Ok(())
}

/// The file that a first word means: as execvp(3) finds it, through PATH unless it has a slash.
fn locate(word: &str) -> Result<PathBuf, Problem> {
    if word.is_empty() {
        return Err(Problem::Empty);
    }
    if word.contains('/') {
        return std::path::absolute(word).map_err(|error| unknown(Path::new(word), &error));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .map(|directory| directory.join(word))
        .find(|candidate| candidate.is_file())
        .and_then(|found| std::path::absolute(found).ok())
        .ok_or_else(|| Problem::NotInPath(word.to_owned()))
}

/// The files that execvp(3) tries for a program's first word, in order: the word itself when it has a slash, else one a
/// directory of that PATH (`None`: the program's environment has none).
pub(super) fn candidates(word: &str, path: Option<&OsStr>) -> Vec<PathBuf> {
    if word.contains('/') {
        return vec![PathBuf::from(word)];
    }
    let directories = std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH)));
    directories.map(|directory| directory.join(word)).collect()
}

/// One directory, link or file on the way to a file.
struct Step {
    path: PathBuf,
    meta: Metadata,
    /// It is in a directory like /tmp: others may create there, and change what is their own.
    in_sticky: bool,
}

impl Step {
    /// Can others than root change it, or put something else in its place?
    fn open(&self) -> bool {
        let (mode, owner, group) = (self.meta.mode(), self.meta.uid(), self.meta.gid());
        if self.meta.is_symlink() {
            // A link's own mode says nothing; who owns it can replace it where others may create.
            return self.in_sticky && owner != 0;
        }
        if owner != 0 {
            return true;
        }
        is_shared(mode, group) && !(self.meta.is_dir() && is_sticky(mode))
    }
}

const fn is_shared(mode: u32, group: u32) -> bool {
    mode & 0o002 != 0 || (mode & 0o020 != 0 && group != 0)
}

const fn is_sticky(mode: u32) -> bool {
    mode & 0o1000 != 0
}

/// All steps from the root to a file, links followed; the file is the last one.
fn steps(path: &Path) -> Result<Vec<Step>, Problem> {
    let look = |path: &Path| {
        fs::symlink_metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                Problem::Missing(path.to_owned())
            }
            _ => unknown(path, &error),
        })
    };
    let mut todo: VecDeque<OsString> = words(path).into();
    let mut at = PathBuf::from("/");
    let mut steps = vec![Step { path: at.clone(), meta: look(&at)?, in_sticky: false }];
    let mut links = 0;
    while let Some(word) = todo.pop_front() {
        if word == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&word);
        let meta = look(&next)?;
        let above = look(&at)?;
        let in_sticky = is_sticky(above.mode()) && is_shared(above.mode(), above.gid());
        let is_link = meta.is_symlink();
        steps.push(Step { path: next.clone(), meta, in_sticky });
        if !is_link {
            at = next;
            continue;
        }
        links += 1;
        let target = fs::read_link(&next).map_err(|error| unknown(&next, &error))?;
        if links > LINKS {
            return Err(Problem::Unknown {
                path: path.to_owned(),
                words: "its links go in a circle".to_owned(),
            });
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for word in words(&target).into_iter().rev() {
            todo.push_front(word);
        }
    }
    Ok(steps)
}

fn words(path: &Path) -> Vec<OsString> {
    let word = |part| match part {
        Component::Normal(word) => Some(word.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(word).collect()
}

fn unknown(path: &Path, error: &std::io::Error) -> Problem {
    Problem::Unknown { path: path.to_owned(), words: error.to_string() }
}

/// Who would run it. Supplementary groups count for nothing: programs run without them.
struct Who {
    uid: u32,
    gid: u32,
    name: String,
}

impl Who {
    fn of(run_as: Option<&RunAs>) -> Self {
        match run_as {
            Some(who) => Self { uid: who.uid, gid: who.gid, name: who.user.clone() },
            None => {
                let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
                Self { uid, gid, name: if uid == 0 { "root".to_owned() } else { format!("user {uid}") } }
            }
        }
    }

    /// Mode bits as the kernel reads them: root needs any one to execute a file and none to pass a directory.
    fn may_execute(&self, meta: &Metadata) -> bool {
        let mode = meta.mode();
        if self.uid == 0 {
            meta.is_dir() || mode & 0o111 != 0
        } else if self.uid == meta.uid() {
            mode & 0o100 != 0
        } else if self.gid == meta.gid() {
            mode & 0o010 != 0
        } else {
            mode & 0o001 != 0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    /// A directory under the root (not /tmp, which is open to all by itself) with a script in it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            assert!(
                nix::unistd::geteuid().is_root(),
                "files of several owners need root: run `make test` as root or with sudo"
            );
            let path = PathBuf::from(format!("/run/tandem-script-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("in")).unwrap();
            let place = Self(path);
            fs::write(place.script(), "#!/bin/sh\n").unwrap();
            for path in [place.0.clone(), place.at("in"), place.script()] {
                mode(&path, 0o755);
            }
            place
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn script(&self) -> PathBuf {
            self.at("in/check.sh")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn nobody() -> RunAs {
        RunAs { uid: 65534, gid: 65534, user: "nobody".to_owned() }
    }

    fn check(path: &Path, run_as: Option<&RunAs>, security: bool) -> Result<(), Problem> {
        script_check(path.to_str().unwrap(), run_as, security)
    }

    #[test]
    fn what_is_missing_or_no_program_is_named_with_its_cure() {
        let place = Place::new("missing");
        let gone = place.at("in/gone.sh");
        let problem = check(&gone, None, false).unwrap_err();
        assert_eq!(problem, Problem::Missing(gone.clone()));
        assert_eq!(problem.to_string(), format!("{} does not exist", gone.display()));
        assert!(problem.cure().contains("install it"));
        assert_eq!(check(&place.at("in"), None, false), Err(Problem::NotAFile(place.at("in"))));
        assert_eq!(script_check("", None, false), Err(Problem::Empty));
        assert_eq!(script_check("sh", None, true), Ok(()));
        let word = "no-such-program-anywhere";
        assert_eq!(script_check(word, None, false), Err(Problem::NotInPath(word.to_owned())));
        symlink("loop", place.at("loop")).unwrap();
        assert!(matches!(check(&place.at("loop"), None, false), Err(Problem::Unknown { .. })));
    }

    #[test]
    fn the_mode_counts_for_the_user_who_runs_it() {
        let place = Place::new("mode");
        let script = place.script();
        assert_eq!(check(&script, Some(&nobody()), false), Ok(()));
        mode(&script, 0o744);
        assert_eq!(check(&script, None, false), Ok(()));
        let problem = check(&script, Some(&nobody()), false).unwrap_err();
        assert_eq!(problem, Problem::NotExecutable { path: script.clone(), user: "nobody".to_owned() });
        mode(&script, 0o644);
        assert!(matches!(check(&script, None, false), Err(Problem::NotExecutable { .. })));
        mode(&script, 0o755);
        mode(&place.at("in"), 0o700);
        assert_eq!(check(&script, None, false), Ok(()));
        let closed = Problem::Closed { directory: place.at("in"), user: "nobody".to_owned() };
        assert_eq!(check(&script, Some(&nobody()), false), Err(closed));
    }

    #[test]
    fn what_runs_as_root_must_be_out_of_reach() {
        let place = Place::new("reach");
        let script = place.script();
        let open = |path: &Path| Err(Problem::Writable { script: script.clone(), open: path.to_owned() });
        assert_eq!(check(&script, None, true), Ok(()));
        for path in [script.clone(), place.at("in"), place.0.clone()] {
            mode(&path, 0o757);
            assert_eq!(check(&script, None, true), open(&path));
            assert_eq!(check(&script, None, false), Ok(()), "without security");
            assert_eq!(check(&script, Some(&nobody()), true), Ok(()), "not as root");
            mode(&path, 0o775);
            assert_eq!(check(&script, None, true), Ok(()), "root's own group");
            chown(&path, None, Some(65534)).unwrap();
            assert_eq!(check(&script, None, true), open(&path), "another group");
            mode(&path, 0o755);
            assert_eq!(check(&script, None, true), Ok(()));
            chown(&path, Some(65534), Some(0)).unwrap();
            assert_eq!(check(&script, None, true), open(&path), "its owner can change it");
            chown(&path, Some(0), Some(0)).unwrap();
        }
    }

    #[test]
    fn links_are_followed_and_their_directories_count() {
        let place = Place::new("links");
        fs::create_dir(place.at("out")).unwrap();
        let link = place.at("out/link.sh");
        symlink("../in/check.sh", &link).unwrap();
        assert_eq!(check(&link, None, true), Ok(()));
        let open = |path: PathBuf| Err(Problem::Writable { script: link.clone(), open: path });
        mode(&place.at("in"), 0o777);
        assert_eq!(check(&link, None, true), open(place.at("in")), "where the link leads");
        mode(&place.at("in"), 0o755);
        mode(&place.at("out"), 0o777);
        assert_eq!(check(&link, None, true), open(place.at("out")), "where the link is");
        mode(&place.at("out"), 0o1777);
        assert_eq!(check(&link, None, true), Ok(()), "root's link in a sticky directory");
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        assert_eq!(check(&link, None, true), open(link.clone()), "its owner can replace it");
    }
}
