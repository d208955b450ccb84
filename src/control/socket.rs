//! The socket in the file system: only root, and a group that the configuration names, may open it. It appears under its
//! name with its rights already; one that a dead daemon left is replaced, one that a living daemon listens at is not.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::unistd::Group;

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody listens there.
    #[error(
        "another daemon listens at {0}: commands reach that one; give this one --control PATH or --instance NAME, or \
         stop the other"
    )]
    Taken(PathBuf),
    /// The file system says no.
    #[error("cannot make the control socket {path}: {source}; mend that, or give --control PATH")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A socket of ours; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Device and inode: what another daemon puts there later is not ours to remove.
    identity: (u64, u64),
}

impl Socket {
    /// Listens there. The folder is made where it is missing.
    ///
    /// # Errors
    /// Somebody listens there already, or the file system refuses.
    pub fn bind(path: &Path) -> Result<(UnixListener, Self), Error> {
        match UnixStream::connect(path) {
            Ok(_) => return Err(Error::Taken(path.to_owned())),
            // A listener whose queue is full lives, too.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(Error::Taken(path.to_owned()));
            }
            Err(_) => {}
        }
        Self::listen(path).map_err(|source| Error::Io { path: path.to_owned(), source })
    }

    fn listen(path: &Path) -> io::Result<(UnixListener, Self)> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        if fs::symlink_metadata(path).is_ok_and(|found| !is_socket(&found)) {
            return Err(io::Error::other("there is something else of that name"));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let hidden = PathBuf::from(name);
        let _ = fs::remove_file(&hidden);
        let listener = UnixListener::bind(&hidden)?;
        let ready = fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| fs::symlink_metadata(&hidden))
            .and_then(|found| fs::rename(&hidden, path).map(|()| found));
        match ready {
            Ok(found) => Ok((listener, Self { path: path.to_owned(), identity: (found.dev(), found.ino()) })),
            Err(error) => {
                let _ = fs::remove_file(&hidden);
                Err(error)
            }
        }
    }

    /// Lets a group in beside root; `None` = root alone.
    ///
    /// # Errors
    /// There is no such group, or the file system refuses: then root alone may use it.
    pub fn allow(&self, group: Option<&str>) -> Result<(), String> {
        let close = || fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600));
        let Some(name) = group else {
            return close().map_err(|error| error.to_string());
        };
        let found = Group::from_name(name).map_err(|error| error.to_string());
        let found = found.and_then(|found| found.ok_or_else(|| format!("there is no group {name}")));
        let opened = found.and_then(|group| {
            chown(&self.path, None, Some(group.gid.as_raw()))
                .and_then(|()| fs::set_permissions(&self.path, fs::Permissions::from_mode(0o660)))
                .map_err(|error| error.to_string())
        });
        if opened.is_err() {
            let _ = close();
        }
        opened
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn is_socket(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    found.file_type().is_socket()
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours =
            fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-socket-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = place("stale");
        let path = folder.join("deep/control.sock");
        let (listener, socket) = Socket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(matches!(Socket::bind(&path), Err(Error::Taken(_))));
        // Its daemon dies without a word.
        std::mem::forget(socket);
        drop(listener);
        assert!(path.exists());
        let (_listener, second) = Socket::bind(&path).unwrap();
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        drop(second);
        assert!(!path.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_ours_stays() {
        let folder = place("foreign");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("control.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Socket::bind(&path), Err(Error::Io { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        let (_listener, socket) = Socket::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(socket);
        assert!(path.exists());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_group_that_is_not_there_opens_nothing() {
        let folder = place("group");
        let path = folder.join("control.sock");
        let (_listener, socket) = Socket::bind(&path).unwrap();
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(
            socket.allow(Some("no-such-group-here")),
            Err("there is no group no-such-group-here".to_owned())
        );
        assert_eq!(mode(), 0o600);
        assert_eq!((socket.allow(Some("root")), mode()), (Ok(()), 0o660));
        assert_eq!((socket.allow(None), mode()), (Ok(()), 0o600));
        drop(socket);
        fs::remove_dir_all(folder).unwrap();
    }
}
