//! NAT between two networks, and tunnels.

use super::*;

/// client - front - directors - back - real servers, whose way out is the back VIP.
#[test]
fn nat_director_between_two_networks() {
    need_ipvs();
    let director = |name: &str, n: u8| {
        host(name)
            .nic("eth0", "front", &format!("10.0.0.{n}/24"))
            .nic("eth1", "back", &format!("192.168.7.{n}/24"))
            .sysctl("net/ipv4/ip_forward", "1")
    };
    let mut hosts =
        vec![host("client").nic("eth0", "front", "10.0.0.200/24"), director("d1", 1), director("d2", 2)];
    for n in 1..=2 {
        let server = host(&format!("rs{n}")).nic("eth0", "back", &format!("192.168.7.1{n}/24"));
        hosts.push(server.ip("route add default via 192.168.7.254"));
    }
    let lab = Lab::build("nat", &["front", "back"], &hosts);
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2"], 8080);
    let conf = |state: &str, priority: u8| {
        format!(
            "vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {VIP}/24 dev eth0
        192.168.7.254/24 dev eth1
    }}
}}
virtual_server {VIP} 80 {{
    delay_loop 2
    lb_algo rr
    lb_kind NAT
    protocol TCP
    real_server 192.168.7.11 8080 {{
        weight 1
        {TCP}
    }}
    real_server 192.168.7.12 8080 {{
        weight 1
        {TCP}
    }}
}}\n"
        )
    };
    let mut d1 = Director::start(&lab, "d1", &conf("MASTER", 150));
    let _d2 = Director::start(&lab, "d2", &conf("BACKUP", 100));
    watch.wait_holders(VIP, &["d1"], patience());
    watch.wait_holders("192.168.7.254", &["d1"], patience());
    let both = ["192.168.7.11:8080", "192.168.7.12:8080"];
    for name in ["d1", "d2"] {
        let table = TableWatch::start(&lab, name);
        table.wait("both servers", patience(), |table| table.is(SERVICE, &both));
        assert!(table.now().of(SERVICE).iter().all(|(_, method, _)| *method == "Masq"));
    }
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(2)), ["rs1", "rs2"]);
    let since = now();
    d1.terminate();
    watch.wait_holders(VIP, &["d2"], patience());
    watch.wait_holders("192.168.7.254", &["d2"], patience());
    assert!(d1.stop().success());
    pause(s(1) + ms(300) * slow());
    measured("nat_outage_sigterm", traffic.outage(since, now()), skew(s(1), 100), ms(400));
    assert_eq!(serves(&traffic, s(1)), ["rs1", "rs2"]);
}

#[test]
fn tunnel() {
    need_ipvs();
    // With the module each new namespace has a tunl0 that takes every ipip packet.
    let _ = std::process::Command::new("modprobe").arg("ipip").status();
    let mut hosts = vec![
        host("client").nic("eth0", "lan", "10.0.0.200/24"),
        host("d1").nic("eth0", "lan", "10.0.0.1/24"),
    ];
    for n in 1..=2 {
        let server = host(&format!("rs{n}"))
            .nic("eth0", "lan", &format!("10.0.0.1{n}/24"))
            .sysctl("net/ipv4/conf/all/arp_ignore", "1")
            .sysctl("net/ipv4/conf/all/arp_announce", "2")
            .sysctl("net/ipv4/conf/all/rp_filter", "0")
            .sysctl("net/ipv4/conf/default/rp_filter", "0")
            .ip("link set tunl0 up")
            .ip(&format!("addr add {VIP}/32 dev tunl0"));
        hosts.push(server);
    }
    let lab = Lab::build("tun", &["lan"], &hosts);
    for server in ["rs1", "rs2"] {
        lab.set(server, "net/ipv4/conf/tunl0/rp_filter", "0");
    }
    let watch = AddressWatch::start(&lab, &["d1"]);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2"], 80);
    let conf = dr_conf("MASTER", 150, TCP, "").replace("lb_kind DR", "lb_kind TUN");
    let third = conf.find("    real_server 10.0.0.13").expect("rs3");
    let _d1 = Director::start(&lab, "d1", &format!("{}}}\n", &conf[..third]));
    let table = TableWatch::start(&lab, "d1");
    table.wait("both servers", patience(), |table| table.is(SERVICE, &ALL[..2]));
    assert!(table.now().of(SERVICE).iter().all(|(_, method, _)| *method == "Tunnel"));
    watch.wait("d1", VIP, true, patience());
    let traffic = traffic(&lab, "10.0.0.100:80");
    pause(ms(300) * slow());
    assert_eq!(serves(&traffic, s(2)), ["rs1", "rs2"]);
}
