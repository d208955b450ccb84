use super::*;
use crate::core::plan::{Basis, Role};
use crate::core::settings::Setting;

fn entry(kind: Kind, action: Action, when: When, subject: &str, of: Option<&str>) -> Entry {
    Entry {
        kind,
        action,
        when,
        subject: subject.to_owned(),
        of: of.map(str::to_owned),
        detail: String::new(),
        settings: Vec::new(),
        cause: "why".to_owned(),
    }
}

fn example() -> Plan {
    let service = "TCP 10.0.0.100:80";
    let changed = Entry {
        settings: vec![Setting::new("weight", 1, 3)],
        ..entry(Kind::Destination, Action::Change, When::Now, "10.1.0.1:80", Some(service))
    };
    let added = Entry {
        detail: "wlc".to_owned(),
        ..entry(Kind::Service, Action::Add, When::Now, "TCP 10.0.0.101:80", None)
    };
    let several = Entry {
        settings: vec![Setting::new("priority", 100, 150), Setting::new("interface", "eth0", "eth1")],
        ..entry(Kind::Object, Action::Change, When::Now, "vrrp_instance VI_1", None)
    };
    Plan {
        basis: Basis::Reload,
        instances: vec![InstanceNow {
            name: "VI_1".to_owned(),
            interface: "eth0".to_owned(),
            vrid: 51,
            present: 0,
            addresses: 1,
            role: Role::Backup,
            because: "the kernel has none of its addresses".to_owned(),
            master_adds: 1,
            master_changes: 0,
            backup_removes: 0,
        }],
        entries: vec![
            several,
            entry(Kind::Address, Action::Add, When::AsMaster, "10.0.0.100/24 on eth0", Some("VI_1")),
            entry(Kind::Address, Action::Remove, When::Now, "10.0.0.9/24 on eth0", Some("VI_9")),
            changed,
            added,
            entry(Kind::Destination, Action::Add, When::Now, "10.1.0.1:80", Some("TCP 10.0.0.101:80")),
            entry(Kind::Service, Action::Leave, When::Now, "FWM 7", None),
        ],
        notes: vec!["mind the gap".to_owned()],
    }
}

#[test]
fn reads_like_a_diff() {
    let expected = "\
old to new

objects of the file
~   vrrp_instance VI_1: why
        priority 100 -> 150
        interface eth0 -> eth1

instance VI_1 (eth0, VRID 51): BACKUP: the kernel has none of its addresses
      as MASTER: addresses +1; as BACKUP: none
?+  address 10.0.0.100/24 on eth0: why

of instances that go
-   address 10.0.0.9/24 on eth0: why

  service TCP 10.0.0.100:80
~   destination 10.1.0.1:80: weight 1 -> 3 (why)

+ service TCP 10.0.0.101:80 (wlc): why
+   destination 10.1.0.1:80: why
= service FWM 7: left alone: why

note: mind the gap
now: objects ~1; addresses -1; services +1; destinations +1 ~1 (1 more when roles, checks or interfaces say so)
as MASTER: addresses +1; as BACKUP: none
";
    assert_eq!(text("old to new", &example(), true, &[], false), expected);
}

#[test]
fn colour_is_laid_over_the_same_text() {
    let coloured = text("h", &example(), true, &[], true);
    assert!(coloured.contains("\x1b[31m-   address 10.0.0.9/24 on eth0: why\x1b[0m\n"), "{coloured:?}");
    let mut plain = coloured;
    for code in [GREEN, RED, YELLOW, CYAN, DIM, BOLD, PLAIN] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, text("h", &example(), true, &[], false));
}

#[test]
fn nothing_is_said_to_be_nothing_only_when_all_was_read() {
    let nothing = Plan { basis: Basis::Start, instances: vec![], entries: vec![], notes: vec![] };
    assert_eq!(text("h", &nothing, true, &[], false), "h\n\nnow: nothing would change\n");
    let partly = text("h", &nothing, true, &["no IPVS".to_owned()], false);
    assert!(partly.contains("nothing of what was looked at would change\nthe plan is not whole"), "{partly}");
    let files = text("h", &nothing, false, &[], false);
    assert!(files.contains("nothing of what was looked at"), "{files}");
}
