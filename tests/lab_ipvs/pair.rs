//! A pair of directors under steady requests.

use super::*;

#[test]
fn master_loses_power_under_steady_requests() {
    let lab = dr::lab("drkill");
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    let _d2 = Director::start(&lab, "d2", &dr_conf("BACKUP", 100, TCP, ""));
    watch.wait("d1", VIP, true, patience());
    for director in ["d1", "d2"] {
        let table = TableWatch::start(&lab, director);
        table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
        let text = lab.command(director, &["ipvsadm", "-Ln"]);
        println!("{text}");
        assert_eq!(text.matches("Route   1").count(), 3, "ipvsadm agrees: {text}");
        assert!(text.contains("TCP  10.0.0.100:80 rr"), "ipvsadm agrees: {text}");
    }
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(3)), ["rs1", "rs2", "rs3"]);

    // Power loss: no process, no cable.
    wire.next_advert("d1", patience());
    let died = now();
    d1.kill();
    lab.cut("d1", "eth0");
    let taken = watch.wait("d2", VIP, true, patience());
    let (heard, _) = wire.last_advert("d1").expect("an advert of the old master");
    measured(
        "ipvs_takeover_power_loss",
        taken.saturating_duration_since(heard),
        down_interval(s(1), 100),
        ms(100),
    );
    pause(s(3));
    measured("ipvs_outage_power_loss", traffic.outage(died, now()), down_interval(s(1), 100), ms(400));
    serves(&traffic, s(2));

    // Back, as after a boot: no address, no table.
    lab.ip("d1", "addr del 10.0.0.100/32 dev eth0");
    lab.command("d1", &["ipvsadm", "-C"]);
    let _d1 = d1.again(&lab);
    lab.plug("d1", "eth0");
    let back = now();
    watch.wait_holders(VIP, &["d1"], patience());
    pause(s(2));
    println!("MEASURED ipvs_outage_failback_ms={}", traffic.outage(back, now()).as_millis());
    assert_eq!(serves(&traffic, s(2)).len(), 3);
}

#[test]
fn master_killed_but_its_table_lives() {
    let lab = dr::lab("drcrash");
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    let _d2 = Director::start(&lab, "d2", &dr_conf("BACKUP", 100, TCP, ""));
    watch.wait("d1", VIP, true, patience());
    TableWatch::start(&lab, "d2").wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    serves(&traffic, s(1));
    wire.next_advert("d1", patience());
    let died = now();
    d1.kill();
    let taken = watch.wait("d2", VIP, true, patience());
    let (heard, _) = wire.last_advert("d1").expect("an advert of the old master");
    measured(
        "ipvs_takeover_sigkill",
        taken.saturating_duration_since(heard),
        down_interval(s(1), 100),
        ms(100),
    );
    pause(s(2));
    // The kernel of the killed director went on: address and table were there until the other one announced itself.
    measured("ipvs_outage_sigkill", traffic.outage(died, now()), std::time::Duration::ZERO, ms(400));
    // It comes back and adopts what it finds: nothing is doubled, everything is served.
    let _d1 = d1.again(&lab);
    watch.wait_holders(VIP, &["d1"], patience());
    let table = TableWatch::start(&lab, "d1");
    table.wait("the adopted table", patience(), |table| table.is(SERVICE, &ALL));
    assert_eq!(serves(&traffic, s(2)).len(), 3);
}

#[test]
fn orderly_stop_empties_the_table_and_hands_over() {
    let lab = dr::lab("drterm");
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    let mut d2 = Director::start(&lab, "d2", &dr_conf("BACKUP", 100, TCP, ""));
    watch.wait("d1", VIP, true, patience());
    let tables = ["d1", "d2"].map(|director| TableWatch::start(&lab, director));
    for table in &tables {
        table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    }
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    serves(&traffic, s(1));
    let since = now();
    d1.terminate();
    let taken = watch.wait("d2", VIP, true, patience());
    let goodbye = wire.adverts("d1", since).iter().find(|(_, p)| *p == 0).expect("a goodbye").0;
    measured("ipvs_takeover_sigterm", taken.saturating_duration_since(goodbye), skew(s(1), 100), ms(100));
    assert!(d1.stop().success());
    assert_eq!(tables[0].wait("empty", patience(), |table| table.0.is_empty()).elapsed().as_secs() / 60, 0);
    pause(s(1));
    measured("ipvs_outage_sigterm", traffic.outage(since, now()), skew(s(1), 100), ms(400));
    serves(&traffic, s(1));
    assert!(d2.stop().success());
    tables[1].wait("empty", patience(), |table| table.0.is_empty());
    assert_eq!(lab.command("d2", &["ipvsadm", "-Sn"]).trim(), "", "ipvsadm agrees");
}

#[test]
fn dual_master() {
    let lab = dr::lab("drdual");
    let second = "10.0.0.101";
    for server in ["rs1", "rs2", "rs3"] {
        lab.ip(server, &format!("addr add {second}/32 dev lo"));
    }
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let conf = |one: (&str, u8), two: (&str, u8)| {
        let instance = |name: &str, vrid: u8, role: (&str, u8), vip: &str| {
            format!(
                "vrrp_instance {name} {{
    state {}
    interface eth0
    virtual_router_id {vrid}
    priority {}
    advert_int 1
    virtual_ipaddress {{
        {vip}/32
    }}
}}\n",
                role.0, role.1
            )
        };
        let service = |vip: &str| {
            format!(
                "virtual_server {vip} 80 {{
    delay_loop 2
    lb_algo wrr
    lb_kind DR
    protocol TCP
    real_server 10.0.0.11 80 {{
        weight 2
        {TCP}
    }}
    real_server 10.0.0.12 80 {{
        weight 1
        {TCP}
    }}
}}\n"
            )
        };
        instance("VI_1", 51, one, VIP) + &instance("VI_2", 52, two, second) + &service(VIP) + &service(second)
    };
    let mut d1 = Director::start(&lab, "d1", &conf(("MASTER", 150), ("BACKUP", 100)));
    let _d2 = Director::start(&lab, "d2", &conf(("BACKUP", 100), ("MASTER", 150)));
    watch.wait_holders(VIP, &["d1"], patience());
    watch.wait_holders(second, &["d2"], patience());
    for director in ["d1", "d2"] {
        let table = TableWatch::start(&lab, director);
        for vip in [VIP, second] {
            let name = format!("TCP {vip}:80 wrr");
            table
                .wait("both servers", patience(), |table| table.is(&name, &["10.0.0.11:80", "10.0.0.12:80"]));
        }
        assert_eq!(table.now().of(&format!("TCP {VIP}:80"))[0], ("10.0.0.11:80", "Route", 2));
    }
    let (one, two) = (traffic(&lab, "10.0.0.100:80"), traffic(&lab, "10.0.0.101:80"));
    pause(ms(300) * slow());
    serves(&one, s(1));
    serves(&two, s(1));
    d1.kill();
    lab.cut("d1", "eth0");
    watch.wait("d2", VIP, true, patience());
    pause(s(1) + ms(300) * slow());
    serves(&one, s(1));
    serves(&two, s(1));
}
