//! Real pipes: owner, mode, full ones, readers.

use super::*;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use tokio::time::sleep;

fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("tandem-fifo-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

fn plan(path: &Path) -> Plan {
    Plan { path: path.to_owned(), owner: None, umask: UMASK, reader: None }
}

/// All that the pipe holds at this moment.
fn drain(path: &Path) -> String {
    let options = std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let mut bytes = Vec::new();
    // The writer is there, so the end is "would block", not the end of the file.
    let _ = options.unwrap().read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

fn sh(script: &str) -> Program {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Program { argv, run_as: None, timeout: None, env: Vec::new() }
}

#[tokio::test]
async fn a_pipe_is_made_with_its_mode_and_owner_and_removed_at_the_end() {
    let path = path("made");
    let fifo = Fifo::open(Plan { owner: Some((1, 2)), umask: 0o022, ..plan(&path) }).unwrap();
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o644, 1, 2));
    fifo.tell("VI_1", "INSTANCE \"VI_1\" MASTER 150");
    fifo.tell("VI_1", "INSTANCE \"VI_1\" BACKUP 150");
    assert_eq!(drain(&path), "INSTANCE \"VI_1\" MASTER 150\nINSTANCE \"VI_1\" BACKUP 150\n", "no NUL bytes");
    fifo.close(Duration::ZERO, false).await;
    assert!(!path.exists());
    let fifo = Fifo::open(plan(&path)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600, "the default mask");
    fifo.close(Duration::ZERO, true).await;
    assert!(path.exists(), "kept");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_pipe_that_was_there_stays_as_it_is() {
    let path = path("there");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o640)).unwrap();
    let mode = std::fs::metadata(&path).unwrap().mode();
    let fifo = Fifo::open(Plan { owner: Some((1, 1)), ..plan(&path) }).unwrap();
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((meta.mode(), meta.uid()), (mode, nix::unistd::geteuid().as_raw()));
    fifo.close(Duration::ZERO, false).await;
    assert!(path.exists());
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn what_is_no_pipe_is_left_alone() {
    let path = path("file");
    std::fs::write(&path, "precious").unwrap();
    let error = Fifo::open(plan(&path)).err().unwrap();
    assert!(matches!(error, Error::NotAPipe(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    let nowhere = Fifo::open(plan(Path::new("/no/such/directory/fifo"))).err().unwrap();
    assert!(matches!(nowhere, Error::Create { .. }), "{nowhere}");
}

#[tokio::test]
async fn a_full_pipe_blocks_nobody_and_tells_the_newest_later() {
    let path = path("full");
    let fifo = Fifo::open(plan(&path)).unwrap();
    let begun = clock::now();
    // A pipe holds 64 KiB: 3,000 lines of 40 bytes do not fit.
    for n in 0..3000 {
        fifo.tell(&format!("subject {}", n % 7), &format!("{n:039}"));
    }
    assert!(clock::now() - begun < Duration::from_secs(2), "it waited for a reader");
    let lost = fifo.lost();
    assert!(lost > 1000, "{lost}");
    let mut text = drain(&path);
    until("the rest", || {
        text += &drain(&path);
        text.lines().count() as u64 == 3000 - lost
    })
    .await;
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|two| two[0] < two[1]), "out of order");
    assert_eq!(
        numbers[numbers.len() - 7..],
        [2993, 2994, 2995, 2996, 2997, 2998, 2999],
        "the newest of each"
    );
    // And then it goes on as before.
    fifo.tell("subject 1", "afterwards");
    assert_eq!(drain(&path), "afterwards\n");
    assert_eq!(fifo.lost(), lost);
    fifo.close(Duration::ZERO, false).await;
}

#[tokio::test]
async fn a_reader_reads_to_the_end_and_is_started_again_when_it_dies() {
    let (path, out) = (path("reader"), path("reader-out"));
    let script = format!(
        "echo start >> {1}; while read line; do echo $line >> {1}; test $line = die && exit 3; done < {0}",
        path.display(),
        out.display()
    );
    let fifo = Fifo::open(Plan { reader: Some(sh(&script)), ..plan(&path) }).unwrap();
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    fifo.tell("a", "one");
    until("the reader", || said() == "start\none\n").await;
    fifo.tell("a", "die");
    until("its death", || said() == "start\none\ndie\n").await;
    // Lines that come while there is no reader wait in the pipe.
    fifo.tell("a", "two");
    until("the next one", || said() == "start\none\ndie\nstart\ntwo\n").await;
    fifo.tell("a", "last");
    fifo.close(Duration::from_secs(5), false).await;
    assert_eq!(said(), "start\none\ndie\nstart\ntwo\nlast\n");
    std::fs::remove_file(&out).unwrap();
}

#[tokio::test]
async fn a_reader_that_does_not_end_by_itself_is_ended() {
    let (path, out) = (path("stubborn"), path("stubborn-out"));
    let script = format!(
        "trap 'echo TERM >> {0}; exit' TERM; echo ready >> {0}; while :; do sleep 0.05; done",
        out.display()
    );
    let fifo = Fifo::open(Plan { reader: Some(sh(&script)), ..plan(&path) }).unwrap();
    until("the reader", || out.exists()).await;
    let begun = clock::now();
    fifo.close(Duration::from_millis(100), false).await;
    assert!(clock::now() - begun < Duration::from_secs(3));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "ready\nTERM\n");
    std::fs::remove_file(&out).unwrap();
}
