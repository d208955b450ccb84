//! The journal in a file, so that it outlives the process: one event a line, written behind the main thread's back. A line
//! that cannot be read is left out; a file that cannot be written costs a restart its memory, never the daemon anything.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Journal;
use crate::control::view::EventView;

/// What happens within this time is written at once.
const GATHER: Duration = Duration::from_millis(50);
/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// The file is made anew when so many bytes of what was added to it may be forgotten by now.
const SLACK: usize = 1024 * 1024;

/// Where the journal of a daemon of that instance name is (empty for the only one).
pub fn file(folder: &Path, instance: &str) -> PathBuf {
    let name = match instance {
        "" => "journal.jsonl".to_owned(),
        name => format!("journal-{}.jsonl", name.replace(['/', '\0'], "_")),
    };
    folder.join(name)
}

/// What was kept, as far as it can be read.
pub fn read(path: &Path) -> Journal {
    match fs::read(path) {
        Ok(text) => understood(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Journal::default(),
        Err(error) => {
            tracing::warn!("{} cannot be read, the journal begins anew: {error}", path.display());
            Journal::default()
        }
    }
}

/// A process that was killed may have left half a line.
fn understood(text: &[u8]) -> Journal {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Journal::restored(lines.filter_map(|line| serde_json::from_slice::<EventView>(line).ok()))
}

/// Who writes it.
#[derive(Debug)]
pub struct Book {
    waiting: Waiting,
    wake: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

/// Events that wait for the disk. A journal as well: what it has no room for it forgets by the same rule, floods first, so that
/// the file has the transition that a thousand failing servers led to, as the memory has it.
type Waiting = Arc<Mutex<Journal>>;

impl Book {
    /// Starts it with what was read from the file. Call it on a runtime.
    pub fn start(path: PathBuf, journal: &Journal) -> Self {
        // One word is enough, however many events wait.
        let (wake, told) = mpsc::channel(1);
        let waiting = Waiting::default();
        let task = tokio::spawn(run(path, journal.clone(), told, Arc::clone(&waiting)));
        Self { waiting, wake, task }
    }

    /// Another event. Waits for no disk: the writer holds the lock only to take over what is there.
    pub fn add(&self, event: &Arc<EventView>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).adopt(event);
        // No room: it is awake already, and has not looked yet.
        let _ = self.wake.try_send(());
    }

    /// Writes the last of them, and ends; not if that takes long.
    pub async fn end(self) {
        drop(self.wake);
        let _ = tokio::time::timeout(LAST_WORD, self.task).await;
    }
}

async fn run(path: PathBuf, mut journal: Journal, mut told: mpsc::Receiver<()>, waiting: Waiting) {
    // How much was added since it was written whole; `None`: it is not known what is there.
    let mut added = None;
    let mut failed = false;
    while told.recv().await.is_some() {
        if !told.is_closed() {
            tokio::time::sleep(GATHER).await;
        }
        let fresh = std::mem::take(&mut *waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let fresh: Vec<Arc<EventView>> = fresh.all().cloned().collect();
        if fresh.is_empty() {
            // They went with those before them.
            continue;
        }
        // The same numbers as those of the main thread, since those come in order and each once.
        for event in &fresh {
            journal.adopt(event);
        }
        let whole = added.is_none_or(|added| added > SLACK);
        let text = if whole { lines(journal.all()) } else { lines(fresh.iter()) };
        let path = path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let size = text.len();
            let result = if whole { replace(&path, &text) } else { append(&path, &text) };
            result.map(|()| size).map_err(|error| format!("{}: {error}", path.display()))
        });
        match written.await {
            Ok(Ok(size)) => {
                added = Some(if whole { 0 } else { added.unwrap_or(0) + size });
                failed = false;
            }
            Ok(Err(error)) => {
                added = None;
                // Once, not at every try.
                if !std::mem::replace(&mut failed, true) {
                    tracing::warn!("a restart will not know the journal: {error}");
                }
            }
            Err(_) => return,
        }
    }
}

fn lines<'a>(events: impl Iterator<Item = &'a Arc<EventView>>) -> Vec<u8> {
    let mut text = Vec::new();
    for event in events {
        // Texts, numbers, and a document that was made from such: there is nothing that JSON cannot say.
        if serde_json::to_writer(&mut text, &**event).is_ok() {
            text.push(b'\n');
        }
    }
    text
}

/// After a crash there is the old file or the new one. Not synchronised: it means nothing after a boot.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("jsonl.new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text)?;
    fs::rename(&beside, path)
}

fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().append(true).open(path)?.write_all(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(journal: &mut Journal, text: &str) -> Arc<EventView> {
        journal.push(EventView { text: text.to_owned(), ..EventView::default() })
    }

    fn texts(journal: &Journal) -> Vec<(u64, String)> {
        journal.all().map(|event| (event.number, event.text.clone())).collect()
    }

    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-journal-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[tokio::test]
    async fn what_is_kept_goes_on_in_the_next_process() {
        let folder = place("book");
        let path = file(&folder, "two/x");
        let mut journal = read(&path);
        let book = Book::start(path.clone(), &journal);
        book.add(&event(&mut journal, "one"));
        book.add(&event(&mut journal, "two"));
        book.end().await;
        let mut next = read(&path);
        assert_eq!(texts(&next), texts(&journal));
        let book = Book::start(path.clone(), &next);
        book.add(&event(&mut next, "three"));
        tokio::time::sleep(GATHER * 4).await;
        book.add(&event(&mut next, "four"));
        book.end().await;
        assert_eq!(texts(&read(&path)).last(), Some(&(4, "four".to_owned())));
        assert_eq!(texts(&read(&path)).len(), 4);
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_flood_does_not_wash_away_what_it_led_to() {
        let folder = place("flood");
        let path = file(&folder, "");
        let mut journal = Journal::default();
        let book = Book::start(path.clone(), &journal);
        let flip = |journal: &mut Journal, n: usize| {
            let text = format!("server {n} is down");
            journal.push(EventView { kind: "check".to_owned(), text, ..EventView::default() })
        };
        // The writer has no turn before all of it has happened.
        for n in 0..super::super::EVENTS * 2 {
            book.add(&flip(&mut journal, n));
        }
        book.add(&event(&mut journal, "MASTER -> FAULT"));
        for n in 0..super::super::EVENTS {
            book.add(&flip(&mut journal, n));
        }
        book.end().await;
        let kept = read(&path);
        assert!(texts(&kept).iter().any(|(_, text)| text == "MASTER -> FAULT"), "{:?}", texts(&kept).len());
        assert_eq!(texts(&kept), texts(&journal));
        assert_eq!(kept.last(), journal.last());
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn half_a_line_is_left_out_and_does_not_come_back() {
        let folder = place("half");
        let path = file(&folder, "");
        let mut journal = Journal::default();
        event(&mut journal, "whole");
        fs::create_dir_all(&folder).unwrap();
        let mut text = lines(journal.all());
        text.extend_from_slice(b"{\"number\":2,\"at\":\"2026");
        fs::write(&path, text).unwrap();
        let mut journal = read(&path);
        assert_eq!(texts(&journal), [(1, "whole".to_owned())]);
        let book = Book::start(path.clone(), &journal);
        book.add(&event(&mut journal, "next"));
        book.end().await;
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(texts(&read(&path)), [(1, "whole".to_owned()), (2, "next".to_owned())]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_no_harm() {
        let folder = place("file");
        fs::write(&folder, "a file, no folder").unwrap();
        let mut journal = Journal::default();
        let book = Book::start(file(&folder, ""), &journal);
        book.add(&event(&mut journal, "x"));
        book.end().await;
        assert_eq!(read(&file(&folder, "")).last(), 0);
        fs::remove_file(folder).unwrap();
    }
}
