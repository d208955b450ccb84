//! Directors in front of real servers, on a kernel with `ip_vs`: the proof with real nginx, real `ipvsadm` and a
//! real client. Where the running kernel has no `ip_vs` these tests fail and say so; `make test` runs them in the
//! lab's virtual machine.

mod lab;

use lab::*;

/// Client, two directors, three real servers of direct routing on one LAN.
fn dr_lab(name: &str) -> Lab {
    need_ipvs();
    let mut hosts = vec![
        host("client").nic("eth0", "lan", "10.0.0.200/24"),
        host("d1").nic("eth0", "lan", "10.0.0.1/24"),
        host("d2").nic("eth0", "lan", "10.0.0.2/24"),
    ];
    for number in 1..=3 {
        let address = format!("10.0.0.1{number}/24");
        hosts.push(host(&format!("rs{number}")).nic("eth0", "lan", &address).real_server_of("10.0.0.100"));
    }
    Lab::build(name, &["lan"], &hosts)
}

fn dr_conf(state: &str, priority: u8) -> String {
    let servers: String = (1..=3)
        .map(|n| {
            format!(
                "real_server 10.0.0.1{n} 80 {{ weight 1
                    TCP_CHECK {{ connect_timeout 1
                        retry 1
                        delay_before_retry 1 }} }}\n"
            )
        })
        .collect();
    format!(
        "vrrp_instance VI_1 {{
            state {state}
            interface eth0
            virtual_router_id 51
            priority {priority}
            advert_int 1
            virtual_ipaddress {{
                10.0.0.100/32
            }}
        }}
        virtual_server 10.0.0.100 80 {{
            delay_loop 2
            lb_algo rr
            lb_kind DR
            protocol TCP
            {servers}
        }}\n"
    )
}

const ALL: [&str; 3] = ["10.0.0.11:80", "10.0.0.12:80", "10.0.0.13:80"];

#[test]
fn master_killed_under_steady_requests() {
    let lab = dr_lab("drkill");
    let watch = AddressWatch::start(&lab, &["d1", "d2"]);
    let wire = Wire::start(&lab);
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150));
    let _d2 = Director::start(&lab, "d2", &dr_conf("BACKUP", 100));
    watch.wait("d1", "10.0.0.100", true, patience());
    for director in ["d1", "d2"] {
        let table = TableWatch::start(&lab, director);
        table.wait("all servers", patience(), |table| table.is("TCP 10.0.0.100:80 rr", &ALL));
        println!("{}", lab.command(director, &["ipvsadm", "-Ln"]));
    }
    let traffic =
        Traffic::start(&lab, "client", "10.0.0.100:80", ms(20) * slow().min(5), ms(300) * slow().min(5));
    let begin = now();
    pause(s(3));
    let (good, bad) = traffic.count(begin, now());
    println!("before: {good} good, {bad} bad, {:?}", traffic.servers(begin, now()));
    assert!(good > 20 && bad == 0, "{good} good and {bad} bad requests before anything happened");

    // Power loss: no process, no cable.
    wire.next_advert("d1", patience());
    let died = now();
    d1.kill();
    lab.cut("d1", "eth0");
    let taken = watch.wait("d2", "10.0.0.100", true, patience());
    let (heard, _) = wire.last_advert("d1").expect("an advert of the old master");
    measured("ipvs_takeover_power_loss", taken - heard, down_interval(s(1), 100), ms(100));
    pause(s(3));
    let outage = traffic.outage(died, now());
    measured("ipvs_outage_power_loss", outage, down_interval(s(1), 100), ms(500));
    let (good, bad) = traffic.count(now() - s(1), now());
    assert!(good > 5 && bad == 0, "the requests go on through the new master: {good} good, {bad} bad");
}
