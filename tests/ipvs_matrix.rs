//! The proof of compatibility of IPVS settings: from one file Tandem and Debian's keepalived make the same table, line by
//! line of `ipvsadm -S -n`, for every scheduler, forwarding method, protocol, flag, tunnel, persistence, threshold, kind
//! of group. Needs root and ip_vs: the Makefile runs it in the lab's virtual machine where the running kernel has none.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests take the time and may unwrap; the lab has more than this file uses"
)]

mod ipvs_lab;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ipvs_lab::{LIMIT, command, in_namespace, sorted};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a table must stay as it is to count as complete.
const CALM: Duration = Duration::from_secs(2);

/// What keepalived itself does not program, or otherwise: lines that only one side has, by what they begin with.
const KNOWN: &[(&str, Side, &str)] = &[];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Keepalived,
    Tandem,
}

/// A file of many services, none of which has the key of another.
struct File {
    text: String,
    services: u16,
}

impl File {
    /// A service of its own address and port: `words` of the virtual server, and its real servers with theirs.
    fn service(&mut self, words: &str, reals: &[&str]) {
        let port = 8000 + self.services;
        let bodies: String = reals
            .iter()
            .map(|real| {
                let (address, inner) = real.split_once(' ').unwrap_or((real, ""));
                format!("  real_server {address} {port} {{\n    {inner}\n  }}\n")
            })
            .collect();
        self.whole(&format!("virtual_server 10.0.0.1 {port} {{\n  {words}\n{bodies}}}\n"));
    }

    fn whole(&mut self, text: &str) {
        self.services += 1;
        self.text += text;
    }
}

/// The matrix.
fn matrix() -> File {
    let mut file = File { text: String::new(), services: 0 };
    for scheduler in ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq"] {
        for method in ["NAT", "DR", "TUN"] {
            let words = format!("lb_algo {scheduler}\n  lb_kind {method}\n  protocol TCP");
            file.service(&words, &["10.1.0.1 weight 3", "10.1.0.2 weight 0"]);
        }
    }
    for flags in [
        "lb_algo sh\n  sh-port",
        "lb_algo sh\n  sh-fallback",
        "lb_algo sh\n  sh-port\n  sh-fallback",
        "lb_algo mh\n  mh-port",
        "lb_algo mh\n  mh-fallback",
        "lb_algo rr\n  flag-1",
        "lb_algo rr\n  flag-2\n  flag-3",
        "lb_algo wlc\n  flag-3",
        "lb_algo sh\n  flag-1\n  flag-2\n  flag-3",
        "lb_algo rr\n  sh-port",
    ] {
        file.service(&format!("{flags}\n  lb_kind DR\n  protocol TCP"), &["10.1.0.1", "10.1.0.2"]);
    }
    for tunnel in [
        "type ipip",
        "type gre",
        "type gre csum",
        "type gre nocsum",
        "type gue port 6080",
        "type gue port 6080 csum",
        "type gue port 6080 remcsum",
        "type gue port 6080 nocsum",
    ] {
        file.service(&format!("lb_algo rr\n  lb_kind TUN {tunnel}\n  protocol TCP"), &["10.1.0.1"]);
        let own = format!("10.1.0.1 lvs_method TUN {tunnel}");
        file.service("lb_algo rr\n  lb_kind DR\n  protocol UDP", &[&own, "10.1.0.2"]);
    }
    for words in [
        "protocol UDP",
        "protocol SCTP",
        "protocol tcp",
        "ops\n  protocol UDP",
        "persistence_timeout\n  protocol TCP",
        "persistence_timeout 50\n  protocol TCP",
        "persistence_timeout 50\n  persistence_granularity 255.255.255.0\n  protocol TCP",
        "persistence_granularity 255.255.0.0\n  protocol TCP",
        "persistence_timeout 50\n  persistence_engine sip\n  protocol UDP",
        "persistence_timeout 50\n  persistence_engine sip\n  ops\n  protocol UDP",
        "weight 7\n  protocol TCP",
        "protocol TCP\n  sorry_server 10.9.0.1 80\n  sorry_server_inhibit",
        "protocol TCP\n  sorry_server 10.9.0.1 80",
    ] {
        file.service(
            &format!("lb_algo wrr\n  lb_kind NAT\n  {words}"),
            &["10.1.0.1 weight 65535", "10.1.0.2"],
        );
    }
    file.service(
        "lb_algo wlc\n  lb_kind DR\n  protocol TCP",
        &["10.1.0.1 uthreshold 100\n    lthreshold 40", "10.1.0.2 uthreshold 100", "10.1.0.3 lvs_method NAT"],
    );
    for text in [
        "virtual_server 10.0.2.1 0 {\n lb_kind NAT\n lb_algo rr\n protocol TCP\n persistence_timeout 9\n real_server 10.1.0.1 0 {\n }\n}\n",
        "virtual_server 10.0.2.2 0 {\n lb_kind DR\n lb_algo rr\n protocol UDP\n real_server 10.1.0.1 0 {\n }\n}\n",
        "virtual_server 10.0.2.3 80 {\n lb_kind NAT\n lb_algo rr\n protocol TCP\n real_server 10.1.0.1 8080 {\n }\n real_server 10.1.0.1 8081 {\n }\n}\n",
        "virtual_server 10.0.2.4 80 {\n lb_kind DR\n lb_algo rr\n protocol TCP\n real_server 10.1.0.1 8080 {\n }\n}\n",
        "virtual_server fwmark 11 {\n lb_kind NAT\n lb_algo rr\n real_server 10.1.0.1 80 {\n }\n}\n",
        "virtual_server fwmark 12 {\n lb_kind DR\n lb_algo sh\n sh-port\n real_server 10.1.0.1 80 {\n }\n}\n",
        "virtual_server fwmark 13 {\n lb_kind TUN\n lb_algo rr\n ops\n real_server 10.1.0.1 0 {\n }\n}\n",
        "virtual_server fwmark 14 {\n lb_kind NAT\n lb_algo rr\n ip_family inet6\n persistence_timeout 9\n real_server 2001:db8:1::1 80 {\n }\n}\n",
        "virtual_server 2001:db8::1 80 {\n lb_kind NAT\n lb_algo rr\n protocol TCP\n real_server 2001:db8:1::1 80 {\n }\n}\n",
        "virtual_server 2001:db8::2 80 {\n lb_kind DR\n lb_algo rr\n protocol UDP\n persistence_timeout 9\n persistence_granularity 64\n real_server 2001:db8:1::1 80 {\n weight 2\n }\n}\n",
        "virtual_server 2001:db8::3 80 {\n lb_kind TUN\n lb_algo rr\n protocol TCP\n real_server 10.1.0.1 80 {\n }\n real_server 2001:db8:1::1 80 {\n }\n}\n",
        "virtual_server 10.0.2.5 80 {\n lb_kind TUN\n lb_algo rr\n protocol TCP\n real_server 2001:db8:1::1 80 {\n }\n}\n",
    ] {
        file.whole(text);
    }
    for (name, entries, words, reals) in [
        ("nat", "10.0.3.1 80\n 10.0.3.2-4 81", "lb_kind NAT\n protocol TCP", "10.1.0.1 80"),
        ("none", "10.0.3.11 80\n 10.0.3.12 81", "lb_kind NAT\n protocol TCP", "10.1.0.1"),
        ("dr", "10.0.3.21 80\n 10.0.3.22 81", "lb_kind DR\n protocol TCP", "10.1.0.1 80"),
        ("whole", "10.0.3.31-10.0.3.33 80", "lb_kind TUN type gre\n protocol TCP", "10.1.0.1 80"),
        ("port", "10.0.3.41 80\n 10.0.3.42", "lb_kind NAT\n protocol TCP", "10.1.0.1 80"),
        (
            "kept",
            "10.0.3.51 80\n fwmark 51",
            "lb_kind DR\n protocol TCP\n persistence_timeout 9",
            "10.1.0.1 80",
        ),
        ("marks", "fwmark 61\n fwmark 62", "lb_kind NAT", "10.1.0.1 80"),
        (
            "six",
            "2001:db8::61 80\n 2001:db8::62-64 80\n fwmark 63 inet6",
            "lb_kind NAT\n protocol UDP",
            "2001:db8:1::1 80",
        ),
        (
            "sorry",
            "10.0.3.71 80\n 10.0.3.72 81",
            "lb_kind NAT\n protocol TCP\n sorry_server 10.9.0.1\n sorry_server_inhibit",
            "10.1.0.1 80",
        ),
    ] {
        file.whole(&format!(
            "virtual_server_group {name} {{\n {entries}\n}}\nvirtual_server group {name} {{\n lb_algo rr\n {words}\n \
             real_server {reals} {{\n }}\n}}\n"
        ));
    }
    // The same group once more, for another protocol.
    file.whole("virtual_server group nat {\n lb_algo wlc\n lb_kind NAT\n protocol UDP\n real_server 10.1.0.9 80 {\n }\n}\n");
    file
}

fn daemon(side: Side, conf: &str) -> Child {
    let mut command = match side {
        Side::Tandem => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
            command.args(["run", "--config", conf, "--instance", "matrix"]);
            command
        }
        Side::Keepalived => {
            let base = format!("{conf}.pid");
            let mut command = Command::new("keepalived");
            command.args([
                "-n",
                "-l",
                "-f",
                conf,
                "-p",
                &base,
                "-r",
                &format!("{base}.v"),
                "-c",
                &format!("{base}.c"),
            ]);
            command
        }
    };
    let log = fs::File::create(format!("{conf}.log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command.spawn().unwrap()
}

fn table() -> Vec<String> {
    sorted(&command("ipvsadm", &["-S", "-n"]))
}

/// What the program makes of the file, in a namespace of its own: `ipvsadm -S -n`, thresholds, timeouts and daemons,
/// then what is left of it all after its end.
fn outcome(side: Side, text: &str) -> [Vec<String>; 3] {
    let path = std::env::temp_dir().join(format!("tandem-matrix-{side:?}-{}.conf", std::process::id()));
    fs::write(&path, text).unwrap();
    let conf = path.to_str().unwrap().to_owned();
    let (send, receive) = mpsc::channel();
    in_namespace(move || {
        command("ip", &["link", "add", "eth0", "type", "dummy"]);
        command("ip", &["address", "add", "192.168.5.1/24", "dev", "eth0"]);
        command("ip", &["link", "set", "eth0", "up", "multicast", "on"]);
        let mut child = daemon(side, &conf);
        let deadline = Instant::now() + LIMIT * 3;
        let (mut last, mut since) = (Vec::new(), Instant::now());
        while last.is_empty() || since.elapsed() < CALM {
            let log = || fs::read_to_string(format!("{conf}.log")).unwrap_or_default();
            assert!(child.try_wait().unwrap().is_none(), "{side:?} ended: {}", log());
            assert!(Instant::now() < deadline, "{side:?} does not come to rest: {last:#?}; {}", log());
            thread::sleep(Duration::from_millis(300));
            let now = table();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        let limits = sorted(&command("ipvsadm", &["-L", "-n", "--thresholds"]));
        let beside = || {
            let daemons = command("ipvsadm", &["-L", "-n", "--daemon"]);
            sorted(&(daemons + &command("ipvsadm", &["-L", "-n", "--timeout"])))
        };
        let mut around = beside();
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        child.wait().unwrap();
        around.push("after the end:".to_owned());
        around.extend(beside());
        around.extend(table());
        if let Ok(log) = fs::read_to_string(format!("{conf}.log")) {
            println!(
                "{side:?} said:\n{}",
                log.lines()
                    .filter(|l| l.contains("refused") || l.contains("error"))
                    .collect::<Vec<_>>()
                    .join("\n")
            );
        }
        send.send([last, limits, around]).unwrap();
    });
    receive.recv().unwrap()
}

/// Lines that only one of the two has and that nobody knows a reason for.
fn differences(theirs: &[String], ours: &[String]) -> String {
    let (theirs, ours): (BTreeSet<&String>, BTreeSet<&String>) =
        (theirs.iter().collect(), ours.iter().collect());
    let known = |line: &str, side| KNOWN.iter().any(|(begin, of, _)| *of == side && line.starts_with(begin));
    let mut words = String::new();
    for line in theirs.difference(&ours).filter(|line| !known(line, Side::Keepalived)) {
        let _ = writeln!(words, "keepalived alone: {line}");
    }
    for line in ours.difference(&theirs).filter(|line| !known(line, Side::Tandem)) {
        let _ = writeln!(words, "Tandem alone:     {line}");
    }
    words
}

#[test]
fn tandem_and_keepalived_program_the_same_table() {
    let file = matrix();
    assert!(file.services >= 60, "{} definitions", file.services);
    let [theirs, ours] = [Side::Keepalived, Side::Tandem].map(|side| outcome(side, &file.text));
    println!("{} definitions, {} lines of ipvsadm -S", file.services, theirs[0].len());
    assert!(theirs[0].len() > usize::from(file.services), "{:#?}", theirs[0]);
    let words: String = (0..3).map(|n| differences(&theirs[n], &ours[n])).collect();
    assert!(words.is_empty(), "\n{words}");
}

#[test]
fn timeouts_and_sync_daemons_are_the_same_and_go_again() {
    let service = "virtual_server 10.0.0.1 80 {\n lb_algo rr\n lb_kind DR\n protocol TCP\n real_server 10.1.0.1 80 {\n }\n}\n";
    let global = "global_defs {\n lvs_timeouts tcp 100 udp 200\n \
                  lvs_sync_daemon eth0 id 5 maxlen 1400 port 9000 ttl 3 group 224.0.0.82\n}\n";
    let text = format!("{global}{service}");
    let [theirs, ours] = [Side::Keepalived, Side::Tandem].map(|side| outcome(side, &text));
    assert_eq!(theirs[2].iter().filter(|line| line.contains("sync daemon")).count(), 2, "{:?}", theirs[2]);
    assert!(theirs[2].iter().any(|line| line.ends_with("100 120 200")), "{:?}", theirs[2]);
    let words: String = (0..3).map(|n| differences(&theirs[n], &ours[n])).collect();
    assert!(words.is_empty(), "\n{words}");
}
