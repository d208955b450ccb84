//! Under steady requests the worker is killed, the program exchanged, the daemon left and started again: no request
//! fails, the peer stays a backup. In an emulated machine a start takes seconds: adverts are as much slower there.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// The worker of a director: its child of the same name.
fn worker(director: &Director) -> Option<i32> {
    let children = process::descendants(director.process.pid());
    let is_tandem = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "tandem")
    };
    children.into_iter().find(is_tandem)
}

/// The same with adverts as slow as the machine.
fn slower(conf: String) -> String {
    conf.replace("advert_int 1\n", &format!("advert_int {}\n", slow()))
}

/// Kill, upgrade, leave and start: after each the requests go on and the peer has said nothing.
#[track_caller]
fn restarts(lab: &Lab, d1: &mut Director, wire: &Wire, table: &TableWatch, traffic: &Traffic) {
    let control = lab.work().join("d1/control.sock").display().to_string();
    let tandem = director::tandem().display().to_string();
    let begun = now();
    let settled = |what: &str| {
        // Longer than the peer's patience.
        serves(traffic, s(4) * slow());
        assert!(wire.adverts("d2", begun).is_empty(), "the peer took over after {what}");
    };
    settled("nothing");
    let first = worker(d1).expect("a worker");
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("a signal");
    wait("another worker", patience(), || worker(d1).is_some_and(|pid| pid != first));
    settled("the worker was killed");
    println!("{}", lab.command("d1", &[&tandem, "upgrade", "--control", &control]));
    settled("the upgrade");
    lab.command("d1", &[&tandem, "leave", "--control", &control]);
    assert!(d1.process.wait(patience()).success());
    *d1 = d1.again(lab);
    settled("leaving and starting");
    let changes: Vec<_> = table.all().into_iter().filter(|(at, _)| *at > begun).collect();
    assert!(changes.is_empty(), "the table was touched: {changes:#?}");
    let (good, bad) = traffic.count(begun, now());
    println!("MEASURED restarts_under_load good={good} bad={bad}");
}

#[test]
fn restarts_of_a_dr_director_fail_no_request() {
    if director::tandem_only("restarts without a trace") {
        return;
    }
    let lab = dr::lab("drrest");
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &slower(dr_conf("MASTER", 150, TCP, "")));
    let _d2 = Director::start(&lab, "d2", &slower(dr_conf("BACKUP", 100, TCP, "")));
    watch.wait("d1", VIP, true, patience());
    let table = TableWatch::start(&lab, "d1");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(500) * slow());
    restarts(&lab, &mut d1, &wire, &table, &traffic);
}

#[test]
fn restarts_of_a_nat_director_fail_no_request() {
    if director::tandem_only("restarts without a trace") {
        return;
    }
    need_ipvs();
    let mut hosts = vec![host("client").nic("eth0", "front", "10.0.0.200/24")];
    for n in 1..=2 {
        let director = host(&format!("d{n}"))
            .nic("eth0", "front", &format!("10.0.0.{n}/24"))
            .nic("eth1", "back", &format!("192.168.7.{n}/24"))
            .sysctl("net/ipv4/ip_forward", "1");
        hosts.push(director);
        let server = host(&format!("rs{n}")).nic("eth0", "back", &format!("192.168.7.1{n}/24"));
        hosts.push(server.ip("route add default via 192.168.7.254"));
    }
    let lab = Lab::build("natrest", &["front", "back"], &hosts);
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2"], 80);
    let conf = |state: &str, priority: u8| {
        let real =
            |n| format!("    real_server 192.168.7.1{n} 80 {{\n        weight 1\n        {TCP}\n    }}\n");
        format!(
            "vrrp_instance VI_1 {{\n    state {state}\n    interface eth0\n    virtual_router_id 51\n    priority {priority}\n    \
             advert_int 1\n    virtual_ipaddress {{\n        {VIP}/32\n        192.168.7.254/24 dev eth1\n    }}\n}}\n\
             virtual_server {VIP} 80 {{\n    delay_loop 2\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n{}{}}}\n",
            real(1),
            real(2)
        )
    };
    let mut d1 = Director::start(&lab, "d1", &slower(conf("MASTER", 150)));
    let _d2 = Director::start(&lab, "d2", &slower(conf("BACKUP", 100)));
    watch.wait("d1", VIP, true, patience());
    let table = TableWatch::start(&lab, "d1");
    let both = ["192.168.7.11:80", "192.168.7.12:80"];
    table.wait("both servers", patience(), |table| table.is("TCP 10.0.0.100:80 rr", &both));
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(500) * slow());
    restarts(&lab, &mut d1, &wire, &table, &traffic);
}
