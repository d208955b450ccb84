//! Keeps on disk in memory (`/run`) what the next process must know, and reads what the last one left. A damaged file is
//! reported and ignored; one that cannot be written costs a restart its verdicts, never the daemon anything.

use std::fs;
use std::hash::Hasher as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::memory;
use super::recall::{Document, Home};
use crate::board::{self, Board};
use crate::check::recalled::Recalled;
use crate::check::status::Asker;
use crate::clock;
use crate::config::fwmarks::Marks;
use crate::ipvs::kernel::Desired;
use crate::net::address::AddressKey;
use crate::vrrp::trackers::TrackerValues;

/// Where it is kept when nobody says otherwise.
const RUN_DIRECTORY: &str = "/run/tandem";
/// What happens within this time is written at once.
const GATHER: Duration = Duration::from_millis(50);
/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// A text from which on the memory that it took is given back.
const LARGE: usize = 64 * 1024;
/// What could not be written is tried again after so long, also when nothing else happens.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Writing takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// The folder of a daemon: the command line's word, else the usual one.
pub fn folder(by_command: Option<&Path>) -> &Path {
    by_command.unwrap_or(Path::new(RUN_DIRECTORY))
}

fn file(folder: &Path, instance: &str) -> PathBuf {
    let name = match instance {
        "" => "memory.json".to_owned(),
        name => format!("memory-{}.json", name.replace(['/', '\0'], "_")),
    };
    folder.join(name)
}

/// What the last process left, as far as it counts here: it has been gone for so long.
pub(super) fn read(folder: &Path, instance: &str, gone: Duration) -> Document {
    read_any(folder, instance).as_of(board::space(), gone)
}

/// What all daemons that keep it there remember, or have left.
pub(super) fn read_all(folder: &Path) -> Vec<Document> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("memory") && name.ends_with(".json")
    });
    paths.map(|entry| read_file(&entry.path())).collect()
}

/// What the last process left, whichever network namespace it was in.
pub(super) fn read_any(folder: &Path, instance: &str) -> Document {
    read_file(&file(folder, instance))
}

fn read_file(path: &Path) -> Document {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Document::default(),
        Err(error) => {
            tracing::error!(
                "{} cannot be read, this start knows nothing of the last one: {error}",
                path.display()
            );
            return Document::default();
        }
    };
    match Document::parse(&text) {
        Ok(document) => document,
        Err(error) => {
            tracing::error!(
                "{} is damaged, this start knows nothing of the last one: {error}",
                path.display()
            );
            Document::default()
        }
    }
}

/// What there is to remember beside the verdicts.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What trackers say.
    pub(super) trackers: Arc<TrackerValues>,
    /// What the ipvs thread is asked for.
    pub(super) desired: Arc<Desired>,
    /// Every address of ours.
    pub(super) addresses: Arc<Vec<AddressKey>>,
    /// Which marks stand for groups of addresses.
    pub(super) marks: Arc<Marks>,
    /// Whose all this is.
    pub(super) home: Home,
    /// Grows with each word.
    pub(super) number: u64,
}

/// Who writes it.
#[derive(Debug)]
pub(super) struct Rememberer {
    facts: watch::Sender<Facts>,
    task: tokio::task::JoinHandle<()>,
}

impl Rememberer {
    /// Starts it; nothing is written before the first word. Call it on a runtime.
    /// On `board` it says since when what is written is no longer what is so.
    pub(super) fn start(folder: &Path, instance: &str, asker: Asker, board: Arc<Board>) -> Self {
        let (facts, told) = watch::channel(Facts::default());
        let task = tokio::spawn(run(file(folder, instance), asker, board, told));
        Self { facts, task }
    }

    /// Something may be different now.
    pub(super) fn tell(&self, facts: impl FnOnce(&mut Facts)) {
        self.facts.send_modify(|now| {
            facts(now);
            now.number += 1;
        });
    }

    /// Writes the last word, and ends; not if that takes long: nobody waits for a restart's memory.
    pub(super) async fn end(self) {
        drop(self.facts);
        let _ = tokio::time::timeout(LAST_WORD, self.task).await;
    }

    /// Ends without another word: an orderly stop leaves nothing to remember.
    pub(super) fn forget(self, folder: &Path, instance: &str) {
        self.task.abort();
        let _ = fs::remove_file(file(folder, instance));
    }
}

async fn run(path: PathBuf, asker: Asker, board: Arc<Board>, mut told: watch::Receiver<Facts>) {
    // The sum of the last text: the text of ten thousand servers is a megabyte.
    let mut last = 0;
    let mut failed = false;
    loop {
        let open = due(&mut told, failed.then_some(TRY_AGAIN)).await;
        if open {
            tokio::time::sleep(GATHER).await;
        }
        let facts = told.borrow_and_update().clone();
        let (begun, since_boot) = (clock::now(), clock::since_boot());
        let status = asker.ask().await;
        let known = status.is_some();
        let (path, before) = (path.clone(), std::mem::take(&mut last));
        // Neither the list of ten thousand servers nor a disk holds up the main thread.
        let written = tokio::task::spawn_blocking(move || {
            // Checks that cannot be asked any more are what a restart is about: their last word stands.
            let verdicts = status.map_or_else(|| written_last(&path), |status| Recalled::of(&status));
            let (services, addresses) = (facts.desired.table.keys(), facts.addresses.iter());
            let marks = Marks::clone(&facts.marks);
            let text =
                Document::new(facts.home, verdicts, &facts.trackers, services, addresses, marks).text();
            let sum = sum(&text);
            let result = if sum == before { Ok(()) } else { replace(&path, &text) };
            if text.len() > LARGE {
                drop(text);
                memory::give_back();
            }
            (sum, result)
        });
        let Ok((sum, result)) = written.await else { return };
        if known && result.is_ok() {
            board.current();
        } else {
            board.outdated(since_boot);
        }
        match result {
            Ok(()) => {
                if std::mem::take(&mut failed) {
                    tracing::info!("a restart will know the verdicts of the checks again");
                }
                last = sum;
            }
            Err(error) => {
                // Once, not at every try.
                if !std::mem::replace(&mut failed, true) {
                    tracing::error!(
                        "a restart will not know the verdicts of the checks: {error}; free or mend the folder, or give \
                         another one by --run-dir; it is tried again every {} s",
                        TRY_AGAIN.as_secs()
                    );
                }
            }
        }
        if !open {
            return;
        }
        rest(clock::now().saturating_duration_since(begun) * SHARE, &mut told).await;
    }
}

/// The verdicts that are in the file.
fn written_last(path: &Path) -> Recalled {
    let document = fs::read(path).ok().and_then(|text| Document::parse(&text).ok());
    document.map(|document| document.verdicts).unwrap_or_default()
}

/// Waits for something to write: a word, or the time for another try where the last one failed. False: nobody says anything
/// any more.
async fn due(told: &mut watch::Receiver<Facts>, again: Option<Duration>) -> bool {
    let again = async {
        match again {
            Some(again) => tokio::time::sleep(again).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        changed = told.changed() => changed.is_ok(),
        () = again => true,
    }
}

/// Tells two texts apart.
fn sum(text: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(text);
    hasher.finish().max(1)
}

/// Rests, unless it is the end: the last word is written at once.
async fn rest(time: Duration, told: &mut watch::Receiver<Facts>) {
    let mut over = std::pin::pin!(tokio::time::sleep(time));
    let mut heard = false;
    loop {
        tokio::select! {
            () = &mut over => break,
            changed = told.changed() => match changed {
                Ok(()) => heard = true,
                Err(_) => break,
            },
        }
    }
    if heard {
        told.mark_changed();
    }
}

/// After a crash there is the old file or the new one. Not synchronised: it means nothing after a boot.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(named)?;
    }
    let beside = path.with_extension("json.new");
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text)?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // What is there of it takes room that a full disk does not have.
        let _ = fs::remove_file(&beside);
        named(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::status::asker;

    /// A folder in memory with a board, and the word of a process whose checks cannot be asked.
    async fn told(name: &str, before: &[u8], spoil: impl FnOnce(&Path)) -> PathBuf {
        let folder = PathBuf::from(format!("/dev/shm/tandem-remember-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let (board, _) = Board::take(&folder, "").unwrap();
        board.alive(Duration::MAX);
        fs::write(file(&folder, ""), before).unwrap();
        spoil(&folder);
        let begun = clock::since_boot();
        let rememberer = Rememberer::start(&folder, "", asker().0, Arc::clone(&board));
        rememberer.tell(|facts| {
            facts.home = Home { space: board::space(), namespace: Some("new".to_owned()), ..Home::default() };
        });
        rememberer.end().await;
        drop(board);
        let until = Board::take(&folder, "").unwrap().1.unwrap().known_until();
        assert!(until >= begun && until <= clock::since_boot(), "{until:?}");
        folder
    }

    fn verdicts() -> Document {
        let text = r#"{"TCP 10.0.0.1:80":{"quorum_up":true,"reals":{"10.1.0.1:80":false}}}"#;
        let verdicts = serde_json::from_str(text).unwrap();
        let (services, addresses) = ([].iter(), [].iter());
        let home = Home { space: board::space(), ..Home::default() };
        Document::new(home, verdicts, &TrackerValues::new(), services, addresses, Marks::default())
    }

    #[tokio::test]
    async fn the_last_word_of_checks_stands_when_they_say_no_more() {
        let folder = told("dumb", &verdicts().text(), |_| {}).await;
        let document = read(&folder, "", Duration::ZERO);
        assert_eq!(document.home.namespace.as_deref(), Some("new"), "the rest is written");
        assert_eq!(document.verdicts, verdicts().verdicts);
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_known_to_be_old() {
        let folder = told("full", &verdicts().text(), |folder| {
            // In the way of the new text, for root, too.
            fs::create_dir(folder.join("memory.json.new")).unwrap();
        })
        .await;
        assert_eq!(read(&folder, "", Duration::from_secs(59)), verdicts());
        assert_eq!(read(&folder, "", Duration::from_secs(61)).verdicts, Recalled::default());
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn what_failed_is_due_again_without_a_word() {
        let (facts, mut told) = watch::channel(Facts::default());
        let soon = Duration::from_millis(20);
        assert!(
            tokio::time::timeout(soon * 3, due(&mut told, None)).await.is_err(),
            "nobody has said anything"
        );
        assert!(due(&mut told, Some(soon)).await);
        facts.send_modify(|facts| facts.number += 1);
        assert!(due(&mut told, None).await);
        told.mark_unchanged();
        drop(facts);
        assert!(!due(&mut told, Some(Duration::from_secs(60))).await, "the end does not wait");
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let folder = std::env::temp_dir().join(format!("tandem-remember-{}", std::process::id()));
        // A folder in the place of the file.
        let path = folder.join("memory.json");
        fs::create_dir_all(path.join("x")).unwrap();
        let error = replace(&path, b"{}").unwrap_err().to_string();
        assert!(error.contains("memory.json: "), "{error}");
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["memory.json"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
