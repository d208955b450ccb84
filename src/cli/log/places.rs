//! Standard error and log files.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::line::{Format, Line};

/// Where lines go.
pub(super) trait Place: Send {
    /// What it is called in messages.
    fn name(&self) -> &'static str;

    /// Writes one line; may take its time.
    fn write(&mut self, line: &Line) -> io::Result<()>;

    /// True where the same line may be taken a moment later.
    fn may_come(&self, _error: &io::Error) -> bool {
        false
    }
}

/// Standard error.
pub(super) struct Console {
    format: Format,
    colour: bool,
    /// systemd reads it: it has its own times, and wants the severity in front of each line (`sd-daemon(3)`).
    journal: bool,
}

impl Console {
    pub(super) fn new(format: Format) -> Self {
        Self { format, colour: io::stderr().is_terminal(), journal: leads_to_the_journal() }
    }
}

/// Whether standard error leads to systemd's journal (`$JOURNAL_STREAM`, systemd.exec(5)): whoever runs us may have put
/// another one in its place, and left the variable.
pub(super) fn leads_to_the_journal() -> bool {
    std::env::var("JOURNAL_STREAM").is_ok_and(|stream| is_stderr(&stream))
}

/// Whether `device:inode` is our standard error.
fn is_stderr(stream: &str) -> bool {
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", metadata.dev(), metadata.ino())
}

impl Place for Console {
    fn name(&self) -> &'static str {
        "standard error"
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let text = match (self.format, self.journal) {
            (Format::Json, false) => line.json(),
            (Format::Text, false) => line.text(self.colour),
            (Format::Json, true) => format!("<{}>{}", line.severity(), line.json()),
            (Format::Text, true) => format!("<{}>{}\n", line.severity(), line.words()),
        };
        io::stderr().write_all(text.as_bytes())
    }
}

/// A log file.
pub(super) struct LogFile {
    path: PathBuf,
    format: Format,
    file: File,
}

impl LogFile {
    pub(super) fn open(path: &Path, format: Format) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        Ok(Self { file: append(&path)?, path, format })
    }

    /// Another file lies there, or none: somebody has put the old one away.
    fn moved(&self) -> bool {
        let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(ours)) => !same(&there, &ours),
            (Err(error), _) => error.kind() == io::ErrorKind::NotFound,
            (_, Err(_)) => false,
        }
    }
}

/// Opens a log file. In a folder where everybody may make files (`/tmp`, where `keepalived -g` logs) somebody else's link, pipe or
/// file of that name is not ours to write to, nor to wait for.
fn append(path: &Path) -> io::Result<File> {
    const EVERYBODY_S: u32 = 0o002;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    let folder = path.parent().and_then(|folder| std::fs::metadata(folder).ok());
    if folder.is_none_or(|folder| folder.mode() & EVERYBODY_S == 0) {
        return options.open(path);
    }
    let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.nlink() != 1 || found.uid() != nix::unistd::geteuid().as_raw() {
        return Err(io::Error::other(
            "what lies there is no file of ours, in a folder that everybody may write to",
        ));
    }
    Ok(file)
}

impl Place for LogFile {
    fn name(&self) -> &'static str {
        "the log file"
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.moved() {
            self.file = append(&self.path)?;
        }
        let text = match self.format {
            Format::Text => line.text(false),
            Format::Json => line.json(),
        };
        self.file.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn in_a_folder_of_everybody_only_our_own_file_is_written() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = std::env::temp_dir().join(format!("tandem-log-all-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (precious, link, pipe) = (folder.join("precious"), folder.join("link"), folder.join("pipe"));
        std::fs::write(&precious, "mine").unwrap();
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(append(&link).is_ok(), "in a folder of one's own a link is on purpose");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(append(&link).is_err());
        assert!(append(&pipe).is_err(), "nobody reads there, and it is not waited for");
        assert!(append(&folder.join("log")).is_ok() && append(&folder.join("log")).is_ok());
        std::fs::hard_link(folder.join("log"), folder.join("other")).unwrap();
        assert!(append(&folder.join("other")).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_log_file_that_was_put_away_is_made_anew() {
        let folder = std::env::temp_dir().join(format!("tandem-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("log");
        let mut log = LogFile::open(&path, Format::Text).unwrap();
        let mut say = |words: &str| log.write(&Line::own(Level::INFO, words.to_owned())).unwrap();
        say("one");
        std::fs::rename(&path, folder.join("log.1")).unwrap();
        say("two");
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(read("log.1").ends_with(" INFO one\n"), "{}", read("log.1"));
        assert!(read("log").ends_with(" INFO two\n") && !read("log").contains("one"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
