//! Scripts and interfaces that move the mastership.

use super::*;

/// A script that succeeds while a file is there.
fn script(pair: &Pair, weight: &str) -> (std::path::PathBuf, String) {
    let flag = pair.lab.file("healthy", "");
    let text = format!(
        "vrrp_script chk {{\n    script \"/bin/sh -c 'test -e {}'\"\n    interval 1\n    fall 2\n    rise 1\n    {weight}\n}}",
        flag.display()
    );
    (flag, text)
}

#[test]
fn script_weight_lowers_the_priority() {
    let pair = Pair::new("weight");
    let (flag, text) = script(&pair, "weight -60");
    let track = "track_script {\n        chk\n    }";
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150).head(&text).line(track));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let since = now();
    std::fs::remove_file(&flag).expect("the flag");
    // Two failed runs 1 s apart, then the backup's down timer: it ignores the lower adverts.
    pair.master("d2");
    let took = pair.watch.wait("d2", VIP, true, patience()).saturating_duration_since(since);
    measured("script_weight_takeover", took, s(2) + down_interval(s(1), 100), ms(500));
    let lowered = pair.wire.adverts("d1", since).iter().any(|(_, priority)| *priority == 90);
    assert!(lowered, "d1 said 90: {:?}", pair.wire.adverts("d1", since));
    std::fs::write(&flag, "").expect("the flag");
    pair.master("d1");
}

#[test]
fn script_without_weight_means_fault() {
    let pair = Pair::new("fault");
    let (flag, text) = script(&pair, "");
    let track = "track_script {\n        chk\n    }";
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150).head(&text).line(track));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let since = now();
    std::fs::remove_file(&flag).expect("the flag");
    pair.master("d2");
    let zeros = pair.wire.adverts("d1", since).iter().filter(|(_, priority)| *priority == 0).count();
    assert!(zeros >= 1, "FAULT says goodbye: {:?}", pair.wire.adverts("d1", since));
    let taken = pair.watch.wait("d2", VIP, true, patience());
    let (goodbye, _) = pair.wire.last_advert("d1").expect("adverts");
    measured("script_fault_takeover", taken.saturating_duration_since(goodbye), skew(s(1), 100), ms(100));
    std::fs::write(&flag, "").expect("the flag");
    pair.master("d1");
}

#[test]
fn failing_script_at_start_holds_the_instance() {
    let pair = Pair::new("startfault");
    let (flag, text) = script(&pair, "");
    std::fs::remove_file(&flag).expect("the flag");
    let track = "track_script {\n        chk\n    }";
    let since = now();
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150).head(&text).line(track));
    pair.calm(since, s(6));
    std::fs::write(&flag, "").expect("the flag");
    pair.master("d1");
}

#[test]
fn tracked_interface_goes_down() {
    let hosts = [
        host("d1").nic("eth0", "lan", "10.9.0.1/24").nic("eth1", "other", "10.8.0.1/24"),
        host("d2").nic("eth0", "lan", "10.9.0.2/24").nic("eth1", "other", "10.8.0.2/24"),
    ];
    let lab = Lab::build("trackif", &["lan", "other"], &hosts);
    let (watch, wire) = (AddressWatch::start(&lab, &["d1", "d2"]), Wire::start(&lab));
    let pair = Pair { lab, watch, wire };
    let conf = |state, priority| Conf::new(state, priority).line("track_interface {\n        eth1\n    }");
    let _d1 = pair.start("d1", &conf("MASTER", 150));
    let _d2 = pair.start("d2", &conf("BACKUP", 100));
    pair.master("d1");
    let cut = now();
    pair.lab.cut("d1", "eth1");
    pair.master("d2");
    let taken = pair.watch.wait("d2", VIP, true, patience());
    let (goodbye, priority) = pair.wire.last_advert("d1").expect("adverts");
    assert_eq!(priority, 0, "a tracked interface that fails says goodbye");
    measured("track_interface_takeover", taken.saturating_duration_since(goodbye), skew(s(1), 100), ms(100));
    measured("track_interface_notice", goodbye.saturating_duration_since(cut), Duration::ZERO, ms(300));
    pair.lab.plug("d1", "eth1");
    pair.master("d1");
}

#[test]
fn tracked_interface_with_weight() {
    let hosts = [
        host("d1").nic("eth0", "lan", "10.9.0.1/24").nic("eth1", "other", "10.8.0.1/24"),
        host("d2").nic("eth0", "lan", "10.9.0.2/24"),
    ];
    let lab = Lab::build("trackw", &["lan", "other"], &hosts);
    let (watch, wire) = (AddressWatch::start(&lab, &["d1", "d2"]), Wire::start(&lab));
    let pair = Pair { lab, watch, wire };
    let conf = Conf::new("MASTER", 150).line("track_interface {\n        eth1 weight -80\n    }");
    let _d1 = pair.start("d1", &conf);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let since = now();
    pair.lab.cut("d1", "eth1");
    pair.master("d2");
    assert!(pair.wire.adverts("d1", since).iter().any(|(_, priority)| *priority == 70));
    pair.lab.plug("d1", "eth1");
    pair.master("d1");
}

/// Waits until a host says this priority.
#[track_caller]
fn says(pair: &Pair, host: &str, priority: u8) {
    let (begun, mut seen) = (now(), Vec::new());
    while now().saturating_duration_since(begun) < patience() {
        pair.wire.next_advert(host, patience());
        seen = pair.wire.adverts(host, begun);
        if seen.last().is_some_and(|(_, said)| *said == priority) {
            return;
        }
    }
    panic!("{host} does not say {priority}: {seen:?}");
}

#[test]
fn a_number_in_a_file_moves_the_priority() {
    let pair = Pair::new("trackfile");
    let number = pair.lab.file("number", "");
    let write = |text: &str| std::fs::write(&number, text).expect("the file");
    let head = format!("track_file num {{\n    file {}\n    weight 2\n}}", number.display());
    let _d1 =
        pair.start("d1", &Conf::new("MASTER", 150).head(&head).line("track_file {\n        num\n    }"));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    says(&pair, "d1", 150);
    for (text, priority) in [("10\n", 170), ("-5", 140), ("0x10", 182), ("300", 254), ("what", 150)] {
        write(text);
        says(&pair, "d1", priority);
    }
    // The backup ignores lower adverts until its timer is out.
    write("-60");
    pair.master("d2");
    write("0");
    pair.master("d1");
    // Below -253: FAULT, which says goodbye.
    let since = now();
    write("-127");
    pair.master("d2");
    assert!(pair.wire.adverts("d1", since).iter().any(|(_, priority)| *priority == 0));
    std::fs::remove_file(&number).expect("the file");
    pair.master("d1");
}

#[test]
fn a_process_that_ends_lowers_the_priority() {
    // keepalived's events do not reach a network namespace.
    if director::tandem_only("track_process in a network namespace") {
        return;
    }
    let pair = Pair::new("trackproc");
    let program = pair.lab.file("tandem-lab-p", "");
    std::fs::copy("/bin/sleep", &program).expect("a program");
    let run = || std::process::Command::new(&program).arg("1000").spawn().expect("a process");
    let mut child = run();
    let head = "vrrp_track_process p {\n    process tandem-lab-p\n    weight -80\n}";
    let _d1 =
        pair.start("d1", &Conf::new("MASTER", 150).head(head).line("track_process {\n        p\n    }"));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    says(&pair, "d1", 150);
    let since = now();
    child.kill().expect("a signal");
    child.wait().expect("its end");
    pair.master("d2");
    assert!(pair.wire.adverts("d1", since).iter().any(|(_, priority)| *priority == 70));
    let mut child = run();
    pair.master("d1");
    child.kill().expect("a signal");
    child.wait().expect("its end");
}

#[test]
fn a_group_tracks_for_its_members() {
    let pair = Pair::new("trackgroup");
    let number = pair.lab.file("number", "0");
    let head = format!(
        "track_file num {{\n    file {}\n    weight 1\n}}\nvrrp_sync_group G {{\n    group {{\n        VI_1\n    }}\n    \
         track_file {{\n        num\n    }}\n}}",
        number.display()
    );
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150).head(&head));
    pair.master("d1");
    std::fs::write(&number, "-20").expect("the file");
    says(&pair, "d1", 130);
}

#[test]
fn an_interface_that_bounces_within_its_delay_is_nothing() {
    let hosts = [
        host("d1").nic("eth0", "lan", "10.9.0.1/24").nic("eth1", "other", "10.8.0.1/24"),
        host("d2").nic("eth0", "lan", "10.9.0.2/24"),
    ];
    let lab = Lab::build("trackdelay", &["lan", "other"], &hosts);
    let (watch, wire) = (AddressWatch::start(&lab, &["d1", "d2"]), Wire::start(&lab));
    let pair = Pair { lab, watch, wire };
    let conf = Conf::new("MASTER", 150)
        .head("interface_up_down_delays {\n    eth1 3 1\n}")
        .line("track_interface {\n        eth1\n    }");
    let _d1 = pair.start("d1", &conf);
    pair.master("d1");
    let since = now();
    pair.lab.cut("d1", "eth1");
    pause(s(1));
    pair.lab.plug("d1", "eth1");
    pair.calm(since, s(5));
    let cut = now();
    pair.lab.cut("d1", "eth1");
    let gone = pair.watch.wait("d1", VIP, false, patience());
    measured("interface_down_delay", gone.saturating_duration_since(cut), s(3), ms(500));
    pair.lab.plug("d1", "eth1");
    pair.master("d1");
}

#[test]
fn an_interface_of_an_address_is_tracked() {
    let hosts = [host("d1").nic("eth0", "lan", "10.9.0.1/24").nic("eth1", "other", "10.8.0.1/24")];
    let lab = Lab::build("trackvip", &["lan", "other"], &hosts);
    let (watch, wire) = (AddressWatch::start(&lab, &["d1"]), Wire::start(&lab));
    let pair = Pair { lab, watch, wire };
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150).address("10.8.0.100/24 dev eth1"));
    pair.master("d1");
    let since = now();
    pair.lab.cut("d1", "eth1");
    pair.watch.wait("d1", VIP, false, patience());
    assert!(pair.wire.adverts("d1", since).iter().any(|(_, priority)| *priority == 0));
    pair.lab.plug("d1", "eth1");
    pair.master("d1");
}
