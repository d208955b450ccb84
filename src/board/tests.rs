use super::*;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(format!("/dev/shm/tandem-board-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

const fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn the_next_process_reads_what_the_last_one_was() {
    let folder = folder("next");
    let (board, past) = Board::take(&folder, "").unwrap();
    assert_eq!(past, None, "nobody was here before");
    let slots = board.claim(["a", "b", "c"].into_iter()).unwrap();
    let [Some(a), Some(b), Some(c)] = slots[..] else { panic!("{slots:?}") };
    board.alive(at(9));
    for (slot, ms) in [(a, 1), (b, 2), (c, 3)] {
        board.spoke(slot, at(ms), at(3000 + ms));
    }
    board.set_master(a, true);
    board.set_master(c, true);
    assert!(matches!(Board::take(&folder, ""), Err(Error::Taken(_))), "it is one process's");
    drop(board);
    let (board, past) = Board::take(&folder, "").unwrap();
    let master = |name, ms| Master { name: number(name), spoke: at(ms), patience: Some(at(3000 + ms)) };
    let masters = vec![master("a", 1), master("c", 3)];
    assert_eq!(past, Some(Past { alive: at(9), outdated: None, masters }));
    // Another order, one new, two gone: what is known goes along.
    board.claim(["c", "d"].into_iter()).unwrap();
    drop(board);
    let (_board, past) = Board::take(&folder, "").unwrap();
    assert_eq!(past.map(|past| past.masters), Some(vec![master("c", 3)]));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_could_not_be_written_is_no_longer_so() {
    let folder = folder("outdated");
    let known = |change: &dyn Fn(&Board)| {
        let (board, _) = Board::take(&folder, "").unwrap();
        board.alive(at(9000));
        change(&board);
        drop(board);
        Board::take(&folder, "").unwrap().1.unwrap().known_until()
    };
    assert_eq!(known(&|_| {}), at(9000));
    // The first of several times; another process that cannot write either changes nothing.
    assert_eq!(known(&|board| [at(5000), at(7000)].into_iter().for_each(|at| board.outdated(at))), at(5000));
    assert_eq!(known(&|board| board.outdated(at(8000))), at(5000));
    assert_eq!(known(&Board::current), at(9000));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn numbers_of_events_go_on() {
    let folder = folder("events");
    let (board, _) = Board::take(&folder, "").unwrap();
    assert_eq!((board.last_event(), board.journal(7), board.journal(8)), (0, 7, 7));
    board.event(105);
    drop(board);
    // Whatever the last one was killed with: the next one knows how far it was.
    let (board, _) = Board::take(&folder, "").unwrap();
    assert_eq!((board.last_event(), board.journal(9)), (105, 7));
    drop(board);
    let file = folder.join("board");
    let mut other_boot = std::fs::read(&file).unwrap();
    other_boot[AT_BOOT * 8] ^= 1;
    std::fs::write(&file, other_boot).unwrap();
    let (board, _) = Board::take(&folder, "").unwrap();
    assert_eq!((board.last_event(), board.journal(0)), (0, 1), "another journal");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn threads_are_seen_by_another_process() {
    let folder = folder("threads");
    let own = std::process::id();
    assert!(Board::look(&folder, "x", own).is_none());
    let (board, _) = Board::take(&folder, "x").unwrap();
    assert!(Board::look(&folder, "x", own + 1).is_none(), "nobody is judged by another one's threads");
    let seen = Board::look(&folder, "x", own).unwrap();
    board.busy(Thread::Vrrp, at(5));
    assert_eq!((seen.busy_since(Thread::Vrrp), seen.busy_since(Thread::Main)), (Some(at(5)), None));
    board.idle(Thread::Vrrp);
    board.alive(at(7));
    assert_eq!((seen.busy_since(Thread::Vrrp), seen.alive_at()), (None, at(7)));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_damaged_or_of_another_boot_says_nothing() {
    let folder = folder("damaged");
    let file = folder.join("board");
    let (board, _) = Board::take(&folder, "").unwrap();
    let slots = board.claim(["a"].into_iter()).unwrap();
    board.set_master(slots[0].unwrap(), true);
    drop(board);
    let good = std::fs::read(&file).unwrap();
    let mut other_boot = good.clone();
    other_boot[AT_BOOT * 8] ^= 1;
    let mut other_space = good.clone();
    other_space[AT_SPACE * 8] ^= 1;
    for bytes in [&good[..100], &other_boot, &other_space, b"", b"nonsense"] {
        std::fs::write(&file, bytes).unwrap();
        let (board, past) = Board::take(&folder, "").unwrap();
        assert_eq!(past, None, "{} bytes", bytes.len());
        assert!(board.past().masters.is_empty());
    }
    std::fs::write(&file, &good).unwrap();
    assert_eq!(Board::take(&folder, "").unwrap().1.unwrap().masters.len(), 1);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_not_ours_is_neither_taken_nor_looked_at() {
    let folder = folder("stranger");
    std::fs::create_dir_all(&folder).unwrap();
    let (file, other) = (folder.join("board"), folder.join("other"));
    // A whole board that somebody offers by a link.
    drop(Board::take(&folder, "").unwrap());
    std::fs::rename(&file, &other).unwrap();
    std::os::unix::fs::symlink(&other, &file).unwrap();
    let refused = || Board::take(&folder, "").unwrap_err().to_string();
    assert!(refused().ends_with("it is a link to something else; remove it"), "{}", refused());
    assert!(Board::look(&folder, "", std::process::id()).is_none());
    std::fs::remove_file(&file).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(refused().ends_with("it is no file; remove it"), "{}", refused());
    assert!(Board::look(&folder, "", std::process::id()).is_none());
    let kind = std::fs::metadata(&other).unwrap().file_type();
    assert_eq!(stranger(kind, 7, 0).as_deref(), Some("it belongs to user 7"));
    assert_eq!(stranger(kind, 7, 7), None);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_a_hole_is_no_board() {
    // What a worker leaves that found no room.
    let folder = folder("hole");
    std::fs::create_dir_all(&folder).unwrap();
    let file = File::create(folder.join("board")).unwrap();
    file.set_len(BYTES as u64).unwrap();
    assert!(Board::look(&folder, "", std::process::id()).is_none());
    assert_eq!(file.metadata().unwrap().blocks(), 0, "to look took no memory");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn there_is_an_end_to_the_room() {
    let folder = folder("room");
    let (board, _) = Board::take(&folder, "").unwrap();
    let names: Vec<String> = (0..=SLOTS).map(|n| format!("VI_{n}")).collect();
    let slots = board.claim(names.iter().map(String::as_str)).unwrap();
    assert_eq!((slots.len(), slots.iter().flatten().count()), (SLOTS + 1, SLOTS));
    board.set_master(slots[SLOTS - 1].unwrap(), true);
    assert!(board.at(WORDS).is_none());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn names_have_numbers_of_their_own() {
    assert_eq!(number("VI_1"), number("VI_1"));
    assert_ne!(number("VI_1"), number("VI_2"));
    assert_ne!(number(""), 0);
}
