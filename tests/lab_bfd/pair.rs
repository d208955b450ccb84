//! Tandem with Tandem.

use std::net::UdpSocket;

use super::*;

#[test]
fn a_cut_line_is_found_within_the_default_50_milliseconds() {
    if tandem_only("logs of its own are read") {
        return;
    }
    let lab = two_hosts("bfdcut");
    let sessions = |other: u8, more: &str| {
        conf(&[
            session("four", &format!("10.9.0.{other}"), &format!("source_ip 10.9.0.{}\n{more}", 3 - other)),
            session("six", &format!("fd09::{other}"), "hoplimit 255"),
        ])
    };
    let d1 = Director::start(&lab, "d1", &sessions(2, ""));
    let d2 = Director::start(&lab, "d2", &sessions(1, "passive"));
    for round in 0..3 {
        let marks = if round == 0 { [0, 0] } else { [&d1, &d2].map(Director::mark) };
        if round > 0 {
            lab.rejoin("d1", "eth0", "lan");
        }
        for (director, mark) in [(&d1, marks[0]), (&d2, marks[1])] {
            for name in ["four", "six"] {
                wait_said(director, mark, name, true);
            }
        }
        // The fast pace is agreed on within some packets.
        pause(ms(500));
        let marks = [&d1, &d2].map(Director::mark);
        let cut = now();
        lab.isolate("d1", "eth0");
        for (director, mark) in [(&d1, marks[0]), (&d2, marks[1])] {
            for name in ["four", "six"] {
                let took = wait_said(director, mark, name, false) - cut;
                measured(&format!("bfd_cut_{}_{name}", director.host), took, ms(50), ms(150));
            }
        }
    }
}

#[test]
fn a_port_of_another_program_is_told_and_taken_when_it_is_free() {
    if tandem_only("logs of its own are read") {
        return;
    }
    let lab = two_hosts("bfdport");
    let other = lab.inside("d1", || UdpSocket::bind("0.0.0.0:3784").expect("the port"));
    let d1 = Director::start(&lab, "d1", &conf(&[session("four", "10.9.0.2", PACE)]));
    let d2 = Director::start(&lab, "d2", &conf(&[session("four", "10.9.0.1", PACE)]));
    d1.process.wait_for("cannot listen on UDP port 3784 (IPv4)", patience());
    pause(ms(1500));
    assert!(!says(&d1, 0, "four", true));
    drop(other);
    wait_said(&d1, 0, "four", true);
    wait_said(&d2, 0, "four", true);
}

#[test]
fn a_reload_keeps_sessions_ends_removed_ones_and_begins_new_ones() {
    if tandem_only("logs of its own are read") {
        return;
    }
    let lab = two_hosts("bfdreload");
    let four = |lines: &str| session("four", "10.9.0.2", lines);
    let six = |lines: &str| session("six", "fd09::2", lines);
    let d1 = Director::start(&lab, "d1", &conf(&[four(PACE)]));
    let d2 = Director::start(
        &lab,
        "d2",
        &conf(&[session("four", "10.9.0.1", PACE), session("six", "fd09::1", PACE)]),
    );
    wait_said(&d1, 0, "four", true);
    wait_said(&d2, 0, "four", true);
    // Slower, and one more.
    let marks = [&d1, &d2].map(Director::mark);
    d1.reload(&conf(&[four("min_rx 400\n    min_tx 400\n    multiplier 2"), six(PACE)]));
    wait_said(&d1, marks[0], "six", true);
    wait_said(&d2, marks[1], "six", true);
    calm(&d1, &["four", "six"], s(3));
    calm(&d2, &["four", "six"], ms(1));
    assert!(!says(&d1, marks[0], "four", false) && !says(&d2, marks[1], "four", false));
    // Fast again, and one less: its neighbour is told at once.
    let marks = [&d1, &d2].map(Director::mark);
    d1.reload(&conf(&[four(PACE)]));
    wait_said(&d2, marks[1], "six", false);
    assert!(d2.said_since(marks[1]).contains("the neighbour said ADMIN_DOWN: administratively down"));
    calm(&d1, &["four"], s(2));
    assert!(!says(&d1, marks[0], "four", false) && !says(&d2, marks[1], "four", false));
    // The new pace counts: 3 * 100 ms and not 2 * 400 ms.
    let mut d1 = d1;
    let mark = d2.mark();
    let killed = now();
    d1.kill();
    let took = wait_said(&d2, mark, "four", false) - killed;
    measured("bfd_killed_after_reloads", took, DETECTION, ms(200));
}
