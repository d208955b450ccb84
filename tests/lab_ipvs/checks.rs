//! Real servers that die and come back.

use std::time::{Duration, Instant};

use super::*;

/// A lone director with all servers in its table.
struct One {
    table: TableWatch,
    servers: [Nginx; 3],
    _director: Director,
    lab: Lab,
}

fn one(name: &str, conf: impl FnOnce(&Lab) -> String) -> One {
    let lab = dr::lab(name);
    let servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let director = Director::start(&lab, "d1", &conf(&lab));
    let table = TableWatch::start(&lab, "d1");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    One { table, servers, _director: director, lab }
}

const WITHOUT_2: [&str; 2] = ["10.0.0.11:80", "10.0.0.13:80"];

impl One {
    #[track_caller]
    fn leaves(&self, name: &str, since: Instant, protocol: Duration) {
        let gone = self.table.wait("rs2 leaves", patience(), |table| table.is(SERVICE, &WITHOUT_2));
        measured(name, gone.saturating_duration_since(since), protocol, ms(200));
        let text = self.lab.command("d1", &["ipvsadm", "-Ln"]);
        assert!(!text.contains("10.0.0.12:80") && text.contains("10.0.0.11:80"), "ipvsadm agrees: {text}");
    }

    #[track_caller]
    fn returns(&self, name: &str, since: Instant, protocol: Duration) {
        let back = self.table.wait("rs2 returns", patience(), |table| table.is(SERVICE, &ALL));
        measured(name, back.saturating_duration_since(since), protocol, ms(200));
    }
}

#[test]
fn tcp_check_under_steady_requests() {
    let mut one = one("tcp", |_| dr_conf("MASTER", 150, TCP, ""));
    let watch = AddressWatch::start(&one.lab, &["d1"]);
    watch.wait("d1", VIP, true, patience());
    let traffic = traffic(&one.lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    serves(&traffic, s(1));
    let since = now();
    one.servers[1].stop();
    // Refused: delay_loop 2 until the next check, one retry 1 s later.
    one.leaves("tcp_check_removal", since, s(2) + s(1));
    let (_, bad) = traffic.count(since, now());
    println!("MEASURED tcp_check_failed_requests={bad}");
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(1)), ["rs1", "rs3"]);
    one.servers[1].resume(&one.lab);
    one.returns("tcp_check_return", now(), s(2));
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(2)).len(), 3);
}

#[test]
fn http_get_against_refusal_silence_and_a_bad_status() {
    const HTTP: &str = "HTTP_GET {
            url {
                path /health
                status_code 200
            }
            connect_timeout 2
            retry 1
            delay_before_retry 1
        }";
    let mut one = one("http", |_| dr_conf("MASTER", 150, HTTP, ""));
    let since = now();
    one.servers[1].stop();
    one.leaves("http_get_refused", since, s(2) + s(1));
    one.servers[1].resume(&one.lab);
    one.returns("http_get_return", now(), s(2));
    // It accepts and says nothing: two time limits of 2 s and the delay between them.
    let since = now();
    one.servers[1].freeze();
    one.leaves("http_get_silent", since, s(2) + s(2) + s(1) + s(2));
    let since = now();
    one.servers[1].thaw();
    one.returns("http_get_thawed", since, s(2) + s(2) + s(1));
}

#[test]
fn http_get_with_the_wrong_status_leaves() {
    let lab = dr::lab("status");
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let check = |path: &str| {
        format!(
            "HTTP_GET {{
            url {{
                path {path}
                status_code 200
            }}
            connect_timeout 2
            retry 1
            delay_before_retry 1
        }}"
        )
    };
    let (good, bad) = (check("/health"), check("/fail"));
    let conf = dr_conf("MASTER", 150, &good, "");
    let place = conf.find("real_server 10.0.0.12").expect("rs2");
    let (before, after) = conf.split_at(place);
    let _director = Director::start(&lab, "d1", &format!("{before}{}", after.replacen(&good, &bad, 1)));
    let table = TableWatch::start(&lab, "d1");
    // How long the program takes to start is the machine's affair: an emulated one has needed fifteen seconds.
    let start = table.wait("the service", patience(), |table| !table.of(SERVICE).is_empty());
    let gone = table.wait("rs2 leaves", patience(), |table| table.is(SERVICE, &WITHOUT_2));
    // The first check comes within delay_loop of the start, the retry 1 s later.
    measured("http_get_bad_status", gone.saturating_duration_since(start), s(2) + s(1), ms(500));
}

#[test]
fn misc_check_and_its_dynamic_weight() {
    let one = one("misc", |lab| {
        let file = lab.file("weight", "0").display().to_string();
        let script = lab.file("check.sh", &format!("case $1 in *.12) exit $(cat {file});; esac\nexit 0\n"));
        let check = |n: u8| {
            format!(
                "MISC_CHECK {{
            misc_path \"/bin/sh {} 10.0.0.1{n}\"
            misc_timeout 5
            misc_dynamic
        }}",
                script.display()
            )
        };
        let mut conf = dr_conf("MASTER", 150, "@", "");
        for n in 1..=3 {
            conf = conf.replacen('@', &check(n), 1);
        }
        conf
    });
    let weight = |value: &str| {
        std::fs::write(one.lab.work().join("weight"), value).expect("the weight");
        now()
    };
    let since = weight("7");
    let at = one
        .table
        .wait("weight 5", patience(), |table| table.of(SERVICE).contains(&("10.0.0.12:80", "Route", 5)));
    measured("misc_check_weight", at.saturating_duration_since(since), s(2), ms(300));
    let since = weight("1");
    one.leaves("misc_check_removal", since, s(2));
    let since = weight("0");
    one.returns("misc_check_return", since, s(2));
    one.table.wait("weight 1", patience(), |table| table.of(SERVICE).contains(&("10.0.0.12:80", "Route", 1)));
}

#[test]
fn sorry_server_serves_when_all_are_gone() {
    let lab = dr::lab("sorry");
    let mut servers = Nginx::start_all(&lab, ["rs1", "rs2"], 80);
    let _sorry = Nginx::start(&lab, "rs3", 80);
    let conf = dr_conf("MASTER", 150, TCP, "sorry_server 10.0.0.13 80");
    let third = conf.find("    real_server 10.0.0.13").expect("rs3");
    let conf = format!("{}}}\n", &conf[..third]);
    let _director = Director::start(&lab, "d1", &conf);
    let table = TableWatch::start(&lab, "d1");
    table.wait("both servers", patience(), |table| table.is(SERVICE, &ALL[..2]));
    let watch = AddressWatch::start(&lab, &["d1"]);
    watch.wait("d1", VIP, true, patience());
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(1)), ["rs1", "rs2"]);
    let since = now();
    for server in &mut servers {
        server.stop();
    }
    let at = table.wait("the sorry server", patience(), |table| table.is(SERVICE, &["10.0.0.13:80"]));
    measured("sorry_server_in", at.saturating_duration_since(since), s(2) + s(1), ms(300));
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(1)), ["rs3"]);
    servers[0].resume(&lab);
    let since = now();
    let at = table.wait("the sorry server goes", patience(), |table| table.is(SERVICE, &["10.0.0.11:80"]));
    measured("sorry_server_out", at.saturating_duration_since(since), s(2), ms(300));
}

#[test]
fn inhibit_on_failure_keeps_the_entry_with_weight_0() {
    let lab = dr::lab("inhibit");
    let mut servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let conf =
        dr_conf("MASTER", 150, TCP, "").replace("weight 1\n", "weight 1\n        inhibit_on_failure\n");
    let _director = Director::start(&lab, "d1", &conf);
    let table = TableWatch::start(&lab, "d1");
    table.wait("all servers", patience(), |table| table.is(SERVICE, &ALL));
    servers[1].stop();
    table.wait("weight 0", patience(), |table| table.of(SERVICE).contains(&("10.0.0.12:80", "Route", 0)));
    servers[1].resume(&lab);
    table.wait("weight 1", patience(), |table| table.of(SERVICE).contains(&("10.0.0.12:80", "Route", 1)));
}
