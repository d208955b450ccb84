//! Wall clocks that somebody steps by an hour. Timers do not go by them; signed adverts (`auth_hmac`) do, and their
//! replay protection is to hold on a pair of which one clock is stepped. There is one clock for all network namespaces, so
//! one director gets another by libfaketime; `lab_clock_ipvs` steps the real one of the virtual machine.

use lab::process::Process;

use super::*;

/// Where Debian has it, on any machine.
fn library() -> Option<std::path::PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

/// A director with a clock of its own.
struct Clocked {
    process: Process,
    clock: std::path::PathBuf,
}

impl Clocked {
    /// Its clock is so many seconds ahead of the machine's.
    fn start(pair: &Pair, library: &std::path::Path, host: &str, conf: &Conf, ahead: i64) -> Self {
        let clock = pair.lab.file(&format!("{host}/clock"), &format!("{ahead:+}\n"));
        let config = pair.lab.file(&format!("{host}/director.conf"), &conf.text()).display().to_string();
        let path = |name: &str| pair.lab.work().join(host).join(name).display().to_string();
        let (pid, control, run, state) = (path("pid"), path("control.sock"), path("run"), path("state"));
        let program = director::tandem().display().to_string();
        let mut argv: Vec<&str> =
            director::COMMON.iter().copied().filter(|_| !director::realtime()).collect();
        argv.extend([program.as_str(), "run", "--config", &config, "--pid", &pid, "--control", &control]);
        argv.extend(["--run-dir", &run, "--state-dir", &state]);
        let (library, file) = (library.display().to_string(), clock.display().to_string());
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            // Read at each look.
            ("FAKETIME_NO_CACHE", "1"),
            // Only the wall clock; the others cannot be stepped.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
            ("NO_FAKE_STAT", "1"),
        ];
        let process = Process::start(&pair.lab, host, &format!("tandem on {host}"), &argv, &environment);
        Self { process, clock }
    }

    fn step(&self, ahead: i64) -> Instant {
        std::fs::write(&self.clock, format!("{ahead:+}\n")).expect("the clock");
        now()
    }
}

/// A pair whose adverts are signed.
fn signed(state: &'static str, priority: u8) -> Conf {
    let key = "0123456789abcdef".repeat(4);
    Conf::new(state, priority)
        .line(&format!("auth_hmac {{\n        key 1 hex:{key}\n        active_key 1\n    }}"))
}

#[test]
fn stepped_by_an_hour_on_either_side_of_a_signed_pair() {
    if director::tandem_only("a clock of its own") {
        return;
    }
    let Some(library) = library() else {
        println!(
            "SKIPPED: no libfaketime (package libfaketime): a clock of one director alone cannot be stepped"
        );
        return;
    };
    let pair = Pair::new("fclock");
    let d1 = Clocked::start(&pair, &library, "d1", &signed("MASTER", 150), 0);
    let mut d2 = Clocked::start(&pair, &library, "d2", &signed("BACKUP", 100), 0);
    pair.master("d1");
    pair.wire.next_advert("d1", patience());
    for (who, name) in [(&d1, "master"), (&d2, "backup")] {
        for ahead in [3600, 0, -3600, 0] {
            let since = who.step(ahead);
            // Longer than the window of 5 s and the peer's patience after it.
            pair.calm(since, s(10));
            assert!(
                pair.wire.adverts("d2", since).is_empty(),
                "the backup did not believe the master: {name} {ahead}"
            );
            if ahead != 0 {
                silence(&format!("clock_of_{name}_stepped_{ahead}"), &pair, since, s(1), ms(500));
            }
        }
        let told = format!("{} by 3600 s", if name == "master" { "forward" } else { "back" });
        assert!(who.process.said().contains(&told), "it is said: {}", who.process.said());
    }
    // A director that begins with a wrong clock is believed by nobody and believes nobody, until that is mended.
    assert!(d2.process.stop(patience()).success());
    d1.step(-3600);
    let since = now();
    let d2 = Clocked::start(&pair, &library, "d2", &signed("BACKUP", 100), -3600);
    // The master hears somebody who knows the key and goes by its own clock: it follows that.
    let changes = || pair.watch.changes_of("d2", VIP, since);
    wait("the backup takes over and yields", patience(), || changes().len() == 2);
    let both = changes()[1].0.saturating_duration_since(changes()[0].0);
    pair.master("d1");
    measured("clocks_stepped_and_backup_restarted_both", both, s(1), ms(500));
    assert!(d1.process.said().contains("go by the clock from now on"), "{}", d1.process.said());
    assert_eq!(pair.watch.changes_of("d1", VIP, since), [], "the higher priority stayed");
    let since = now();
    // Both by the same time again: mended on both.
    d1.step(0);
    d2.step(0);
    pair.calm(since, s(10));
}

/// A machine whose clock is wrong when it starts: two masters, which `auth_hmac` by time cannot help. One again as soon as
/// the clock is right.
#[test]
fn wrong_at_the_start_and_mended() {
    if director::tandem_only("a clock of its own") {
        return;
    }
    let Some(library) = library() else {
        println!(
            "SKIPPED: no libfaketime (package libfaketime): a clock of one director alone cannot be wrong"
        );
        return;
    };
    let pair = Pair::new("fwrong");
    let d1 = Clocked::start(&pair, &library, "d1", &signed("MASTER", 150), -3600);
    let d2 = Clocked::start(&pair, &library, "d2", &signed("BACKUP", 100), 0);
    pair.watch.wait_holders(VIP, &["d1", "d2"], patience());
    d1.process.wait_for("ahead of our clock", patience());
    d2.process.wait_for("behind our clock", patience());
    pause(s(2));
    let mended = d1.step(0);
    pair.master("d1");
    let yielded = pair.watch.wait("d2", VIP, false, patience());
    measured("clock_mended_one_master", yielded.saturating_duration_since(mended), s(2), ms(500));
    pair.calm(now(), s(4));
}
