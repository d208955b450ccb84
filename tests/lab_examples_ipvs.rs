//! The shipped examples that balance by IPVS, run: real directors, real servers prepared by `tandem-real-server`, real
//! nginx, the kernel's own tables. Where the running kernel has no `ip_vs` they are counted as skipped: run them in the
//! virtual machine.

mod example_lab;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use example_lab::{Lab, PATIENCE, Process, example, skip, wait};

const VIP: &str = "10.0.0.100";
const VIP_2: &str = "10.0.0.101";
const FARM: [&str; 3] = ["rs11", "rs12", "rs13"];

/// The kernel has IPVS, perhaps after loading it.
fn ipvs() -> bool {
    let _ = Command::new("modprobe").arg("ip_vs").output();
    Path::new("/proc/net/ip_vs").exists() || {
        skip("this kernel has no ip_vs");
        false
    }
}

/// A farm behind two directors.
struct Stage {
    lab: Lab,
    example: PathBuf,
}

impl Stage {
    /// Client, directors and the farm on one LAN; the farm prepared for direct routing to these addresses.
    fn direct_routing(name: &str, tag: &str, vips: &[&str]) -> Option<Self> {
        if !ipvs() {
            return None;
        }
        let mut lab = Lab::new(tag)?;
        lab.lan("lan");
        lab.host_on("client", "lan", "10.0.0.200/24");
        lab.host_on("d1", "lan", "10.0.0.1/24");
        lab.host_on("d2", "lan", "10.0.0.2/24");
        for (i, rs) in FARM.iter().enumerate() {
            lab.host_on(rs, "lan", &format!("10.0.0.{}/24", 11 + i));
            prepare(&lab, rs, vips, "dr");
        }
        Some(Self { lab, example: example(name) })
    }

    fn directors(&self) -> [Process; 2] {
        [self.lab.director("d1", &self.example, 1), self.lab.director("d2", &self.example, 2)]
    }

    /// This director, and not the other, has the address.
    fn wait_alone(&self, who: &str, address: &str, when: &str) {
        wait(&format!("{address} on {who}: {when}"), PATIENCE, || {
            ["d1", "d2"].iter().all(|&d| self.lab.has(d, address) == (d == who))
        });
    }

    fn wait_has(&self, who: &str, address: &str, when: &str) {
        wait(&format!("{address} on {who}: {when}"), PATIENCE, || self.lab.has(who, address));
    }

    /// The director's table of the service becomes exactly this.
    fn wait_table(&self, who: &str, service: &str, table: &[(&str, &str, u32)], when: &str) -> Duration {
        let table: Vec<_> = table.iter().map(|&(a, m, w)| (a.to_owned(), m.to_owned(), w)).collect();
        let mut last = Vec::new();
        let what = format!("{service} in {who} is {table:?}: {when}");
        wait(&what, PATIENCE, || {
            let now = self.lab.destinations(who, service);
            if now != last {
                println!("          {who} {service}: {now:?}");
                last = now;
            }
            last == table
        })
    }

    /// Each of these answers a client through the service, and nobody else does.
    fn wait_answers(&self, sources: &[&str], service: &str, servers: &[&str], when: &str) {
        let mut missing: BTreeSet<&str> = servers.iter().copied().collect();
        let mut turn = 0;
        wait(&format!("{service} is answered by {servers:?}: {when}"), PATIENCE, || {
            let source = sources.get(turn % sources.len().max(1)).copied();
            turn += 1;
            if let Some(page) = self.lab.get("client", source, service) {
                assert!(servers.contains(&page.as_str()), "{page:?} answered {service}: {when}");
                missing.remove(page.as_str());
            }
            missing.is_empty()
        });
    }
}

fn prepare(lab: &Lab, host: &str, vips: &[&str], method: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/real-server/tandem-real-server");
    let state = lab.state(host);
    let state = format!("TANDEM_REAL_SERVER_STATE={}", state.display());
    let mut argv = vec!["env", &state, "sh", script, "start"];
    argv.extend(vips);
    argv.extend(["--method", method]);
    lab.command(host, &argv);
}

fn route(address: &str, port: u16, weight: u32) -> (String, u32) {
    (format!("{address}:{port}"), weight)
}

/// `[("10.0.0.11:80", method, weight), …]` from the last bytes and weights.
fn farm<'a>(names: &'a [(String, u32)], method: &'a str) -> Vec<(&'a str, &'a str, u32)> {
    names.iter().map(|(address, weight)| (address.as_str(), method, *weight)).collect()
}

#[test]
fn lvs_dr_pair() {
    let Some(stage) = Stage::direct_routing("lvs-dr-pair", "dr", &[VIP]) else { return };
    let mut servers = FARM.map(|rs| Some(stage.lab.nginx(rs, 80)));
    let service = "10.0.0.100:80";
    let all = [11, 12, 13].map(|n| route(&format!("10.0.0.{n}"), 80, 1));
    let all = farm(&all, "Route");
    let [d1, _d2] = stage.directors();
    stage.wait_alone("d1", VIP, "at start");
    stage.wait_table("d1", service, &all, "at start");
    stage.wait_table("d2", service, &all, "at start, the backup too");
    stage.wait_answers(&[], service, &FARM, "at start");

    servers[1].take().expect("a server").kill();
    for d in ["d1", "d2"] {
        stage.wait_table(d, service, &[all[0], all[2]], "rs12 is dead");
    }
    stage.wait_answers(&[], service, &["rs11", "rs13"], "rs12 is dead");
    servers[1] = Some(stage.lab.nginx("rs12", 80));
    for d in ["d1", "d2"] {
        stage.wait_table(d, service, &all, "rs12 is back");
    }

    d1.kill();
    stage.wait_has("d2", VIP, "after SIGKILL of d1");
    stage.wait_answers(&[], service, &FARM, "d1 is dead");
    let _d1 = stage.lab.director("d1", &stage.example, 1);
    stage.wait_alone("d1", VIP, "d1 is back");
    stage.wait_table("d1", service, &all, "d1 is back");
    stage.wait_answers(&[], service, &FARM, "d1 is back");
}

#[test]
fn lvs_dr_dual_master() {
    let Some(stage) = Stage::direct_routing("lvs-dr-dual-master", "drdm", &[VIP, VIP_2]) else { return };
    let mut servers = FARM.map(|rs| Some(stage.lab.nginx(rs, 80)));
    let services = ["10.0.0.100:80", "10.0.0.101:80"];
    let all = [11, 12, 13].map(|n| route(&format!("10.0.0.{n}"), 80, 1));
    let all = farm(&all, "Route");
    let [d1, _d2] = stage.directors();
    stage.wait_alone("d1", VIP, "at start");
    stage.wait_alone("d2", VIP_2, "at start");
    for service in services {
        stage.wait_table("d1", service, &all, "at start");
        stage.wait_table("d2", service, &all, "at start");
        stage.wait_answers(&[], service, &FARM, "at start");
    }
    servers[0].take().expect("a server").kill();
    for service in services {
        stage.wait_table("d1", service, &all[1..], "rs11 is dead");
        stage.wait_table("d2", service, &all[1..], "rs11 is dead");
    }
    d1.kill();
    stage.wait_has("d2", VIP, "after SIGKILL of d1");
    for service in services {
        stage.wait_answers(&[], service, &FARM[1..], "d1 and rs11 are dead");
    }
    let _d1 = stage.lab.director("d1", &stage.example, 1);
    stage.wait_alone("d1", VIP, "d1 is back");
    stage.wait_alone("d2", VIP_2, "d1 is back");
}

#[test]
fn lvs_nat() {
    if !ipvs() {
        return;
    }
    let Some(mut lab) = Lab::new("nat") else { return };
    lab.lan("outside");
    lab.lan("inside");
    lab.host_on("client", "outside", "192.0.2.200/24");
    for (i, d) in ["d1", "d2"].iter().enumerate() {
        lab.host_on(d, "outside", &format!("192.0.2.{}/24", i + 1));
        lab.plug(d, "eth1", "inside", &format!("10.0.0.{}/24", i + 1));
        lab.sysctl(d, "net/ipv4/ip_forward", "1");
    }
    for (i, rs) in FARM.iter().enumerate() {
        lab.host_on(rs, "inside", &format!("10.0.0.{}/24", 11 + i));
        lab.ip(rs, "route add default via 10.0.0.254");
    }
    let stage = Stage { lab, example: example("lvs-nat") };
    let _servers = FARM.map(|rs| stage.lab.nginx(rs, 8080));
    let service = "192.0.2.100:80";
    let all = [11, 12, 13].map(|n| route(&format!("10.0.0.{n}"), 8080, 1));
    let all = farm(&all, "Masq");
    let [d1, _d2] = stage.directors();
    for address in ["192.0.2.100", "10.0.0.254"] {
        stage.wait_alone("d1", address, "at start");
    }
    stage.wait_table("d1", service, &all, "at start");
    stage.wait_table("d2", service, &all, "at start");
    stage.wait_answers(&[], service, &FARM, "at start");

    // The outside link is lost: both addresses move, together.
    stage.lab.ip("d1", "link set eth0 down");
    for address in ["192.0.2.100", "10.0.0.254"] {
        stage.wait_alone("d2", address, "the outside link of d1 is lost");
    }
    stage.wait_answers(&[], service, &FARM, "the outside link of d1 is lost");
    stage.lab.ip("d1", "link set eth0 up");
    for address in ["192.0.2.100", "10.0.0.254"] {
        stage.wait_alone("d1", address, "the link is back");
    }
    stage.wait_answers(&[], service, &FARM, "the link is back");
    d1.kill();
    for address in ["192.0.2.100", "10.0.0.254"] {
        stage.wait_has("d2", address, "after SIGKILL of d1");
    }
    stage.wait_answers(&[], service, &FARM, "d1 is dead");
}

#[test]
fn lvs_tun() {
    if !ipvs() {
        return;
    }
    let _ = Command::new("modprobe").arg("ipip").output();
    let Some(mut lab) = Lab::new("tun") else { return };
    lab.lan("here");
    lab.lan("there");
    lab.host_on("router", "here", "10.0.0.254/24");
    lab.plug("router", "eth1", "there", "10.0.1.254/24");
    lab.sysctl("router", "net/ipv4/ip_forward", "1");
    lab.host_on("client", "here", "10.0.0.200/24");
    lab.host_on("d1", "here", "10.0.0.1/24");
    lab.host_on("d2", "here", "10.0.0.2/24");
    for d in ["client", "d1", "d2"] {
        lab.ip(d, "route add 10.0.1.0/24 via 10.0.0.254");
    }
    let servers = ["rs11", "rs12"];
    for (i, rs) in servers.iter().enumerate() {
        lab.host_on(rs, "there", &format!("10.0.1.{}/24", 11 + i));
        lab.ip(rs, "route add default via 10.0.1.254");
        // As distributions have it: the script must deal with it.
        lab.sysctl(rs, "net/ipv4/conf/all/rp_filter", "1");
        prepare(&lab, rs, &[VIP], "tun");
    }
    let stage = Stage { lab, example: example("lvs-tun") };
    let mut nginx = servers.map(|rs| Some(stage.lab.nginx(rs, 80)));
    let service = "10.0.0.100:80";
    let all = [route("10.0.1.11", 80, 2), route("10.0.1.12", 80, 1)];
    let all = farm(&all, "Tunnel");
    let [d1, _d2] = stage.directors();
    stage.wait_alone("d1", VIP, "at start");
    stage.wait_table("d1", service, &all, "at start");
    stage.wait_table("d2", service, &all, "at start");
    stage.wait_answers(&[], service, &servers, "at start");
    nginx[0].take().expect("a server").kill();
    stage.wait_table("d1", service, &all[1..], "rs11 is dead");
    stage.wait_answers(&[], service, &["rs12"], "rs11 is dead");
    nginx[0] = Some(stage.lab.nginx("rs11", 80));
    stage.wait_table("d1", service, &all, "rs11 is back");
    d1.kill();
    stage.wait_has("d2", VIP, "after SIGKILL of d1");
    stage.wait_table("d2", service, &all, "rs11 is back");
    stage.wait_answers(&[], service, &servers, "d1 is dead");
}

#[test]
fn tomcat_wlc() {
    let Some(mut stage) = Stage::direct_routing("tomcat-wlc", "tom", &[VIP]) else { return };
    stage.lab.host_on("sorry", "lan", "10.0.0.20/24");
    prepare(&stage.lab, "sorry", &[VIP], "dr");
    // Persistence: a client address stays with its server, so several are needed to see them all.
    let clients = ["10.0.0.200", "10.0.0.201", "10.0.0.202", "10.0.0.203", "10.0.0.204", "10.0.0.205"];
    for client in &clients[1..] {
        stage.lab.ip("client", &format!("addr add {client}/24 dev eth0"));
    }
    let mut servers = FARM.map(|rs| Some(stage.lab.nginx(rs, 8080)));
    let _sorry = stage.lab.nginx("sorry", 8080);
    let service = "10.0.0.100:8080";
    let all = [route("10.0.0.11", 8080, 2), route("10.0.0.12", 8080, 1), route("10.0.0.13", 8080, 1)];
    let all = farm(&all, "Route");
    let _directors = stage.directors();
    stage.wait_alone("d1", VIP, "at start");
    stage.wait_table("d1", service, &all, "at start");
    stage.wait_answers(&clients, service, &FARM, "at start");

    // One client, one server.
    let mine = stage.lab.get("client", Some(clients[0]), service);
    assert!(mine.is_some(), "no answer");
    for _ in 0..5 {
        assert_eq!(stage.lab.get("client", Some(clients[0]), service), mine, "persistence");
    }

    for server in &mut servers {
        server.take().expect("a server").kill();
    }
    stage.wait_table("d1", service, &[("10.0.0.20:8080", "Route", 1)], "all are dead: the sorry server");
    stage.wait_answers(&clients, service, &["sorry"], "all are dead");
    let told = |what: &str| {
        stage.lab.notices("d1").iter().rev().find(|n| n.starts_with("SERVICE")).is_some_and(|n| n == what)
    };
    wait("the script is told SERVICE shop DOWN", PATIENCE, || told("SERVICE shop DOWN"));
    servers[0] = Some(stage.lab.nginx("rs11", 8080));
    stage.wait_table("d1", service, &all[..1], "rs11 is back, the sorry server leaves");
    stage.wait_answers(&clients, service, &["rs11"], "rs11 is back");
    wait("the script is told SERVICE shop UP", PATIENCE, || told("SERVICE shop UP"));
    wait("the script is told SERVER 10.0.0.11 UP", PATIENCE, || {
        stage.lab.notices("d1").iter().any(|n| n == "SERVER 10.0.0.11 UP")
    });
}

/// Two machines that are both: every connection is answered, by both, and the backup sends nothing on.
#[test]
fn director_is_real_server() {
    if !ipvs() {
        return;
    }
    let Some(mut lab) = Lab::new("both") else { return };
    lab.lan("lan");
    lab.host_on("client", "lan", "10.0.0.200/24");
    lab.host_on("d1", "lan", "10.0.0.1/24");
    lab.host_on("d2", "lan", "10.0.0.2/24");
    let stage = Stage { lab, example: example("director-is-real-server") };
    let mut servers = ["d1", "d2"].map(|d| Some(stage.lab.nginx(d, 80)));
    let service = "10.0.0.100:80";
    let [d1, _d2] = stage.directors();
    let whole = [("10.0.0.1:80", "Route", 1), ("10.0.0.2:80", "Route", 1)];
    stage.wait_table("d1", service, &whole, "d1 is master");
    stage.wait_table("d2", service, &[("10.0.0.2:80", "Route", 1)], "d2 is backup");
    stage.wait_answers(&[], service, &["d1", "d2"], "at start");
    for n in 0..40 {
        assert!(
            stage.lab.get("client", None, service).is_some(),
            "connection {n} is not answered: it circles"
        );
    }

    servers[1].take().expect("a server").kill();
    stage.wait_table("d1", service, &whole[..1], "nginx of d2 is dead");
    stage.wait_table("d2", service, &[], "nginx of d2 is dead");
    stage.wait_answers(&[], service, &["d1"], "nginx of d2 is dead");
    servers[1] = Some(stage.lab.nginx("d2", 80));
    stage.wait_table("d1", service, &whole, "nginx of d2 is back");

    // Director and server die together.
    d1.kill();
    servers[0].take().expect("a server").kill();
    stage.lab.ip("d1", "link set eth0 down");
    stage.wait_table("d2", service, &[("10.0.0.2:80", "Route", 1)], "d1 is dead");
    stage.wait_answers(&[], service, &["d2"], "d1 is dead");
}
