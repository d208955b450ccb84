//! `tandem plan` against a real IPVS table that `ipvsadm` made. Needs root and ip_vs: the Makefile runs it in the lab's
//! virtual machine where the running kernel has none.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests take the time and may unwrap; the lab has more than this file uses"
)]

mod ipvs_lab;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ipvs_lab::{LIMIT, in_namespace, ipvsadm, saved};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const CONF: &str = "\
virtual_server 10.0.0.100 80 {
  lb_algo wlc
  lb_kind DR
  protocol TCP
  persistence_timeout 50
  real_server 10.1.0.1 80 {
    weight 3
    uthreshold 100
  }
  real_server 10.1.0.2 80 {
    weight 1
    TCP_CHECK {
      connect_timeout 1
    }
  }
}
virtual_server fwmark 7 {
  lb_algo rr
  lb_kind TUN
  real_server 10.1.0.1 0 {
    weight 1
  }
}
";

/// A file of this test by this name.
fn file(name: &str, text: &str) -> String {
    let path = std::env::temp_dir().join(format!("tandem-plan-ipvs-{name}-{}.conf", std::process::id()));
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn plan(words: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_tandem")).arg("plan").args(words).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.code(), text)
}

fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|there| there.starts_with(line)), "no line {line:?}:\n{text}");
    }
}

#[test]
fn the_table_is_compared_setting_by_setting() {
    in_namespace(|| {
        let conf = file("compare", CONF);
        ipvsadm(
            "-A -t 10.0.0.100:80 -s rr
             -a -t 10.0.0.100:80 -r 10.1.0.1:80 -m -w 1
             -a -t 10.0.0.100:80 -r 10.1.0.9:80 -g -w 1
             -A -t 10.0.0.200:443 -s wlc
             -a -t 10.0.0.200:443 -r 10.1.0.1:443 -g -w 1",
        );
        let before = saved();
        let (code, text) = plan(&[&conf]);
        assert_eq!(code, Some(1), "{text}");
        assert_lines(
            &text,
            &[
                "~ service TCP 10.0.0.100:80: the file says otherwise",
                "        scheduler rr -> wlc",
                "        persistence off -> 50 s by /32",
                "~   destination 10.1.0.1:80: the file says otherwise",
                "        method NAT -> DR",
                "        weight 1 -> 3",
                "        upper threshold 0 -> 100",
                "+   destination 10.1.0.2:80 (DR, weight 1): ",
                "-   destination 10.1.0.9:80: the file has no such real server",
                "+ service FWM 7 (rr): the kernel does not have it",
                "+   destination 10.1.0.1:0 (TUN, weight 1): ",
                "= service TCP 10.0.0.200:443 (wlc; 1 destination): left alone: the file does not name it",
                "now: services +1 ~1; destinations +2 ~1 -1",
            ],
        );
        assert_eq!(saved(), before, "a plan changes nothing");
        fs::remove_file(conf).unwrap();
    });
}

/// A daemon that one signal ends whole: a killed supervisor would make its worker leave in order, and take the table along.
fn daemon(conf: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command
        .args(["run", "--no-supervisor", "--config", conf])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn end(mut daemon: Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(daemon.id()).unwrap()), signal).unwrap();
    daemon.wait().unwrap();
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn what_tandem_programs_is_nothing_to_do() {
    in_namespace(|| {
        // Without checkers, so that nothing is ever taken out.
        let text = CONF.replace("    TCP_CHECK {\n      connect_timeout 1\n    }\n", "");
        let conf = file("running", &text);
        let running = daemon(&conf);
        until("the table", || saved().len() == 5);
        let (code, said) = plan(&[&conf]);
        assert_eq!(code, Some(0), "{said}");
        assert_lines(&said, &["now: nothing would change"]);
        assert!(said.contains("as a reload of the Tandem that runs here"), "{said}");

        // The next file: what a reload would do, and then does.
        let (head, _) = text.split_once("virtual_server fwmark").unwrap();
        let next = file("next", &head.replace("weight 3", "weight 5"));
        let (code, said) = plan(&["--from", &conf, &next]);
        assert_eq!(code, Some(1), "{said}");
        assert_lines(
            &said,
            &[
                "~   virtual_server 10.0.0.100 80 TCP: real_server 10.1.0.1 80: weight 3 -> 5",
                "-   virtual_server fwmark 7",
                "~   destination 10.1.0.1:80: weight 3 -> 5",
                "- service FWM 7: the file before named it",
            ],
        );
        fs::rename(&next, &conf).unwrap();
        kill(Pid::from_raw(i32::try_from(running.id()).unwrap()), Signal::SIGHUP).unwrap();
        until("the reloaded table", || saved().len() == 3);
        until("nothing to do", || plan(&[&conf]).0 == Some(0));
        // Killed: the table stays, and the next start would adopt it as it is.
        end(running, Signal::SIGKILL);
        let (code, said) = plan(&[&conf]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("as a start"), "{said}");
        fs::remove_file(conf).unwrap();
    });
}
