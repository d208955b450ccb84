//! Adverts and addresses on interfaces that are made of others: a bridge, a bond, a VLAN; and one that is deleted and
//! made anew under another index.

use super::*;

/// How the interface is made on a host, and its name.
struct Made {
    interface: &'static str,
    lines: &'static [&'static str],
}

const BRIDGE: Made = Made {
    interface: "br0",
    lines: &[
        "link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
        "link set eth0 master br0",
        "link set br0 up",
    ],
};
const BOND: Made = Made {
    interface: "bond0",
    lines: &[
        "link add bond0 type bond mode active-backup miimon 50",
        "link set eth0 down",
        "link set eth0 master bond0",
        "link set bond0 up",
    ],
};
const VLAN: Made = Made {
    interface: "eth0.5",
    lines: &["link add link eth0 name eth0.5 type vlan id 5", "link set eth0.5 up"],
};

fn director(name: &str, made: &Made, address: &str) -> Host {
    // The lower interface has no part in it: its own address is of nowhere.
    let bare = host(name).nic("eth0", "lan", "192.0.2.1/32");
    let address = format!("addr add {address}/24 dev {}", made.interface);
    made.lines.iter().fold(bare, |host, line| host.ip(line)).ip(&address)
}

/// Takeover and return through a pulled cable, and through the end of the interface itself.
fn scene(name: &str, made: &Made) {
    let hosts = [director("d1", made, "10.9.0.1"), director("d2", made, "10.9.0.2")];
    let lab = Lab::build(name, &["lan"], &hosts);
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let text = |conf: Conf| conf.text().replace("interface eth0", &format!("interface {}", made.interface));
    let _d1 = Director::start(&lab, "d1", &text(Conf::new("BACKUP", 150)));
    let _d2 = Director::start(&lab, "d2", &text(Conf::new("BACKUP", 100)));
    let master = |who: &str| watch.wait_holders(VIP, &[who], patience());
    master("d1");
    lab.cut("d1", "eth0");
    master("d2");
    lab.plug("d1", "eth0");
    master("d1");
    let gone = now();
    lab.ip("d1", &format!("link del {}", made.interface));
    master("d2");
    let took = watch.wait("d2", VIP, true, patience()).saturating_duration_since(gone);
    measured(&format!("{name}_deleted_takeover"), took, down_interval(s(1), 100), ms(200));
    for line in made.lines {
        lab.ip("d1", line);
    }
    lab.ip("d1", &format!("addr add 10.9.0.1/24 dev {}", made.interface));
    let made_anew = now();
    master("d1");
    println!("MEASURED {name}_made_anew_master_again_ms={}", made_anew.elapsed().as_millis());
    let since = now();
    pause(s(3));
    let moved: Vec<_> = watch.changes().into_iter().filter(|change| change.at >= since).collect();
    assert!(moved.is_empty(), "the pair is not calm: {moved:#?}");
}

/// True when this kernel can make such an interface; else says so.
fn possible(kind: &str, words: &str) -> bool {
    let lab = Lab::build("probe", &["lan"], &[host("d1").nic("eth0", "lan", "192.0.2.1/32")]);
    let (space, words) = (lab.space("d1"), format!("link add {words}"));
    let argv = ["-n", &space].into_iter().chain(words.split(' '));
    let out = std::process::Command::new("ip").args(argv).output().expect("ip (package iproute2)");
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        println!("SKIPPED: this kernel has no {kind} ({})", said.trim());
    }
    out.status.success()
}

#[test]
fn on_a_bridge() {
    scene("bridge", &BRIDGE);
}

#[test]
fn on_a_bond() {
    if possible("bond", "probe type bond") {
        scene("bond", &BOND);
    }
}

#[test]
fn on_a_vlan() {
    if possible("VLAN", "link eth0 name probe type vlan id 5") {
        scene("vlan", &VLAN);
    }
}

/// `garp_extra_if all`: an address that a master has on another interface is announced there each second, on that LAN, and
/// the instance's own is not; the same from Debian's keepalived. A backup says nothing.
#[test]
fn addresses_on_further_interfaces_are_announced_again_and_again() {
    for kind in [Kind::Tandem, Kind::Keepalived] {
        let director = |name: &str, last: u8| {
            host(name).nic("eth0", "lan", &format!("10.9.0.{last}/24")).nic(
                "eth1",
                "other",
                &format!("10.8.0.{last}/24"),
            )
        };
        let hosts = [director("d1", 1), director("d2", 2)];
        let lab = Lab::build("extra", &["lan", "other"], &hosts);
        let watch = AddressWatch::start(&lab, &["d1", "d2"]);
        let wire = Wire::start(&lab);
        let conf = |priority| {
            Conf::new("BACKUP", priority)
                .address("10.8.0.100/24 dev eth1")
                .line("garp_master_delay 1")
                .line("garp_master_repeat 1")
                .line("garp_extra_if all 1")
        };
        let mut d1 = Director::start_as(&lab, "d1", kind, &conf(150).text());
        watch.wait_holders(VIP, &["d1"], patience());
        let _d2 = Director::start_as(&lab, "d2", Kind::Tandem, &conf(100).text());
        // The announcements of the takeover itself, at once and a second later.
        pause(s(3));
        let since = now();
        pause(s(4));
        let told = |who: &str, address: &str| wire.announcements(who, address, since).len();
        let again = told("d1", "10.8.0.100");
        assert!((3..=5).contains(&again), "{kind}: {again} announcements in 4 s");
        assert_eq!(told("d1", VIP), 0, "{kind}: those of the instance's own interface are others' affair");
        assert_eq!([told("d2", "10.8.0.100"), told("d2", VIP)], [0, 0], "{kind}: a backup is silent");
        // And by whoever is master.
        d1.kill();
        watch.wait_holders(VIP, &["d1", "d2"], patience());
        pause(s(3));
        let since = now();
        pause(s(3));
        assert!(wire.announcements("d2", "10.8.0.100", since).len() >= 2, "after a takeover");
    }
}
