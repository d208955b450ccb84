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
