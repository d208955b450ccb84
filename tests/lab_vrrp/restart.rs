//! What a restart leaves behind: nothing that the peer or a client could see.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// The worker of a director.
pub(super) fn worker(director: &Director) -> i32 {
    let pid = director.process.pid();
    let mut found = None;
    wait("a worker", patience(), || {
        found = process::descendants(pid).into_iter().find(|child| is_tandem(*child));
        found.is_some()
    });
    found.expect("just found")
}

pub(super) fn is_tandem(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "tandem")
}

pub(super) fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("a signal");
}

/// A master with a notify script and a backup that would take over.
pub(super) fn two(name: &str) -> Option<(Pair, Director, Director, std::path::PathBuf)> {
    if director::tandem_only("a restart without a trace") {
        return None;
    }
    let pair = Pair::new(name);
    let out = pair.lab.file("notified", "");
    let script = pair.lab.file("notify.sh", &format!("echo \"$*\" >>{}\n", out.display()));
    let told = format!("notify \"/bin/sh {}\"", script.display());
    let d1 = pair.start("d1", &Conf::new("MASTER", 150).line(&told));
    let d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    wait("notify MASTER", patience(), || lines(&out).len() >= 2);
    pair.wire.next_advert("d1", patience());
    Some((pair, d1, d2, out))
}

pub(super) fn lines(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The address did not move, the peer said nothing, nobody was told anything.
#[track_caller]
pub(super) fn no_trace(pair: &Pair, out: &std::path::Path, since: Instant) {
    pair.calm(since, s(4));
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    assert!(pair.wire.adverts("d1", since).iter().all(|(_, priority)| *priority == 150));
    assert_eq!(lines(out).len(), 2, "nobody was told: {:?}", lines(out));
}

#[test]
fn a_killed_worker_is_replaced_and_nobody_notices() {
    let Some((pair, d1, _d2, out)) = two("reswork") else { return };
    let master_since = || {
        let said = orders::told(&pair, "d1", &["status", "--json"]);
        let view: serde_json::Value = serde_json::from_str(&said).expect("a status");
        view["instances"][0]["master_since"].as_str().expect("it is known").to_owned()
    };
    let was = master_since();
    let first = worker(&d1);
    let since = now();
    signal(first, Signal::SIGKILL);
    wait("another worker", patience(), || worker(&d1) != first);
    no_trace(&pair, &out, since);
    assert_eq!(master_since(), was, "nobody has noticed that it was away");
    let said = orders::told(&pair, "d1", &["status"]);
    assert!(said.contains(&format!("MASTER since {was}")), "{said}");
    measured("worker_killed_longest_silence", pair.longest_silence("d1", since), s(1), ms(1500));
    assert!(d1.said().contains("going on as master of VI_1"), "{}", d1.said());
    assert!(d1.said().contains("ended by signal 9"));
}

/// Somebody is writing the file when the worker dies: half of it must cost nothing.
#[test]
fn a_worker_after_a_crash_does_not_go_by_a_broken_file() {
    let Some((pair, d1, _d2, out)) = two("resfile") else { return };
    let kept = pair.lab.work().join("d1/run/config.json");
    wait("what is in force is kept", patience(), || kept.exists());
    let file = pair.lab.work().join("d1/director.conf");
    let good = std::fs::read_to_string(&file).expect("the configuration");
    let first = worker(&d1);
    let since = now();
    // A start would drop its instance, and run on without.
    let half = good.split("virtual_router_id").next().expect("a first half");
    std::fs::write(&file, half).expect("half a file");
    signal(first, Signal::SIGKILL);
    wait("another worker", patience(), || worker(&d1) != first);
    no_trace(&pair, &out, since);
    let said = d1.said();
    assert!(said.contains("Going on with the configuration that was in force before the restart"), "{said}");
    assert!(said.contains("going on as master of VI_1"), "{said}");
    // And once more, of what the second one keeps; then a good file counts again.
    let second = worker(&d1);
    signal(second, Signal::SIGKILL);
    wait("a third worker", patience(), || worker(&d1) != second);
    wait("it goes on", patience(), || d1.said().matches("Going on with the configuration").count() == 2);
    std::fs::write(&file, good).expect("the configuration");
    let third = worker(&d1);
    let mark = d1.mark();
    signal(third, Signal::SIGKILL);
    wait("a fourth worker", patience(), || d1.said_since(mark).contains("going on as master of VI_1"));
    assert!(!d1.said_since(mark).contains("Going on with"), "{}", d1.said_since(mark));
    no_trace(&pair, &out, since);
    let mut d1 = d1;
    assert!(d1.stop().success());
    assert!(!kept.exists(), "an orderly end leaves nothing");
}

#[test]
fn everything_killed_and_started_again_at_once() {
    let Some((pair, mut d1, _d2, out)) = two("resall") else { return };
    let since = now();
    d1.kill();
    let d1 = d1.again(&pair.lab);
    no_trace(&pair, &out, since);
    measured("all_killed_longest_silence", pair.longest_silence("d1", since), s(1), ms(1500));
    assert!(d1.said().contains("going on as master of VI_1"), "{}", d1.said());
}

#[test]
fn a_killed_supervisor_makes_the_worker_leave_in_order() {
    let Some((pair, d1, _d2, _out)) = two("ressup") else { return };
    let took = pair.takeover("d1", "d2", || signal(d1.process.pid(), Signal::SIGKILL));
    measured("supervisor_killed_takeover", took, skew(s(1), 100), ms(200));
    pair.watch.wait_holders(VIP, &["d2"], patience());
}

#[test]
fn a_stopped_worker_is_let_on_before_the_peer_takes_over() {
    let Some((pair, d1, _d2, out)) = two("resstop") else { return };
    let since = now();
    signal(worker(&d1), Signal::SIGSTOP);
    pause(s(2));
    no_trace(&pair, &out, since);
    assert!(d1.said().contains("was stopped by a signal, and goes on"), "{}", d1.said());
}

#[test]
fn an_upgrade_keeps_the_address_and_the_pid() {
    let Some((pair, d1, _d2, out)) = two("resup") else { return };
    let (parent, first) = (d1.process.pid(), worker(&d1));
    let since = now();
    let control = pair.lab.work().join("d1/control.sock").display().to_string();
    let tandem = director::tandem().display().to_string();
    let said = pair.lab.command("d1", &[tandem.as_str(), "upgrade", "--control", control.as_str()]);
    println!("{said}");
    assert!(said.contains("goes on for"), "{said}");
    let second = worker(&d1);
    assert_ne!(first, second);
    assert!(is_tandem(parent), "the process that systemd knows stays");
    no_trace(&pair, &out, since);
    measured("upgrade_longest_silence", pair.longest_silence("d1", since), s(1), ms(1500));
}

#[test]
fn leaving_and_starting_is_no_failover() {
    let Some((pair, mut d1, _d2, out)) = two("resleave") else { return };
    let since = now();
    let control = pair.lab.work().join("d1/control.sock").display().to_string();
    let tandem = director::tandem().display().to_string();
    pair.lab.command("d1", &[tandem.as_str(), "leave", "--control", control.as_str()]);
    let status = d1.process.wait(patience());
    assert!(status.success(), "ended with {status}");
    assert!(pair.watch.has("d1", VIP));
    let _d1 = d1.again(&pair.lab);
    no_trace(&pair, &out, since);
}

/// The second of an ending that belongs to programs which still run is not one without adverts.
#[test]
fn adverts_go_on_while_a_leaving_worker_waits_for_its_scripts() {
    if director::tandem_only("leaving without a trace") {
        return;
    }
    let pair = Pair::new("resslow");
    let script = pair.lab.file("slow.sh", "sleep 60\n");
    let slow = Conf::new("MASTER", 150).advert("0.2").line("version 3");
    let mut d1 = pair.start("d1", &slow.line(&format!("notify_master \"/bin/sh {}\"", script.display())));
    pair.master("d1");
    wait("the script runs", patience(), || {
        process::descendants(d1.process.pid()).into_iter().any(|child| {
            std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "sleep")
        })
    });
    let control = pair.lab.work().join("d1/control.sock").display().to_string();
    let tandem = director::tandem().display().to_string();
    let since = now();
    pair.lab.command("d1", &[tandem.as_str(), "leave", "--control", control.as_str()]);
    assert!(d1.process.wait(patience()).success());
    let ended = now();
    assert!(d1.said().contains("scripts still run after 1 s"), "{}", d1.said());
    let silence = ended - pair.wire.last_advert("d1").expect("adverts").0;
    println!("MEASURED leaving_with_a_script_ms={}", (ended - since).as_millis());
    // An advert, the last words, and the end of two processes.
    measured("leaving_with_a_script_silence", silence, ms(200), ms(400));
}

/// `tandem WORD` for a director: exit code and words.
fn order(pair: &Pair, host: &str, words: &[&str]) -> (Option<i32>, String) {
    let room = pair.lab.work().join(host);
    let output = pair.lab.inside(host, || {
        let mut command = std::process::Command::new(director::tandem());
        command.args(words);
        match words {
            ["release", ..] => command.arg("--run-dir").arg(room.join("run")),
            _ => command.arg("--control").arg(room.join("control.sock")),
        };
        command.output()
    });
    let output = output.expect("tandem");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A master whose file is YAML, and a backup that would take over.
fn yaml(name: &str) -> Option<(Pair, Director, Director, std::path::PathBuf, String)> {
    if director::tandem_only("a restart with a file that cannot be read") {
        return None;
    }
    let pair = Pair::new(name);
    let conf = pair.lab.file("d1.conf", &Conf::new("MASTER", 150).text());
    let said = pair
        .lab
        .command("d1", &[&director::tandem().display().to_string(), "convert", &conf.display().to_string()]);
    let path = pair.lab.file("d1/director.yaml", &said);
    let d1 = Director::run(&pair.lab, "d1", director::kind(), &path, &[]);
    let d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    pair.wire.next_advert("d1", patience());
    Some((pair, d1, d2, path, said))
}

#[test]
fn nobody_leaves_for_a_file_that_cannot_be_read() {
    let Some((pair, d1, _d2, path, good)) = yaml("resbad") else { return };
    let (since, first) = (now(), worker(&d1));
    std::fs::write(&path, "vrrp_instance: 7\n").expect("a typo");
    for word in ["leave", "upgrade"] {
        let (code, said) = order(&pair, "d1", &[word]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("cannot be read any more"), "{said}");
    }
    std::fs::remove_file(&path).expect("no file at all");
    assert_eq!(order(&pair, "d1", &["leave"]).0, Some(2));
    // A unit does not start what has nothing to run.
    std::fs::write(&path, "# comments\n").expect("only those");
    assert_eq!(order(&pair, "d1", &["leave"]).0, Some(2));
    std::fs::write(&path, good).expect("as it was");
    pair.calm(since, s(4));
    assert_eq!(worker(&d1), first, "the worker goes on");
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
}

#[test]
fn a_start_that_is_refused_after_a_leave_gives_the_address_up() {
    let Some((pair, mut d1, _d2, path, _)) = yaml("resrefu") else { return };
    assert_eq!(order(&pair, "d1", &["leave"]).0, Some(0));
    assert!(d1.process.wait(patience()).success());
    assert!(pair.watch.has("d1", VIP), "it is left here for the start that follows");
    std::fs::write(&path, "vrrp_instance: 7\n").expect("a typo in this very moment");
    let mut d1 = d1.again(&pair.lab);
    assert_eq!(d1.process.wait(patience()).code(), Some(3), "{}", d1.said());
    assert!(!pair.watch.has("d1", VIP), "nobody looks after it: {}", d1.said());
    assert!(d1.said().contains("1 addresses were taken off this machine"), "{}", d1.said());
    pair.watch.wait_holders(VIP, &["d2"], patience());
}

#[test]
fn a_new_program_that_finds_a_broken_file_goes_on_by_what_was_in_force() {
    let Some((pair, d1, _d2, path, _)) = yaml("resnew") else { return };
    // A pipe: it can be read by whoever asks first, and the next one finds a typo.
    let text = std::fs::read_to_string(&path).expect("the file");
    std::fs::remove_file(&path).expect("in its place");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let writer = std::thread::spawn(move || {
        std::fs::write(&path, text).expect("the one that is asked whether it may leave");
        // The first reader has closed it by then.
        pause(ms(100));
        std::fs::write(&path, "vrrp_instance: 7\n").expect("the one that begins");
    });
    let since = now();
    let _ = order(&pair, "d1", &["upgrade"]);
    writer.join().expect("both have read");
    wait("the new program goes on", patience(), || {
        d1.said().contains("Going on with the configuration that was in force")
    });
    pair.calm(since, s(4));
    assert!(pair.watch.has("d1", VIP), "{}", d1.said());
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over: {}", d1.said());
}

#[test]
fn what_nobody_came_for_is_released_by_hand() {
    let Some((pair, mut d1, _d2, _path, _)) = yaml("reshand") else { return };
    let (code, said) = order(&pair, "d1", &["release"]);
    assert_eq!(code, Some(2), "it runs: {said}");
    assert_eq!(order(&pair, "d1", &["leave"]).0, Some(0));
    assert!(d1.process.wait(patience()).success());
    assert_eq!(order(&pair, "d1", &["release", "--if-failed"]), (Some(0), String::new()));
    assert!(pair.watch.has("d1", VIP), "a unit that is restarted keeps it");
    let (code, said) = order(&pair, "d1", &["release"]);
    assert_eq!((code, said.trim()), (Some(0), "1 addresses were taken off this machine"));
    pair.watch.wait_holders(VIP, &["d2"], patience());
}

#[test]
fn a_worker_that_never_stays_alive_hands_the_address_to_the_peer() {
    let Some((pair, mut d1, _d2, _out)) = two("resloop") else { return };
    let begun = now();
    while d1.process.running() {
        assert!(begun.elapsed() < patience() * 2, "it never gives up: {}", d1.said());
        for child in process::descendants(d1.process.pid()).into_iter().filter(|child| is_tandem(*child)) {
            let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
        }
        pause(ms(20));
    }
    assert!(d1.said().contains("no worker stays alive"), "{}", d1.said());
    pair.watch.wait_holders(VIP, &["d2"], patience());
}

/// A service, so that the threads of checks and of the table have something to do.
const SERVICE: &str = "virtual_server 10.9.0.100 80 {
    delay_loop 1
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 10.9.0.1 80 {
        TCP_CHECK {
            connect_timeout 1
        }
    }
}
";

#[test]
fn a_panic_in_any_thread_is_not_noticed_outside() {
    if director::tandem_only("panics") {
        return;
    }
    let pair = Pair::new("respanic");
    let d1 = Director::start(&pair.lab, "d1", &(Conf::new("MASTER", 150).text() + SERVICE));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let file = pair.lab.work().join("d1/fault");
    for thread in ["main", "vrrp", "net", "check", "devices"] {
        pair.wire.next_advert("d1", patience());
        let (since, mark) = (now(), d1.mark());
        std::fs::write(&file, format!("panic {thread}")).expect("a file");
        wait("somebody takes the order", patience(), || !file.exists());
        pair.calm(since, s(4));
        assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over after a panic of {thread}");
        let silence = pair.longest_silence("d1", since);
        let said = d1.said_since(mark);
        assert!(said.contains("as the test wishes"), "{thread}: {said}");
        println!("MEASURED panic_{thread}_longest_silence_ms={}", silence.as_millis());
        // The log's reader knows what to do about it.
        assert!(said.contains("please report"), "{thread}: {said}");
    }
}

#[test]
fn a_vrrp_thread_that_hangs_is_replaced_before_the_peer_takes_over() {
    let Some((pair, d1, _d2, out)) = two("reshang") else { return };
    let file = pair.lab.work().join("d1/fault");
    let since = now();
    std::fs::write(&file, "hang vrrp").expect("a file");
    wait("it is seen", patience(), || d1.said().contains("the vrrp thread of the worker hangs"));
    no_trace(&pair, &out, since);
    println!("MEASURED hang_vrrp_longest_silence_ms={}", pair.longest_silence("d1", since).as_millis());
}

/// As many reloads in a row as `RELOADS` says (300), each with a random edit, every tenth of a broken file.
#[test]
fn reloads_in_a_row_cost_no_advert_and_no_address() {
    if director::tandem_only("reloads in a row") {
        return;
    }
    let count: u32 = std::env::var("RELOADS").ok().map_or(300, |text| text.parse().expect("a number"));
    let pair = Pair::new("resmany");
    let text = |priority: u8| Conf::new("MASTER", priority).text();
    let d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    pair.wire.next_advert("d1", patience());
    let since = now();
    let tandem = director::tandem().display().to_string();
    let control = pair.lab.work().join("d1/control.sock").display().to_string();
    let config = pair.lab.work().join("d1/director.conf");
    let (mut seed, mut refused) = (0x2545_f491_4f6c_dd1d_u64, 0);
    for round in 0..count {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let mut conf = Conf::new("MASTER", 150 + (seed % 50) as u8);
        for number in 0..8 {
            if seed >> (8 + number) & 1 == 1 {
                conf = conf.address(&format!("10.9.0.{}/24", 110 + number));
            }
        }
        if seed >> 20 & 1 == 1 {
            conf = conf.line(&format!("garp_master_repeat {}", 1 + (seed >> 21 & 3)));
        }
        let broken = round % 10 == 9;
        let text = conf.text();
        let text = if broken { text.replace("virtual_router_id 51", "virtual_router_id 300") } else { text };
        std::fs::write(&config, text).expect("the configuration");
        let reloaded = pair.lab.inside("d1", || {
            std::process::Command::new(&tandem).args(["reload", "--control", &control]).output()
        });
        let output = reloaded.expect("tandem reload");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(if broken { 2 } else { 0 }), "round {round}: {said}");
        if broken {
            refused += 1;
            assert!(said.contains("virtual_router_id"), "the reason is on the terminal: {said}");
        }
    }
    std::fs::write(&config, text(150)).expect("the configuration");
    d1.reload(&text(150));
    pause(s(2));
    assert_eq!(pair.watch.changes_of("d1", VIP, since), [], "the address stayed");
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    println!(
        "MEASURED reloads_in_a_row count={count} refused={refused} longest_silence_ms={}",
        pair.longest_silence("d1", since).as_millis()
    );
    measured("reloads_in_a_row_longest_silence", pair.longest_silence("d1", since), s(1), ms(300));
}
