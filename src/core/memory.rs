//! Memory that is given back: the allocator's, and pages of the program that are mapped and not needed for now. A file of a
//! thousand instances is read by way of text, tokens and a tree, several megabytes that nobody needs any more once the settings
//! are made; the allocator would keep them. And the code that does it is larger than all that runs from then on.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Once, OnceLock};
use std::time::Duration;

/// Gives what the allocator holds and nobody uses back to the system. For start and reload: it looks at every page, and holds
/// the allocator's locks meanwhile.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
pub(super) fn give_back() {
    // SAFETY: it takes a number and is safe to call from any thread; whether it gave anything back is nobody's concern.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() {}

/// How long after its start a process has settled: what it needs from then on is what it needs for days.
pub(super) const SETTLED: Duration = Duration::from_secs(5);

/// Takes pages of the program and of its libraries out of this process that the start, a reload or an unusual event has brought in.
/// They stay in the page cache, and what is needed again comes from there, many at a time, in microseconds. A small node's code
/// takes 8 MB right after the start, and 2 MB of that ever again. Nothing happens to what is locked (`vrrp_rt_priority` and others
/// lock the whole process), nor to what this process has ever written to.
pub(super) fn forget_program() {
    let Some(program) = PROGRAM.get() else { return };
    let Ok(smaps) = File::open("/proc/self/smaps") else { return };
    for Mapping { start, length, .. } in unwritten(smaps).into_iter().filter(|part| stays(part, program)) {
        forget(start, length);
    }
}

/// It is part of what was there at the start, and is where it is until the process ends. Nothing that was loaded later: another thread
/// may be loading it just now, and what it writes there between the look and the call would be lost.
fn stays(part: &Mapping, program: &BTreeSet<(usize, usize)>) -> bool {
    let around = program.range(..=(part.start, usize::MAX)).next_back();
    around.is_some_and(|(start, length)| part.start + part.length <= start + length)
}

/// Has the program's own file mapped in pieces; for [`forget_program`] after it. The kernel maps up to 64 KB of a file around each page
/// that is asked for: an idle worker passes some sixty places that lie far from one another, and would have fifteen pages for nothing
/// at each. It goes no further than to the end of a mapping, though. The libraries stay whole: of them only a few places are needed, and
/// each piece takes the kernel a quarter of a kilobyte.
pub(super) fn in_pieces() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(maps) = File::open("/proc/self/maps") else { return };
        let parts: Vec<Mapping> = lines(maps).filter_map(|line| line_of_mapping(&line)).collect();
        for part in of_program(&parts, (in_pieces as *const ()).addr()) {
            for (start, length) in pieces(part.start, part.length) {
                set_apart(start, length);
            }
        }
    });
}

/// All parts of the file that has the code at this address.
fn of_program(parts: &[Mapping], code: usize) -> impl Iterator<Item = &Mapping> {
    let here = parts.iter().find(|part| (part.start..part.start + part.length).contains(&code));
    parts.iter().filter(move |part| here.is_some_and(|here| here.path == part.path))
}

/// The size of a piece.
const PIECE: usize = 16 * 1024;

/// Every other piece of a mapping: set apart from its neighbours, each piece is a mapping of its own. A file's first page is never one
/// of them: whoever reads a core dump knows programs by it.
fn pieces(start: usize, length: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = start.saturating_add(length);
    let first = start / PIECE * PIECE + if (start / PIECE).is_multiple_of(2) { PIECE } else { 2 * PIECE };
    (first..end).step_by(2 * PIECE).map(move |at| (at, PIECE.min(end - at)))
}

#[allow(unsafe_code)]
fn set_apart(start: usize, length: usize) {
    // SAFETY: part of the program, as in `forget`. It leaves these pages out of core dumps, which have the code of programs only
    // by request, and changes nothing else.
    unsafe {
        libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTDUMP);
    }
}

/// The program and the libraries that it was linked with: mapped before its first line ran, and until its end. Start and length.
static PROGRAM: OnceLock<BTreeSet<(usize, usize)>> = OnceLock::new();

/// Notes what the program is, for [`forget_program`]. To be called before anything else is loaded: of that nobody knows whether it
/// stays where it is.
pub(super) fn note_program() {
    PROGRAM.get_or_init(|| {
        let Ok(maps) = File::open("/proc/self/maps") else { return BTreeSet::new() };
        let parts = lines(maps).filter_map(|line| line_of_mapping(&line));
        parts.map(|part| (part.start, part.length)).collect()
    });
}

/// Line by line: it is a long text, and is read to have less in memory. Paths that are no UTF-8 stay readable for what is asked.
fn lines(text: impl Read) -> impl Iterator<Item = String> {
    let lines = BufReader::new(text).split(b'\n').map_while(Result::ok);
    lines.map(|line| String::from_utf8_lossy(&line).into_owned())
}

/// Parts of files that are mapped to be read, and in which there is nothing of this process's own.
fn unwritten(smaps: impl Read) -> Vec<Mapping> {
    let (mut found, mut current) = (Vec::new(), None);
    for line in lines(smaps) {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if !first.ends_with(':') {
            current = mapping(first, words);
        } else if first == "Anonymous:"
            && words.next() == Some("0")
            && let Some(part) = current.take()
        {
            found.push(part);
        }
    }
    found
}

/// Part of a file that is mapped for this process alone and cannot be written to.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    length: usize,
    /// Up to the first blank.
    path: String,
}

fn line_of_mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    mapping(words.next()?, words)
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE PATH`, where it is such a part.
fn mapping<'a>(from_to: &str, mut words: impl Iterator<Item = &'a str>) -> Option<Mapping> {
    let (start, length) = range(from_to)?;
    let permissions = words.next()?;
    let path = words.nth(3)?;
    let fits = permissions.starts_with('r') && !permissions.contains('w') && permissions.ends_with('p');
    (fits && path.starts_with('/')).then(|| Mapping { start, length, path: path.to_owned() })
}

/// Start and length of `START-END`.
fn range(from_to: &str) -> Option<(usize, usize)> {
    let (start, end) = from_to.split_once('-')?;
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.saturating_sub(start)))
}

#[allow(unsafe_code)]
fn forget(start: usize, length: usize) {
    // SAFETY: part of the program, which is mapped there until the process ends: a private mapping of a file, which cannot be
    // written to, with no page of this process's own in it. The next access finds the same bytes in the file. Whether the call did
    // anything is nobody's concern.
    unsafe {
        libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_again_from_its_file_is_forgotten() {
        let smaps = "\
1000-3000 r-xp 00001000 08:01 77   /usr/sbin/tandem
Rss:                   8 kB
Anonymous:             0 kB
3000-4000 r--p 00003000 08:01 77   /usr/sbin/tandem
Anonymous:             4 kB
4000-5000 rw-p 00004000 08:01 77   /usr/sbin/tandem
Anonymous:             0 kB
5000-6000 r--s 00000000 00:19 99   /run/tandem/board
Anonymous:             0 kB
6000-7000 r--p 00000000 00:00 0
Anonymous:             0 kB
7000-8000 r-xp 00000000 00:00 0    [vdso]
Anonymous:             0 kB
8000-c000 r--p 00000000 08:01 78   /usr/lib/with space (deleted)
Anonymous:             0 kB
c000-d000 ---p 00000000 08:01 78   /usr/lib/guard
Anonymous:             0 kB
zz-d000 r--p 00000000 08:01 78   /usr/lib/odd
Anonymous:             0 kB
";
        let found: Vec<_> =
            unwritten(smaps.as_bytes()).into_iter().map(|part| (part.start, part.length)).collect();
        assert_eq!(found, [(0x1000, 0x2000), (0x8000, 0x4000)]);
    }

    #[test]
    fn only_what_stays_where_it_is_is_forgotten() {
        let program = BTreeSet::from([(0x1000, 0x3000), (0x8000, 0x1000)]);
        let parts = [(0x1000, "/a"), (0x2000, "/b"), (0x3000, "/a")].map(|(start, path)| Mapping {
            start,
            length: 0x1000,
            path: path.to_owned(),
        });
        let starts = |code| of_program(&parts, code).map(|part| part.start).collect::<Vec<_>>();
        assert_eq!(
            (starts(0x1fff), starts(0x2000), starts(0x4000)),
            (vec![0x1000, 0x3000], vec![0x2000], vec![])
        );
        for (start, length, path, wanted) in [
            (0x1000, 0x3000, "/usr/sbin/tandem", true),
            // A piece of it.
            (0x2000, 0x1000, "/usr/sbin/tandem", true),
            (0x3000, 0x2000, "/usr/sbin/tandem", false),
            (0x5000, 0x1000, "/usr/lib/plugin.so", false),
            (0x500, 0x100, "/usr/sbin/tandem", false),
        ] {
            let part = Mapping { start, length, path: path.to_owned() };
            assert_eq!(stays(&part, &program), wanted, "{part:?}");
        }
    }

    #[test]
    fn every_other_piece_is_set_apart() {
        const KB: usize = 1024;
        // (start, length, pieces that are set apart)
        for (start, length, wanted) in [
            (0, 8 * KB, vec![]),
            (0, 20 * KB, vec![(16 * KB, 4 * KB)]),
            (4 * KB, 60 * KB, vec![(16 * KB, 16 * KB), (48 * KB, 16 * KB)]),
            // Its first page is none of them, wherever it lies.
            (16 * KB, 64 * KB, vec![(48 * KB, 16 * KB)]),
            (20 * KB, 64 * KB, vec![(48 * KB, 16 * KB), (80 * KB, 4 * KB)]),
        ] {
            assert_eq!(pieces(start, length).collect::<Vec<_>>(), wanted, "{start} {length}");
        }
    }

    #[test]
    fn the_program_goes_on_with_less() {
        let code = || {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let mut of_code = false;
            let mut total = 0;
            for line in maps.lines() {
                let words: Vec<&str> = line.split_ascii_whitespace().collect();
                if !words[0].ends_with(':') {
                    of_code = words[1] == "r-xp";
                } else if of_code && words[0] == "Rss:" {
                    total += words[1].parse::<u64>().unwrap();
                }
            }
            total
        };
        note_program();
        let before = code();
        forget_program();
        let after = code();
        assert!(after < before, "{before} kB of code before, {after} after");
        let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        let whole = mappings();
        in_pieces();
        let in_pieces_now = mappings();
        assert!(in_pieces_now > whole + 20, "{whole} mappings before, {in_pieces_now} after");
        forget_program();
        // It runs on, and all of it is where it was.
        in_pieces();
        assert!(mappings() < in_pieces_now + 10);
        assert!(PROGRAM.get().is_some_and(|program| program.len() > 4), "program, libraries: each in parts");
    }
}
