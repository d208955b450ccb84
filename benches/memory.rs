//! Where the memory of checked servers goes: bytes that are asked of the allocator for each server, part by part.
//! `make bench-memory`; nothing is run, so the figures are the same on every machine and under every load. What runs
//! costs besides, and what the allocator's own book-keeping adds (8 to 24 bytes a piece), `make bench-check` shows.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unsafe_code,
    reason = "a benchmark is a driver: it reads clocks, and this one counts what is allocated"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tandem::check::farm::Farm;
use tandem::check::plan::Plan;
use tandem::config::rereader::Rereader;
use tandem::config::resolve::Facts;

/// The system's allocator, and how much it has given out.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static PIECES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting touches nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        PIECES.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that it asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        PIECES.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size, Ordering::Relaxed);
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let checks = [
        ("none", ""),
        ("TCP_CHECK", "TCP_CHECK {\nretry 0\n}"),
        ("HTTP_GET", "HTTP_GET {\nretry 0\nurl {\npath /\n}\n}"),
        ("SSL_GET", "SSL_GET {\nretry 0\nurl {\npath /\nstatus_code 200\n}\n}"),
        ("MISC_CHECK", "MISC_CHECK {\nmisc_path \"/bin/true\"\n}"),
    ];
    println!("bytes (pieces) that each real server takes, virtual servers of a hundred");
    println!(
        "{:<12} {:>8} {:>14} {:>14} {:>14} {:>14} {:>8}",
        "check", "servers", "configuration", "plan", "state", "table", "sum"
    );
    for (name, check) in checks {
        for count in [2_500, 10_000] {
            measure(name, check, count);
        }
    }
}

fn file(count: usize, check: &str) -> String {
    let mut text = String::new();
    for n in 0..count {
        if n % 100 == 0 {
            let end = if n == 0 { "" } else { "}\n" };
            let head = "protocol TCP\nlvs_sched rr\nlvs_method NAT\ndelay_loop 1\n";
            let _ =
                write!(text, "{end}virtual_server 192.0.{}.{} 80 {{\n{head}", n / 25_000, n / 100 % 250 + 1);
        }
        let _ = writeln!(text, "real_server 127.1.{}.{} 8080 {{\n{check}\n}}", n / 250, n % 250 + 1);
    }
    text.push_str("}\n");
    text
}

/// What a step has allocated and kept.
fn kept<T>(step: impl FnOnce() -> T) -> (T, [usize; 2]) {
    let now = || [&BYTES, &PIECES].map(|count| count.load(Ordering::Relaxed));
    let before = now();
    let made = step();
    let after = now();
    // What a step takes over from the one before it, and lets go of, counts for itself.
    (made, [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])])
}

fn measure(name: &str, check: &str, count: usize) {
    let text = file(count, check);
    // As the daemon reads it, with what it keeps for the next reading.
    let ((config, rereader), configuration) = kept(|| {
        let mut rereader = Rereader::default();
        let loaded = rereader.load_text(Path::new("bench.conf"), text.as_bytes(), &Facts::default());
        assert!(loaded.readable);
        (loaded.config, rereader)
    });
    let (plan, planned) = kept(|| Plan::new(&config));
    let ((farm, _), state) = kept(|| {
        let (farm, reaction) = Farm::start(plan, 7, Instant::now());
        drop(reaction);
        (farm, ())
    });
    let (table, tabled) = kept(|| farm.table());
    let parts = [configuration, planned, state, tabled];
    let shown =
        parts.map(|[bytes, pieces]| format!("{} ({:.1})", bytes / count, pieces as f64 / count as f64));
    let sum: usize = parts.iter().map(|[bytes, _]| bytes).sum();
    println!(
        "{name:<12} {count:>8} {:>14} {:>14} {:>14} {:>14} {:>8}",
        shown[0],
        shown[1],
        shown[2],
        shown[3],
        sum / count
    );
    drop((config, rereader, table));
}
