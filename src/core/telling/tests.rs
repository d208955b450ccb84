//! Each event with all that follows from it. The lines, words and subjects are those of Debian's keepalived 2.2.7.

use super::*;
use crate::check::{Event, What};
use crate::config::{self, resolve::Facts};

fn config(text: &str) -> Config {
    let loaded = config::load_text(std::path::Path::new("test.conf"), text.as_bytes(), &Facts::default());
    let errors: Vec<_> =
        loaded.diagnostics.iter().filter(|d| d.level == config::diagnostic::Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    loaded.config
}

const FILE: &str = "
global_defs {
    smtp_alert_vrrp on
    vrrp_notify_priority_changes on
}
vrrp_sync_group G1 {
    group { VI_1 VI_2 }
    notify_master \"/g master\"
    notify_stop \"/g stop\"
    notify \"/g any\"
}
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        10.9.0.100/24
        10.9.0.101/24
    }
    virtual_ipaddress_excluded { 2001:db8::1/64 }
    notify_master \"/n master\"
    notify_backup \"/n backup\"
    notify_fault \"/n fault\"
    notify_stop \"/n stop\"
    notify_master_rx_lower_pri \"/n lower\"
    notify \"/n any\"
}
vrrp_instance VI_2 {
    interface eth0
    virtual_router_id 52
    virtual_ipaddress { 10.9.0.102/24 }
    notify_deleted
    notify_priority_changes off
    smtp_alert off
}
vrrp_instance VI_3 {
    interface eth0
    virtual_router_id 53
    virtual_ipaddress { 10.9.0.103/24 }
    notify_deleted \"/n deleted\"
    notify \"/n any\"
}
";

fn entered(state: StateName) -> Happening<'static> {
    Happening::Instance { name: "VI_1", state, previous: StateName::Init, cause: "the reason", priority: 150 }
}

/// Programs as one line each.
fn programs(telling: &Telling) -> Vec<String> {
    let words = |run: &Run| [run.command.argv.join(" "), run.extra.join(" ")].join(" ").trim().to_owned();
    telling.runs.iter().map(words).collect()
}

fn text(telling: &Telling) -> &str {
    telling.line.as_ref().map_or("", |line| line.text.as_str())
}

#[test]
fn every_state_of_an_instance() {
    let config = config(FILE);
    let table = [
        (StateName::Master, "MASTER", "master", "=> VRRP Instance is now owning VRRP VIPs <="),
        (StateName::Backup, "BACKUP", "backup", "=> VRRP Instance is no longer owning VRRP VIPs <="),
        (StateName::Fault, "FAULT", "fault", "=> VRRP Instance is no longer owning VRRP VIPs <="),
        (StateName::Stopped, "STOP", "stop", ""),
    ];
    for (state, word, script, body) in table {
        let telling = tell(entered(state), &config).unwrap();
        assert_eq!(
            programs(&telling),
            [format!("/n {script}"), format!("/n any INSTANCE VI_1 {word} 150")],
            "the specific one first"
        );
        assert_eq!(text(&telling), format!("INSTANCE \"VI_1\" {word} 150"));
        assert!(telling.supersedes && telling.queue == "VI_1");
        match telling.mail {
            Some(letter) => {
                assert_eq!(letter.subject, format!("VRRP Instance VI_1 - Entering {word} state"));
                assert_eq!(letter.body.lines().next(), Some(body));
                assert!(letter.body.contains("Cause: the reason\n"));
            }
            None => assert_eq!(state, StateName::Stopped, "a stop is not mailed"),
        }
    }
    assert_eq!(tell(entered(StateName::Init), &config), None);
}

#[test]
fn the_environment_says_it_all() {
    let telling = tell(entered(StateName::Master), &config(FILE)).unwrap();
    let said: Vec<String> = telling.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        said,
        [
            "INSTANCE=VI_1",
            "STATE=MASTER",
            "PREVIOUS=INIT",
            "CAUSE=the reason",
            "PRIORITY=150",
            "VIPS=10.9.0.100 10.9.0.101 2001:db8::1"
        ]
    );
}

#[test]
fn a_group() {
    let config = config(FILE);
    let entered = |state| {
        let previous = StateName::Backup;
        tell(Happening::Group { name: "G1", state, previous, cause: "all of them" }, &config).unwrap()
    };
    let master = entered(StateName::Master);
    assert_eq!(programs(&master), ["/g master", "/g any GROUP G1 MASTER 0"]);
    assert_eq!(text(&master), "GROUP \"G1\" MASTER 0");
    let letter = master.mail.unwrap();
    assert_eq!(letter.subject, "VRRP Group G1 - Entering MASTER state");
    assert_eq!(letter.body.lines().next(), Some("=> All VRRP group instances are now in MASTER state <="));
    assert!(master.env.contains(&("GROUP".to_owned(), "G1".to_owned())));
    assert!(
        master.env.contains(&("VIPS".to_owned(), "10.9.0.100 10.9.0.101 2001:db8::1 10.9.0.102".to_owned()))
    );
    assert_ne!(master.queue, "G1", "an instance may have that name");
    let stop = entered(StateName::Stopped);
    assert_eq!((text(&stop), stop.mail.is_some()), ("GROUP \"G1\" STOP 0", false));
    assert_eq!(programs(&stop), ["/g stop", "/g any GROUP G1 STOP 0"]);
}

#[test]
fn a_removed_instance_is_in_fault_or_deleted_as_the_file_says() {
    let config = config(FILE);
    let deleted = |name| {
        tell(Happening::Deleted { name, previous: StateName::Master, priority: 100 }, &config).unwrap()
    };
    let fault = deleted("VI_1");
    assert_eq!(programs(&fault), ["/n fault", "/n any INSTANCE VI_1 FAULT 100"]);
    assert_eq!(text(&fault), "INSTANCE \"VI_1\" FAULT 100");
    assert_eq!(fault.mail.unwrap().subject, "VRRP Instance VI_1 - Entering FAULT state");
    let bare = deleted("VI_2");
    assert_eq!((programs(&bare), text(&bare)), (Vec::<String>::new(), "INSTANCE \"VI_2\" DELETED 100"));
    assert_eq!(bare.mail, None, "smtp_alert off");
    let script = deleted("VI_3");
    assert_eq!(programs(&script), ["/n deleted", "/n any INSTANCE VI_3 DELETED 100"]);
    assert_eq!(script.mail.unwrap().subject, "VRRP Instance VI_3 - Deleted");
}

#[test]
fn lower_masters_and_priorities_are_not_for_the_generic_script() {
    let config = config(FILE);
    let lower = tell(Happening::LowerPriorityHeard { name: "VI_1", priority: 150 }, &config).unwrap();
    assert_eq!(programs(&lower), ["/n lower"]);
    assert_eq!(text(&lower), "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 150");
    assert!(!lower.supersedes && lower.mail.is_none());
    let changed = |name, state| tell(Happening::PriorityChanged { name, state, priority: 80 }, &config);
    let master = changed("VI_1", StateName::Master).unwrap();
    assert_eq!((text(&master), master.runs.len()), ("INSTANCE \"VI_1\" MASTER_PRIORITY 80", 0));
    let fault = changed("VI_1", StateName::Fault).unwrap();
    assert_eq!(text(&fault), "INSTANCE \"VI_1\" BACKUP_PRIORITY 80", "also in FAULT");
    assert_eq!(changed("VI_2", StateName::Backup), None, "switched off");
    // Of lines that a full pipe refused, a priority must not push a state out.
    let state = tell(entered(StateName::Master), &config).unwrap();
    assert_ne!(state.line.unwrap().subject, master.line.unwrap().subject);
}

#[test]
fn who_is_mailed() {
    let quiet = config(&FILE.replace("smtp_alert_vrrp on", "no_email_faults\n smtp_alert on"));
    assert!(tell(entered(StateName::Master), &quiet).unwrap().mail.is_some(), "the global smtp_alert");
    assert!(tell(entered(StateName::Fault), &quiet).unwrap().mail.is_none(), "no_email_faults");
    let off = config(&FILE.replace("smtp_alert_vrrp on", "smtp_alert on\n smtp_alert_vrrp off"));
    assert!(tell(entered(StateName::Master), &off).unwrap().mail.is_none(), "the subsystem's word wins");
    let silent = config(&FILE.replace("smtp_alert_vrrp on", ""));
    assert!(tell(entered(StateName::Master), &silent).unwrap().mail.is_none(), "off by default");
}

#[test]
fn what_is_not_configured_is_told_to_nobody() {
    let config = config(FILE);
    let stranger = Happening::LowerPriorityHeard { name: "VI_9", priority: 1 };
    assert_eq!(tell(stranger, &config), None);
}

fn event(what: What, real: Option<&str>, key: ServiceKey) -> Event {
    Event {
        subject: "whatever".to_owned(),
        what,
        reason: "connection refused".to_owned(),
        command: None,
        virtual_server: key.into(),
        number: 0,
        real_server: real.map(str::to_owned),
        smtp_alert: true,
    }
}

#[test]
fn servers_and_quorums() {
    let config = Config::default();
    let key = |protocol, address: &str| ServiceKey::Address {
        protocol,
        address: address.parse().unwrap(),
        port: 80,
    };
    let mark = ServiceKey::Fwmark { family: crate::ipvs::table::Family::V4, mark: 5 };
    let table = [
        (
            event(What::RealServerDown, Some("10.0.0.3:8080"), key(Protocol::Tcp, "10.0.0.1")),
            "RS [10.0.0.3]:tcp:8080 [10.0.0.1]:tcp:80 DOWN",
            "Realserver [10.0.0.3]:tcp:8080 of virtual server [10.0.0.1]:tcp:80 - DOWN",
        ),
        (
            event(What::RealServerUp, Some("[2001:db8::3]:53"), key(Protocol::Udp, "2001:db8::1")),
            "RS [2001:db8::3]:udp:53 [2001:db8::1]:udp:80 UP",
            "Realserver [2001:db8::3]:udp:53 of virtual server [2001:db8::1]:udp:80 - UP",
        ),
        (
            event(What::QuorumDown, None, key(Protocol::Tcp, "10.0.0.1")),
            "VS [10.0.0.1]:tcp:80 DOWN",
            "Virtualserver [10.0.0.1]:tcp:80 - DOWN",
        ),
        (event(What::QuorumUp, None, mark), "VS FWM 5 UP", "Virtualserver FWM 5 - UP"),
        (
            event(What::RealServerDown, Some("10.1.0.1:80"), mark),
            "RS [10.1.0.1]:none:80 FWM 5 DOWN",
            "Realserver [10.1.0.1]:none:80 of virtual server FWM 5 - DOWN",
        ),
        // The second virtual server of the group, as keepalived counts them.
        (
            Event {
                virtual_server: Identity::Group { name: "g1".to_owned(), protocol: Some(Protocol::Tcp) },
                number: 1,
                ..event(What::RealServerDown, Some("10.1.0.3:99"), mark)
            },
            "RS [10.1.0.3]:tcp:99 [g1]:1 DOWN",
            "Realserver [10.1.0.3]:tcp:99 of virtual server [g1]:1 - DOWN",
        ),
    ];
    for (event, line, subject) in table {
        let telling = tell(Happening::Checked(&event), &config).unwrap();
        assert_eq!(text(&telling), line);
        assert_eq!(telling.line.as_ref().unwrap().stream, Stream::Lvs);
        assert_eq!(telling.mail.clone().unwrap().subject, subject);
        assert!(telling.env.iter().any(|(name, value)| name == "CAUSE" && value == "connection refused"));
        let quiet = Event { smtp_alert: false, ..event };
        assert_eq!(tell(Happening::Checked(&quiet), &config).unwrap().mail, None);
    }
}
