use proptest::prelude::*;

use super::super::model::{AdminState, Command, ServiceName, TcpCheck};
use super::*;
use crate::config;
use crate::config::resolve::Facts;

fn config(text: &str) -> Config {
    config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config
}

const TWO: &str = "virtual_server 10.0.0.1 80 {
 protocol TCP
 lb_kind NAT
 weight 2
 real_server 10.1.0.1 8080 {
  weight 4
  TCP_CHECK { connect_ip 10.1.0.1
   connect_port 8080 }
  MISC_CHECK { misc_path \"/bin/probe 10.1.0.1 x10.1.0.1\" }
 }
 real_server 10.1.0.2 { }
}
virtual_server 10.0.0.1 80 {
 protocol UDP
 lb_kind DR
 real_server 10.1.0.3 80 { }
}
virtual_server fwmark 5 {
 lb_kind DR
 real_server 10.1.0.4 80 { BFD_CHECK { name b } }
}
bfd_instance b { neighbor_ip 10.1.0.4\n source_ip 10.0.0.1 }
";

/// The real servers of the first virtual servers after an override, in words.
fn after(text: &str) -> Result<String, String> {
    let mut config = config(TWO);
    let one: RealServerOverride = text.parse().unwrap();
    let before = config.clone();
    if let Err(why) = apply_one(&mut config, &one) {
        assert_eq!(config, before, "an override without effect changes nothing");
        assert!(!why.cure().is_empty());
        return Err(why.to_string());
    }
    let shown = |server: &VirtualServer| -> Vec<String> {
        let real = |real: &RealServer| {
            let weight = real.weight.map_or_else(String::new, |weight| format!(" {weight}"));
            let state = real.admin_state.map_or_else(String::new, |state| format!(" {}", state.word()));
            format!("{}{weight}{state}", server.at(real))
        };
        server.real_server.iter().map(real).collect()
    };
    Ok(config.virtual_server.iter().map(|server| shown(server).join(", ")).collect::<Vec<_>>().join("; "))
}

#[test]
fn what_an_override_makes_of_the_blocks() {
    let rest = "10.1.0.3:80; 10.1.0.4:0";
    for (text, wanted) in [
        ("TCP 10.0.0.1:80 10.1.0.1:8080 weight 9", "10.1.0.1:8080 9, 10.1.0.2:80"),
        ("TCP 10.0.0.1:80 10.1.0.2:80 drain", "10.1.0.1:8080 4, 10.1.0.2:80 drain"),
        ("TCP 10.0.0.1:80 10.1.0.2:80 weight 0 disabled", "10.1.0.1:8080 4, 10.1.0.2:80 0 disabled"),
        ("TCP 10.0.0.1:80 10.1.0.2:80 delete", "10.1.0.1:8080 4"),
        ("TCP 10.0.0.1:80 10.1.0.9:80 add", "10.1.0.1:8080 4, 10.1.0.2:80, 10.1.0.9:80 4"),
        (
            "TCP 10.0.0.1:80 10.1.0.9:80 add like 10.1.0.2:80 weight 7 drain",
            "10.1.0.1:8080 4, 10.1.0.2:80, 10.1.0.9:80 7 drain",
        ),
        // The file has it by now.
        ("TCP 10.0.0.1:80 10.1.0.2:80 add weight 7 drain", "10.1.0.1:8080 4, 10.1.0.2:80 7 drain"),
    ] {
        assert_eq!(after(text), Ok(format!("{wanted}; {rest}")), "{text}");
    }
}

#[test]
fn overrides_without_effect() {
    for (text, wanted) in [
        ("TCP 10.0.0.2:80 10.1.0.1:8080 drain", "there is no virtual server TCP 10.0.0.2:80"),
        ("10.0.0.1:80 10.1.0.1:8080 drain", "10.0.0.1:80 may be TCP 10.0.0.1:80 or UDP 10.0.0.1:80"),
        ("TCP 10.0.0.1:80 10.1.0.1:80 drain", "TCP 10.0.0.1:80 has no real server 10.1.0.1:80"),
        ("TCP 10.0.0.1:80 10.1.0.7:80 delete", "TCP 10.0.0.1:80 has no real server 10.1.0.7:80"),
        ("TCP 10.0.0.1:80 10.1.0.9:0 add", "10.1.0.9:0 names no port, and TCP 10.0.0.1:80 has one"),
        (
            "TCP 10.0.0.1:80 10.1.0.9:80 add like 10.1.0.8:80",
            "TCP 10.0.0.1:80 has no real server 10.1.0.8:80 that 10.1.0.9:80 could be like",
        ),
        (
            "TCP 10.0.0.1:80 [2001:db8::9]:80 add",
            "real server [2001:db8::9]:80 is of another address family than TCP 10.0.0.1:80",
        ),
        (
            "UDP 10.0.0.1:80 10.1.0.9:81 add",
            "with DR and TUN the port is that of UDP 10.0.0.1:80: 10.1.0.9:81 cannot have another",
        ),
        (
            "UDP 10.0.0.1:80 10.1.0.3:80 delete",
            "10.1.0.3:80 is the only real server of UDP 10.0.0.1:80: without it the whole virtual server would go",
        ),
        (
            "FWM 5 10.1.0.9:80 add",
            "real server 10.1.0.4:0 has a BFD_CHECK, which is about that server alone: 10.1.0.9:80 cannot be like it",
        ),
    ] {
        assert_eq!(after(text), Err(wanted.to_owned()), "{text}");
    }
}

#[test]
fn checks_of_a_copy_ask_the_copy() {
    let mut config = config(TWO);
    let one = "TCP 10.0.0.1:80 10.1.0.9:9090 add".parse().unwrap();
    assert_eq!(apply(&mut config, &[one]), []);
    let real = config.virtual_server[0].real_server.last().unwrap();
    let TcpCheck { connection, .. } = &real.tcp_check[0];
    assert_eq!((connection.connect_ip, connection.connect_port), (Some([10, 1, 0, 9].into()), Some(9090)));
    let Command { argv, .. } = &real.misc_check[0].misc_path;
    assert_eq!(argv.join(" "), "/bin/probe 10.1.0.9 x10.1.0.1");
}

#[test]
fn a_file_s_own_overrides_are_in_its_blocks() {
    let text = format!(
        "{TWO}real_server_override TCP 10.0.0.1:80 10.1.0.1:8080 drain by root(uid=0,pid=1)\n\
         real_server_override TCP 10.0.0.1:80 10.1.0.7:80 weight 5\n\
         real_server_override TCP 10.0.0.1:80 10.1.0.1:8080 wieght 5\n"
    );
    let loaded = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default());
    assert_eq!(loaded.config.virtual_server[0].real_server[0].admin_state, Some(AdminState::Drain));
    assert_eq!(loaded.config.real_server_override.len(), 2);
    let told: Vec<(&str, u32)> = loaded
        .diagnostics
        .iter()
        .filter(|finding| finding.code.contains("override"))
        .map(|finding| (finding.code, finding.place.as_ref().unwrap().line))
        .collect();
    let first = u32::try_from(TWO.lines().count()).unwrap() + 2;
    assert_eq!(told, [("override-without-target", first), ("bad-override", first + 1)]);
}

/// A port that DR cannot map is mended only after the lines are in: they name what runs then.
#[test]
fn ports_that_cannot_be_mapped_are_no_part_of_a_name() {
    let text = "virtual_server fwmark 5 {\n lb_kind DR\n real_server 10.1.0.1 80 { }\n}
virtual_server 10.0.0.1 80 {\n lb_kind TUN\n real_server 10.1.0.1 81 { }\n}
real_server_override FWM 5 10.1.0.1:0 drain
real_server_override UDP 10.0.0.1:80 10.1.0.1:80 disabled
";
    let loaded = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default());
    let states: Vec<_> = loaded.config.virtual_server.iter().map(|s| s.real_server[0].admin_state).collect();
    assert_eq!(states, [Some(AdminState::Drain), Some(AdminState::Disabled)]);
    let mut config = loaded.config;
    let one = |text: &str| text.parse::<RealServerOverride>().unwrap();
    let other = apply_one(&mut config, &one("FWM 5 10.1.0.2:80 add")).unwrap_err();
    assert!(matches!(other, NoTarget::OtherPort { .. }), "{other}");
    apply_one(&mut config, &one("FWM 5 10.1.0.2:0 add")).unwrap();
}

#[test]
fn names_of_virtual_servers() {
    let config = config(
        "virtual_server_group web { 10.0.0.1 80 }
virtual_server_group marks { fwmark 7 }
virtual_server 10.0.0.2 443 { protocol TCP\n real_server 10.1.0.1 443 { } }
virtual_server fwmark 5 { real_server 10.1.0.1 80 { } }
virtual_server fwmark 5 { ip_family inet6\n real_server 2001:db8::1 80 { } }
virtual_server fwmark 6 { real_server 2001:db8::1 80 { } }
virtual_server group web { protocol TCP\n real_server 10.1.0.1 80 { } }
virtual_server group web { protocol SCTP\n real_server 10.1.0.1 80 { } }
virtual_server group marks { real_server 10.1.0.1 80 { } }",
    );
    let names: Vec<String> = config
        .virtual_server
        .iter()
        .map(|server| ServiceName::of(server, &config.virtual_server_group).unwrap().to_string())
        .collect();
    // As the checks and the log name them.
    let identities = [
        "TCP 10.0.0.2:443",
        "FWM 5",
        "FWM 5 IPv6",
        "FWM 6 IPv6",
        "group web TCP",
        "group web SCTP",
        "group marks",
    ];
    assert_eq!(names, identities);
    for (name, found) in [
        ("TCP 10.0.0.2:443", vec![0]),
        ("10.0.0.2:443", vec![0]),
        ("UDP 10.0.0.2:443", vec![]),
        ("FWM 5", vec![1]),
        ("FWM 5 IPv6", vec![2]),
        ("FWM 6", vec![3]),
        ("FWM 6 IPv4", vec![]),
        ("group web", vec![4, 5]),
        ("group web SCTP", vec![5]),
        ("group marks", vec![6]),
        ("group else", vec![]),
    ] {
        assert_eq!(name.parse::<ServiceName>().unwrap().find(&config), found, "{name}");
    }
}

proptest! {
    /// Applying twice what sets values is applying once; whatever the order of two real servers.
    #[test]
    fn settings_do_not_add_up(weight in any::<u16>(), other in any::<u16>()) {
        let parse = |text: String| text.parse::<RealServerOverride>().unwrap();
        let a = parse(format!("TCP 10.0.0.1:80 10.1.0.1:8080 weight {weight} drain"));
        let b = parse(format!("TCP 10.0.0.1:80 10.1.0.2:80 weight {other}"));
        let applied = |list: &[RealServerOverride]| {
            let mut config = config(TWO);
            apply(&mut config, list);
            config
        };
        prop_assert_eq!(applied(&[a.clone(), b.clone()]), applied(&[b, a.clone(), a]));
    }
}
