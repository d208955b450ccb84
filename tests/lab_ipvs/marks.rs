//! `nftables_ipvs`: the same file under Debian's keepalived and under Tandem gives the same tables, and traffic.

use super::*;
use crate::lab::traffic::get;

/// Without what is known to differ: keepalived's element for any port matches port 0 alone, and it hands out marks that
/// the file itself uses.
fn conf(groups: &str) -> String {
    let group = |name: &str, protocol: &str, method: &str| {
        let server = if name == "SIX" { "2001:db8::11" } else { "10.0.0.11" };
        format!(
            "virtual_server group {name} {{
    lb_algo rr
    lb_kind {method}
    protocol {protocol}
    real_server {server} 80 {{
        weight 3
    }}
}}\n"
        )
    };
    format!(
        "global_defs {{
    router_id lab
    nftables_ipvs
    nftables_ipvs_start_fwmark 500
}}
{groups}
virtual_server_group SIX {{
    2001:db8::100-1ff 443
}}
virtual_server_group MARKED {{
    10.0.0.103 80
    fwmark 7
}}
{}{}{}{}",
        group("WEB", "UDP", "DR"),
        group("MARKED", "TCP", "DR"),
        group("WEB", "TCP", "DR"),
        group("SIX", "TCP", "DR")
    )
}

const FIRST: &str =
    "virtual_server_group WEB {\n    10.0.0.100 80\n    10.0.0.110-119 8080\n    10.7.0.0/24 443\n}";
const SECOND: &str =
    "virtual_server_group WEB {\n    10.0.0.100 80\n    10.0.0.110-115 8080\n    10.9.0.0-7 443\n}";

/// `nft list ruleset` as a set of words: without comments, the order of elements and maps left out.
fn ruleset(lab: &Lab, host: &str) -> Vec<String> {
    let text = lab.command(host, &["nft", "list", "ruleset"]);
    let mut lines = Vec::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        let line = line.split(" comment ").next().unwrap_or_default().trim_end_matches(['{', '}']).trim();
        if line.starts_with("table ") {
            table = line.to_owned();
        }
        for part in
            line.trim_start_matches("elements = {").split(", ").map(|p| p.trim().trim_end_matches(','))
        {
            if !part.is_empty() {
                lines.push(format!("{table}: {part}"));
            }
        }
    }
    lines.sort();
    lines
}

fn saved(lab: &Lab, host: &str) -> Vec<String> {
    let mut lines: Vec<String> = lab.command(host, &["ipvsadm", "-Sn"]).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn groups_by_marks_are_as_keepalived_makes_them() {
    let lab = dr::lab("marks");
    let _server = Nginx::start(&lab, "rs1", 80);
    let mut daemons = [("d1", Kind::Tandem), ("d2", Kind::Keepalived)]
        .map(|(name, kind)| Director::start_as(&lab, name, kind, &conf(FIRST)));
    let same = |when: &str, lines: usize| {
        let both = |of: &dyn Fn(&str) -> Vec<String>| (of("d1"), of("d2"));
        wait(&format!("marks {when}"), patience() * 2, || {
            let (ours, theirs) = both(&|name| ruleset(&lab, name));
            ours == theirs && ours.iter().filter(|line| line.contains(" : 0x")).count() == lines
        });
        let (ours, theirs) = both(&|name| saved(&lab, name));
        assert_eq!(ours, theirs, "services {when}");
        ours
    };
    let services = same("at start", 7);
    assert!(services.iter().any(|line| line.starts_with("-A -f 500 ")), "{services:?}");

    lab.ip("d1", &format!("addr add {VIP}/32 dev eth0"));
    let target = "10.0.0.100:80".parse().expect("a socket address");
    wait("the page", patience(), || {
        lab.inside("client", || get(target, "/", s(2) * slow())) == Ok("rs1".to_owned())
    });

    for daemon in &daemons {
        daemon.reload(&conf(SECOND));
    }
    assert_eq!(same("after a reload", 7), services, "the marks stay");
    for daemon in &mut daemons {
        assert!(daemon.stop().success());
    }
    for name in ["d1", "d2"] {
        assert_eq!((ruleset(&lab, name), saved(&lab, name)), (Vec::new(), Vec::new()), "{name} after stop");
    }
}
