//! Directors in front of real servers, on a kernel with `ip_vs`: the proof with real nginx, real `ipvsadm` and a
//! real client. Where the running kernel has no `ip_vs` these tests fail and say so; `make test` runs them in the
//! lab's virtual machine.

mod lab;

#[path = "lab_ipvs/checks.rs"]
mod checks;
#[path = "lab_ipvs/counts.rs"]
mod counts;
#[path = "lab_ipvs/forwarding.rs"]
mod forwarding;
#[path = "lab_ipvs/marks.rs"]
mod marks;
#[path = "lab_ipvs/overrides.rs"]
mod overrides;
#[path = "lab_ipvs/pair.rs"]
mod pair;
#[path = "lab_ipvs/restart.rs"]
mod restart;
#[path = "lab_ipvs/survival.rs"]
mod survival;
#[path = "lab_ipvs/table.rs"]
mod table;

use lab::dr::{ALL, VIP};
use lab::*;

/// Name of the service of [`dr_conf`].
const SERVICE: &str = "TCP 10.0.0.100:80 rr";

const TCP: &str = "TCP_CHECK {
            connect_timeout 1
            retry 1
            delay_before_retry 1
        }";

/// A director of the lab of [`lab::dr`]: `check` is each real server's checker, `extra` further lines of the service.
fn dr_conf(state: &str, priority: u8, check: &str, extra: &str) -> String {
    let servers: String = (1..=3)
        .map(|n| format!("    real_server 10.0.0.1{n} 80 {{\n        weight 1\n        {check}\n    }}\n"))
        .collect();
    format!(
        "global_defs {{
    router_id lab
    script_user root
}}
vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    advert_int 1
    virtual_ipaddress {{
        {VIP}/32
    }}
}}
virtual_server {VIP} 80 {{
    delay_loop 2
    lb_algo rr
    lb_kind DR
    protocol TCP
    {extra}
{servers}}}\n"
    )
}

/// One request each 20 ms; fewer where each one costs so much.
fn traffic(lab: &Lab, target: &str) -> Traffic {
    Traffic::start(lab, "client", target, ms(20) * slow(), ms(300) * slow())
}

/// Asserts that requests go through for a while, and returns which servers answered.
#[track_caller]
fn serves(traffic: &Traffic, time: std::time::Duration) -> Vec<String> {
    let begin = now();
    pause(time);
    let end = now();
    let (good, bad) = traffic.count(begin, end);
    let least = (time.as_millis() / 20 / u128::from(slow()) / 2) as usize;
    let failed: Vec<_> =
        traffic.requests().into_iter().filter(|r| r.ended >= begin && r.result.is_err()).collect();
    assert!(
        good >= least && bad == 0,
        "{good} good (of {least} at least) and {bad} bad requests: {failed:?}"
    );
    traffic.servers(begin, end).into_keys().collect()
}
