//! The first load of a fresh table and its orderly stop, each run in a network namespace of its own: the kernel walks the
//! real servers that were removed in the last two minutes for each one that is added.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use tandem::check::farm::Farm;
use tandem::check::plan::Plan;
use tandem::config;
use tandem::config::resolve::Facts;
use tandem::ipvs::kernel::{self, Desired, Report};
use tandem::ipvs::table::Table;
use tokio::sync::watch;

use crate::daemon::{Daemon, Who, in_namespace, wait};
use crate::plain::{self, Asker};
use crate::{SERVERS, median, millis, text};

const LIMIT: Duration = Duration::from_secs(600);

/// Prints what each contender needs for the first load, and the two daemons for their stop.
pub fn load_and_stop(count: usize, runs: usize) {
    let text = text(count, "", 1);
    let loaded = config::load_text(Path::new("b.conf"), text.as_bytes(), &Facts::of_this_machine());
    let (farm, _) = Farm::start(Plan::new(&loaded.config), 1, Instant::now());
    let table = farm.table();
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..runs {
        let mut add = |what, value| times.entry(what).or_default().push(value);
        add("1 plain writer: wall", millis(in_namespace(|| plain(count))));
        add("2 Tandem's thread: wall", millis(in_namespace(|| thread(&table))));
        for who in [Who::Tandem, Who::Keepalived] {
            let found = in_namespace(|| daemon(who, &text, count));
            for (what, value) in found {
                add(what, value);
            }
        }
    }
    println!("\nload and stop, ms:");
    for (what, values) in times {
        let (least, most) =
            (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(0.0, f64::max));
        println!("    {what:<40} {:>10.0}   ({least:.0} to {most:.0})", median(values));
    }
}

fn plain(count: usize) -> Duration {
    let begun = Instant::now();
    plain::fill(count);
    let took = begun.elapsed();
    assert_eq!(Asker::new().weights(count - 1).len(), SERVERS);
    took
}

/// The thread that keeps the table, without what decides of it.
fn thread(table: &Table) -> Duration {
    let (desired, receiver) = watch::channel(Arc::new(Desired::default()));
    let (sender, mut report) = watch::channel(Report::default());
    let thread = std::thread::spawn(move || kernel::run(receiver, sender, &|_| ()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let value = Arc::new(Desired { number: 1, table: Arc::new(table.clone()), ..Desired::default() });
    let begun = Instant::now();
    desired.send_replace(value);
    runtime.block_on(async { report.wait_for(|report| report.applied == 1).await.map(|_| ()) }).unwrap();
    let took = begun.elapsed();
    drop(desired);
    thread.join().unwrap();
    took
}

fn daemon(who: Who, text: &str, count: usize) -> Vec<(&'static str, f64)> {
    let [load, load_cpu, stop, stop_cpu] = match who {
        Who::Tandem => [
            "3 Tandem: start to whole table",
            "4 Tandem: its processor",
            "7 Tandem: stop",
            "8 Tandem: its processor for it",
        ],
        Who::Keepalived => [
            "5 keepalived: start to whole table",
            "6 keepalived: its processor",
            "9 keepalived: stop",
            "9 keepalived: its processor for it",
        ],
    };
    let spent = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    };
    let _ = Command::new("ipvsadm").args(["-A", "-f", "77", "-s", "rr"]).status();
    let before = spent();
    let begun = Instant::now();
    let mut daemon = Daemon::start(who, text);
    let asker = Asker::new();
    wait("the whole table", LIMIT, || asker.weights(count - 1).len() == SERVERS);
    let mut found = vec![(load, millis(begun.elapsed())), (load_cpu, daemon.cpu() * 1000.0)];
    std::thread::sleep(Duration::from_secs(1));
    let so_far = daemon.cpu();
    let begun = Instant::now();
    kill(daemon.pid(), Signal::SIGTERM).unwrap();
    // A parent that kills its children and does not wait for them takes their time along: looked at on the way, too.
    let mut seen = so_far;
    wait("the end", LIMIT, || {
        seen = seen.max(daemon.cpu());
        daemon.child.try_wait().unwrap().is_some()
    });
    found.push((stop, millis(begun.elapsed())));
    found.push((stop_cpu, ((spent() - before).max(seen) - so_far) * 1000.0));
    let left = std::fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap_or_default();
    let left = left.lines().skip(3).count();
    if left != 1 {
        println!("    {who:?} left {left} lines in the table (1 is another's)");
    }
    found
}
