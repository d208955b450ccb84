//! Whose the table is: ours is adopted and repaired, others' is left alone.

use super::*;

#[test]
fn foreign_service_is_left_alone() {
    let lab = dr::lab("foreign");
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let foreign = "-A -t 10.0.0.1:8443 -s wlc -p 300\n-a -t 10.0.0.1:8443 -r 10.0.0.13:443 -m -w 7\n";
    let rules = lab.file("rules", foreign).display().to_string();
    lab.command("d1", &["sh", "-c", &format!("ipvsadm -R <{rules}")]);
    let before = Table::read(&lab, "d1");
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    let table = TableWatch::start(&lab, "d1");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    d1.reload(&dr_conf("MASTER", 150, TCP, "").replace("lb_algo rr", "lb_algo wlc"));
    table.wait("wlc", patience(), |table| table.is("TCP 10.0.0.100:80 wlc", &ALL));
    assert!(d1.stop().success());
    table.wait("only the foreign service", patience(), |table| *table == before);
    assert!(table.all().iter().all(|(_, one)| one.of("TCP 10.0.0.1:8443") == before.of("TCP 10.0.0.1:8443")));
}

/// `net_namespace_ipvs`: VRRP and the checks stay in d1, the table is the one of another namespace (that of d2, where nothing
/// runs), and follows the checks there.
#[test]
fn the_table_may_be_in_another_network_namespace() {
    let lab = dr::lab("space");
    let [_one, _two, third] = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let conf = format!("net_namespace_ipvs {}\n{}", lab.space("d2"), dr_conf("MASTER", 150, TCP, ""));
    let before = Table::read(&lab, "d1");
    let mut d1 = Director::start(&lab, "d1", &conf);
    let table = TableWatch::start(&lab, "d2");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    watch.wait_holders(VIP, &["d1"], patience());
    drop(third);
    table.wait("the dead one is out", patience() * 2, |table| table.of(SERVICE).len() == 2);
    assert_eq!(Table::read(&lab, "d1"), before, "nothing of it here");
    assert!(d1.stop().success());
    table.wait("nothing is left", patience(), |table| table.of(SERVICE).is_empty());
}

#[test]
fn table_survives_a_crash_and_is_adopted() {
    let lab = dr::lab("adopt");
    let watch = AddressWatch::start(&lab, &["d1"]);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    let table = TableWatch::start(&lab, "d1");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    watch.wait("d1", VIP, true, patience());
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    serves(&traffic, s(1));
    let since = now();
    d1.kill();
    pause(s(1));
    let d1 = d1.again(&lab);
    wait("it is master again", patience() * 4, || d1.said().contains("MASTER"));
    watch.wait_holders(VIP, &["d1"], patience());
    // Requests that were asked before are given up after their limit.
    pause(s(1) * slow());
    // The table never lost anything: every value since the crash is the whole one.
    let values: Vec<_> = table.all().into_iter().filter(|(at, _)| *at >= since).collect();
    assert!(values.is_empty(), "the table changed: {values:#?}");
    let outage = traffic.outage(since, now());
    println!("MEASURED restart_outage_ms={}", outage.as_millis());
    serves(&traffic, s(1));
}

#[test]
fn what_is_deleted_by_hand_is_put_back() {
    need_ipvs();
    if director::tandem_only("repair of the table") {
        return;
    }
    let lab = dr::lab("repair");
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let _d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    let table = TableWatch::start(&lab, "d1");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    let since = now();
    lab.command("d1", &["ipvsadm", "-d", "-t", "10.0.0.100:80", "-r", "10.0.0.12:80"]);
    table.wait("it is gone", patience(), |table| table.is(SERVICE, &["10.0.0.11:80", "10.0.0.13:80"]));
    let at = table.wait("it is back", patience(), |table| table.is(SERVICE, &ALL));
    measured("table_repair_server", at.saturating_duration_since(since), s(5), ms(300));
    let since = now();
    lab.command("d1", &["ipvsadm", "-D", "-t", "10.0.0.100:80"]);
    table.wait("it is gone", patience(), |table| table.0.is_empty());
    let at = table.wait("it is back", patience(), |table| table.is(SERVICE, &ALL));
    measured("table_repair_service", at.saturating_duration_since(since), s(5), ms(300));
}

#[test]
fn reload_applies_differences_only() {
    let lab = dr::lab("ipvshup");
    let watch = AddressWatch::start(&lab, &["d1"]);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let full = dr_conf("MASTER", 150, TCP, "");
    let third = full.find("    real_server 10.0.0.13").expect("rs3");
    let two = format!("{}}}\n", &full[..third]);
    let d1 = Director::start(&lab, "d1", &two);
    let table = TableWatch::start(&lab, "d1");
    table.wait("two servers", patience(), |table| table.is(SERVICE, &ALL[..2]));
    watch.wait("d1", VIP, true, patience());
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    let since = now();
    serves(&traffic, s(1));
    d1.reload(&full);
    table.wait("three servers", patience(), |table| table.is(SERVICE, &ALL));
    d1.reload(&full.replace("weight 1\n", "weight 3\n"));
    let heavy = |table: &Table| table.of(SERVICE).iter().all(|(.., weight)| *weight == 3);
    table.wait("weight 3", patience(), heavy);
    d1.reload(&two);
    table.wait("two servers", patience(), |table| table.is(SERVICE, &ALL[..2]));
    serves(&traffic, s(1));
    let (_, bad) = traffic.count(since, now());
    assert_eq!(bad, 0, "no request failed in three reloads");
    let never_empty =
        table.all().iter().filter(|(at, _)| *at >= since).all(|(_, one)| one.of(SERVICE).len() >= 2);
    assert!(never_empty, "never emptied: {:#?}", table.all());
}
