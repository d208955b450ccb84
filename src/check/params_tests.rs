//! Inheritance, defaults and keys.

use std::time::Duration;

use super::super::plan::{Authority, Kind, Plan, Target};
use super::inherit::{CONNECT_TIMEOUT, LONGEST, SHORTEST_PAUSE};
use super::*;
use crate::config::model::{
    BfdCheck, CertificateRules, Command, Connection, DnsCheck, FileCheck, GrpcCheck, HttpGet, HttpProtocol,
    MiscCheck, Pace, PingCheck, ScriptUser, SendProxy, SmtpCheck, SmtpHost, SorryServer, StatusRange,
    TcpCheck, TrackFile, UdpCheck, Url,
};
use crate::config::model::{Method, Protocol, Scheduler};
use crate::config::units::Secs;
use crate::ipvs::table::{Family, Service, ServiceKey};

fn secs(n: u64) -> Option<Secs> {
    Some(Secs::from_secs(n))
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn real(address: &str, port: u16) -> RealServer {
    let mut server = RealServer::new(ip(address));
    server.port = Some(port);
    server
}

fn server(reals: Vec<RealServer>) -> VirtualServer {
    VirtualServer {
        address: Some(ip("10.0.0.1")),
        port: Some(80),
        protocol: Some(Protocol::Tcp),
        real_server: reals,
        ..VirtualServer::default()
    }
}

fn plan(server: VirtualServer) -> VirtualPlan {
    let config = Config { virtual_server: vec![server.into()], ..Config::default() };
    Arc::unwrap_or_clone(Plan::new(&config).services.remove(0))
}

fn url(path: &str) -> Url {
    Url::new(path.to_owned())
}

fn misc() -> MiscCheck {
    MiscCheck::new(Command { argv: vec!["/bin/true".to_owned()], user: None })
}

/// A virtual server with one real server that has all three checkers.
fn three() -> VirtualServer {
    let mut real = real("10.0.0.3", 8080);
    real.tcp_check.push(TcpCheck::default());
    real.http_get.push(HttpGet { url: vec![url("/p")], ..HttpGet::default() });
    real.misc_check.push(misc());
    server(vec![real])
}

#[test]
fn defaults_are_keepalived_s() {
    let plan = plan(three());
    assert_eq!(plan.name.to_string(), "TCP 10.0.0.1:80");
    assert_eq!(plan.members[0].service, Service::plain("wlc"));
    assert_eq!(plan.quorum, quorum::Rules { quorum: 1, hysteresis: 0 });
    let real = &plan.reals[0];
    assert_eq!(real.name().to_string(), "10.0.0.3:8080");
    assert_eq!((real.weight, real.forward), (1, Forward::Masquerade));
    assert!(real.smtp_alert && !plan.smtp_alert && !real.inhibit);
    let rules = |n: usize| {
        let rules = &real.checkers[n].rules;
        (rules.retry, rules.delay_before_retry, rules.delay_loop)
    };
    assert_eq!(rules(0), (1, seconds(1), seconds(60)));
    assert_eq!(rules(1), (1, seconds(3), seconds(60)));
    assert_eq!(rules(2), (0, seconds(1), seconds(60)));
    let target = Target::new("10.0.0.3:8080".parse().unwrap(), seconds(5));
    assert_eq!(real.checkers[0].kind, Kind::Tcp(target.clone()));
    let Kind::Http(http) = &real.checkers[1].kind else { panic!() };
    assert_eq!((&http.target, http.protocol), (&target, HttpProtocol::V1_0));
    assert_eq!(http.host(&http.urls[0]), "10.0.0.3:8080");
    assert_eq!(http.urls[0].status, [StatusRange { from: 200, to: 299 }]);
    let Kind::Misc(misc) = &real.checkers[2].kind else { panic!() };
    assert_eq!((misc.timeout, &misc.user), (seconds(60), &None));
    assert!(real.checkers.iter().all(|c| c.warmup.is_none() && !c.alpha && !c.log_all_failures));
}

/// Every value: from the virtual server, covered by the real server's, covered by the checker's.
#[test]
fn the_nearest_value_wins() {
    let mut server = three();
    server.delay_loop = secs(10);
    server.retry = Some(5);
    server.delay_before_retry = secs(11);
    server.warmup = secs(12);
    server.connect_timeout = secs(13);
    server.alpha = true;
    server.virtualhost = Some("vs".to_owned());
    let look = |server: &VirtualServer, n: usize| {
        let checker = Arc::clone(&plan(server.clone()).reals[0].checkers[n]);
        let rest = match &checker.kind {
            Kind::Tcp(target) => (target.timeout, String::new()),
            Kind::Http(http) => (http.target.timeout, http.host(&http.urls[0]).into_owned()),
            Kind::Misc(misc) => (misc.timeout, String::new()),
            other => panic!("{}", other.name()),
        };
        let rules = &checker.rules;
        (rules.delay_loop, rules.retry, rules.delay_before_retry, checker.warmup, checker.alpha, rest)
    };
    let host = |n: usize, name: &str| if n == 1 { name.to_owned() } else { String::new() };
    for n in 0..3 {
        let timeout = seconds(if n == 2 { 10 } else { 13 });
        let wanted = (seconds(10), 5, seconds(11), Some(seconds(12)), true, (timeout, host(n, "vs")));
        assert_eq!(look(&server, n), wanted);
    }
    let real = &mut server.real_server[0];
    real.delay_loop = secs(20);
    real.retry = Some(6);
    real.delay_before_retry = secs(21);
    real.warmup = secs(22);
    real.connect_timeout = secs(23);
    real.alpha = Some(false);
    real.virtualhost = Some("rs".to_owned());
    for n in 0..3 {
        let timeout = seconds(if n == 2 { 20 } else { 23 });
        let wanted = (seconds(20), 6, seconds(21), Some(seconds(22)), false, (timeout, host(n, "rs")));
        assert_eq!(look(&server, n), wanted);
    }
    let pace = Pace {
        delay_loop: secs(30),
        retry: Some(0),
        delay_before_retry: secs(31),
        warmup: secs(0),
        alpha: Some(true),
        log_all_failures: Some(true),
        ..Pace::default()
    };
    let connection = Connection { connect_timeout: secs(33), ..Connection::default() };
    let real = &mut server.real_server[0];
    real.tcp_check[0] =
        TcpCheck { connection: connection.clone(), pace: pace.clone(), ..TcpCheck::default() };
    real.http_get[0].connection = connection;
    real.http_get[0].pace = pace.clone();
    real.http_get[0].virtualhost = Some("checker".to_owned());
    real.misc_check[0].pace = pace;
    real.misc_check[0].misc_timeout = secs(33);
    for n in 0..3 {
        let wanted = (seconds(30), 0, seconds(31), Some(seconds(0)), true, (seconds(33), host(n, "checker")));
        assert_eq!(look(&server, n), wanted);
    }
    server.real_server[0].http_get[0].url[0].virtualhost = Some("url".to_owned());
    assert_eq!(look(&server, 1).5.1, "url");
}

#[test]
fn ports_of_destinations_and_checks() {
    // (method, written port, destination port, checked port)
    for (method, written, destination, checked) in [
        (None, Some(8080), 8080, 8080),
        (None, Some(0), 80, 80),
        (None, None, 80, 80),
        (Some(Method::Dr), Some(8080), 80, 8080),
        (Some(Method::Tun), None, 80, 80),
    ] {
        let mut server = three();
        server.lb_kind = method;
        server.real_server[0].port = written;
        let plan = plan(server);
        assert_eq!(plan.reals[0].key.port, destination);
        let Kind::Tcp(target) = &plan.reals[0].checkers[0].kind else { panic!() };
        assert_eq!(target.address.port(), checked, "{method:?} {written:?}");
    }
    let mut server = three();
    server.real_server[0].tcp_check[0].connection.connect_ip = Some(ip("10.0.0.9"));
    server.real_server[0].tcp_check[0].connection.connect_port = Some(81);
    let Kind::Tcp(target) = &plan(server).reals[0].checkers[0].kind.clone() else { panic!() };
    assert_eq!(target.address.to_string(), "10.0.0.9:81");
}

#[test]
fn firewall_marks_have_no_port_but_checks_do() {
    for (method, port) in [(Method::Dr, 0), (Method::Tun, 0), (Method::Nat, 8080)] {
        let mut server = three();
        server.address = None;
        server.fwmark = Some(7);
        server.lb_kind = Some(method);
        let plan = plan(server);
        assert_eq!(plan.members[0].key, ServiceKey::Fwmark { family: Family::V4, mark: 7 });
        assert_eq!(plan.reals[0].key.port, port);
        assert_eq!(plan.reals[0].name().to_string(), "10.0.0.3:8080");
        assert_eq!(plan.members[0].service.persistence, None);
    }
    let mut server = server(vec![real("2001:db8::3", 80)]);
    server.address = None;
    server.fwmark = Some(7);
    assert_eq!(plan(server).members[0].key.family(), Family::V6);
}

#[test]
fn persistence_is_asked_for_or_implied() {
    let look = |port, timeout, granularity| {
        let mut server = server(vec![real("10.0.0.3", 80)]);
        server.port = port;
        server.persistence_timeout = timeout;
        server.persistence_granularity = granularity;
        plan(server).members[0].service.persistence.map(|p| (p.timeout, p.granularity))
    };
    assert_eq!(look(Some(80), None, None), None);
    assert_eq!(look(Some(80), Some(0), None), None);
    assert_eq!(look(Some(80), Some(50), None), Some((50, 32)));
    assert_eq!(look(Some(80), None, Some(24)), Some((360, 24)));
    assert_eq!(look(None, None, None), Some((360, 32)));
    assert_eq!(look(Some(0), Some(50), Some(8)), Some((50, 8)));
}

#[test]
fn what_cannot_be_run_is_left_out() {
    let keyless = VirtualServer { address: None, ..three() };
    let empty = server(Vec::new());
    let doubled = server(vec![real("10.0.0.4", 80), real("10.0.0.4", 80)]);
    // Direct routing knows no ports of its own: these two are one destination.
    let mut other = server(vec![real("10.0.0.4", 80), real("10.0.0.4", 81)]);
    other.port = Some(443);
    other.lb_kind = Some(Method::Dr);
    let config = Config {
        virtual_server: [keyless, empty, doubled, three(), other].map(Into::into).into(),
        ..Config::default()
    };
    let plan = Plan::new(&config);
    let keys: Vec<String> = plan.services.iter().map(|s| s.name.to_string()).collect();
    assert_eq!(keys, ["TCP 10.0.0.1:80", "TCP 10.0.0.1:443"]);
    assert!(plan.services.iter().all(|s| s.reals.len() == 1));
    assert_eq!(plan.checkers(), 0);
}

#[test]
fn sorry_server_and_protocol() {
    let mut server = three();
    server.protocol = None;
    server.lb_algo = Some(Scheduler::Sh);
    server.lb_kind = Some(Method::Dr);
    server.sorry_server = Some(SorryServer { address: ip("10.0.0.9"), port: Some(8080) });
    server.sorry_server_inhibit = true;
    let direct = plan(server.clone());
    assert_eq!(direct.name.to_string(), "UDP 10.0.0.1:80");
    assert_eq!(direct.members[0].service.scheduler, "sh");
    let sorry = direct.sorry.unwrap();
    assert_eq!((sorry.key.port, sorry.forward, sorry.inhibit), (80, Forward::DirectRoute, true));
    server.sorry_server_lvs_method = Some(Method::Nat);
    let sorry = plan(server).sorry.unwrap();
    assert_eq!((sorry.key.port, sorry.forward), (8080, Forward::Masquerade));
}

#[test]
fn the_quorum_is_cut_to_the_weights() {
    let mut server = server(vec![real("10.0.0.3", 80), real("10.0.0.4", 80)]);
    server.weight = Some(3);
    server.real_server[0].weight = Some(0);
    (server.quorum, server.hysteresis) = (Some(9), Some(9));
    assert_eq!(plan(server).quorum, quorum::Rules { quorum: 3, hysteresis: 2 });
}

#[test]
fn paths_begin_with_a_slash_and_digests_are_lower_case() {
    let mut server = three();
    let url = &mut server.real_server[0].http_get[0].url[0];
    url.path = "index.html?a=b".to_owned();
    url.digest = Some("ABCDEF".to_owned());
    let plan = plan(server);
    let Kind::Http(http) = &plan.reals[0].checkers[1].kind else { panic!() };
    assert_eq!(http.urls[0].path, "/index.html?a=b");
    assert_eq!(http.urls[0].digest.as_deref(), Some("abcdef"));
}

#[test]
fn script_user_is_the_default_user() {
    let user = |name: &str| Some(ScriptUser { user: name.to_owned(), group: None });
    let look = |server: VirtualServer| {
        let global_defs = Global { script_user: user("all"), ..Global::default() };
        let plan =
            Plan::new(&Config { global_defs, virtual_server: vec![server.into()], ..Config::default() });
        let Kind::Misc(misc) = &plan.services[0].reals[0].checkers[2].kind else { panic!() };
        misc.user.clone()
    };
    assert_eq!(look(three()), user("all"));
    let mut server = three();
    server.real_server[0].misc_check[0].misc_path.user = user("own");
    assert_eq!(look(server), user("own"));
}

#[test]
fn times_stay_within_what_clocks_bear() {
    let mut server = three();
    let never = Some(Secs(Duration::MAX));
    (server.delay_loop, server.warmup, server.connect_timeout) = (never, never, secs(0));
    server.delay_before_retry = secs(0);
    server.real_server[0].misc_check[0].misc_timeout = secs(0);
    let checkers = plan(server).reals[0].checkers.clone();
    for checker in &checkers {
        assert_eq!(checker.rules.delay_loop, LONGEST);
        assert_eq!(checker.warmup, Some(LONGEST));
        assert_eq!(checker.rules.delay_before_retry, SHORTEST_PAUSE);
        match &checker.kind {
            Kind::Tcp(target) => assert_eq!(target.timeout, CONNECT_TIMEOUT),
            Kind::Http(http) => assert_eq!(http.target.timeout, CONNECT_TIMEOUT),
            Kind::Misc(misc) => assert_eq!(misc.timeout, LONGEST),
            other => panic!("{}", other.name()),
        }
    }
}

/// One real server with one of each of the other checkers.
fn others() -> Config {
    let mut real = real("10.0.0.3", 8080);
    let hosts = [("10.0.0.4", None), ("10.0.0.5", Some(2525))].map(|(address, port)| {
        let mut host = SmtpHost::default();
        host.connection.connect_ip = Some(ip(address));
        host.connection.connect_port = port;
        host
    });
    let connection = Connection { connect_port: Some(26), fwmark: Some(7), ..Connection::default() };
    real.smtp_check.push(SmtpCheck { host: hosts.into(), connection, ..SmtpCheck::default() });
    real.smtp_check.push(SmtpCheck { helo_name: Some("me".to_owned()), ..SmtpCheck::default() });
    real.dns_check.push(DnsCheck::default());
    real.udp_check.push(UdpCheck { require_reply: Some(String::new()), ..UdpCheck::default() });
    real.ping_check.push(PingCheck::default());
    real.file_check.push(FileCheck::new("f".to_owned()));
    real.file_check.push(FileCheck { weight: Some(0), ..FileCheck::new("f".to_owned()) });
    real.file_check.push(FileCheck::new("gone".to_owned()));
    real.bfd_check.push(BfdCheck { alpha: Some(true), ..BfdCheck::new("b".to_owned()) });
    let mut server = server(vec![real]);
    server.delay_loop = secs(7);
    let mut file = TrackFile::new("f".to_owned(), "/run/f".to_owned());
    file.reverse = true;
    Config { virtual_server: vec![server.into()], track_file: vec![file], ..Config::default() }
}

#[test]
fn the_other_checkers_defaults_are_keepalived_s() {
    let checkers = Plan::new(&others()).services[0].reals[0].checkers.clone();
    let said: Vec<String> = checkers
        .iter()
        .map(|checker| {
            let rules = &checker.rules;
            let what = match &checker.kind {
                Kind::Smtp(smtp) => format!("{} {:?} {}", smtp.target.address, smtp.target.fwmark, smtp.helo),
                Kind::Dns(dns) => format!("{} {:?} {}", dns.target.address, dns.kind, dns.name),
                Kind::Udp(udp) => format!("{} {:?} {:?}", udp.target.address, udp.payload, udp.reply),
                Kind::Ping(target) => target.address.ip().to_string(),
                Kind::File(file) => format!("{} {} {}", file.name, file.weight, file.reverse),
                Kind::Bfd(name) => name.clone(),
                other => other.name().to_owned(),
            };
            let times = format!("{} x {:?}", rules.retry, rules.delay_before_retry);
            format!("{}: {what}; {times}{}", checker.kind.name(), if checker.alpha { ", alpha" } else { "" })
        })
        .collect();
    assert_eq!(
        said,
        [
            "SMTP_CHECK: 10.0.0.4:26 Some(7) smtpchecker.keepalived.org; 1 x 1s",
            "SMTP_CHECK: 10.0.0.5:2525 Some(7) smtpchecker.keepalived.org; 1 x 1s",
            "SMTP_CHECK: 10.0.0.3:8080 None me; 1 x 1s",
            "DNS_CHECK: 10.0.0.3:8080 Soa .; 3 x 7s",
            "UDP_CHECK: 10.0.0.3:8080 None Some(ReplyPlan { pattern: Pattern { bytes: [], masks: [] }, min: 0, \
             max: 255 }); 1 x 1s",
            "PING_CHECK: 10.0.0.3; 1 x 1s",
            "FILE_CHECK: f 1 true; 0 x 1s",
            "FILE_CHECK: f 0 false; 0 x 1s",
            "BFD_CHECK: b; 0 x 1s, alpha",
        ]
    );
}

/// GRPC_CHECK, PROXY headers and what is asked of certificates.
#[test]
fn words_beyond_keepalived_s_find_their_plan() {
    let mut real = RealServer::new(ip("10.0.0.3"));
    real.virtualhost = Some("grpc.example.org:50051".to_owned());
    let rules = CertificateRules {
        tls_verify: Some("system".to_owned()),
        tls_expiry: Some(3),
        tls_expiry_warn: Some(30),
        ..CertificateRules::default()
    };
    real.grpc_check.push(GrpcCheck::default());
    real.grpc_check.push(GrpcCheck {
        service: Some("a.B".to_owned()),
        tls: true,
        server_certificate: CertificateRules { tls_verify: Some("/ca".to_owned()), ..rules.clone() },
        send_proxy: Some(SendProxy::V2),
        ..GrpcCheck::default()
    });
    real.tcp_check.push(TcpCheck { send_proxy: Some(SendProxy::V1), ..TcpCheck::default() });
    let page = |proxy| HttpGet {
        url: vec![url("/p")],
        server_certificate: rules.clone(),
        send_proxy: proxy,
        ..HttpGet::default()
    };
    real.http_get.push(page(None));
    real.ssl_get.push(page(Some(SendProxy::V2Local)));
    let mut server = server(vec![real]);
    server.port = Some(50051);
    let config = Config { virtual_server: vec![server.into()], ..Config::default() };
    let checkers = Plan::new(&config).services[0].reals[0].checkers.clone();
    let proxies: Vec<_> = checkers.iter().map(|c| c.kind.target().and_then(|target| target.proxy)).collect();
    let wanted = [Some(SendProxy::V1), None, Some(SendProxy::V2Local), None, Some(SendProxy::V2)];
    assert_eq!(proxies, wanted);
    let names: Vec<_> = checkers.iter().map(|checker| checker.kind.name()).collect();
    assert_eq!(names, ["TCP_CHECK", "HTTP_GET", "SSL_GET", "GRPC_CHECK", "GRPC_CHECK"]);
    let Kind::Http(http) = &checkers[1].kind else { panic!() };
    assert_eq!(http.tls, None, "HTTP_GET has no certificate");
    let Kind::Http(ssl) = &checkers[2].kind else { panic!() };
    let tls = ssl.tls.as_ref().unwrap();
    assert_eq!((&tls.verify, tls.expiry, tls.expiry_warn), (&Some(Authority::System), Some(3), Some(30)));
    assert_eq!(ssl.certified(&ssl.urls[0]), "grpc.example.org");
    let Kind::Grpc(plain) = &checkers[3].kind else { panic!() };
    assert_eq!((plain.service.as_str(), &plain.tls), ("", &None));
    assert_eq!(plain.authority, "grpc.example.org:50051");
    let Kind::Grpc(grpc) = &checkers[4].kind else { panic!() };
    assert_eq!(grpc.server_name.as_deref(), Some("grpc.example.org"));
    assert_eq!(grpc.tls.as_ref().unwrap().verify, Some(Authority::File("/ca".to_owned())));
    assert_eq!((checkers[4].rules.retry, checkers[4].rules.delay_before_retry), (1, seconds(1)));
}
