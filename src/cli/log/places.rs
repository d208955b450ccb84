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

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
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
