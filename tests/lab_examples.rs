//! The shipped examples that need no IPVS, run: real directors in network namespaces, real nginx and haproxy.

mod example_lab;

use std::path::Path;
use std::time::Duration;

use example_lab::{Lab, PATIENCE, Process, example, skip, steady, wait};

const VIP: &str = "10.0.0.100";
const VIP_2: &str = "10.0.0.101";
const D: [&str; 2] = ["d1", "d2"];

/// Client and two directors on one LAN.
fn pair(name: &str) -> Option<Lab> {
    let mut lab = Lab::new(name)?;
    lab.lan("lan");
    lab.host_on("client", "lan", "10.0.0.200/24");
    lab.host_on("d1", "lan", "10.0.0.1/24");
    lab.host_on("d2", "lan", "10.0.0.2/24");
    Some(lab)
}

fn directors(lab: &Lab, example: &Path) -> [Process; 2] {
    [lab.director("d1", example, 1), lab.director("d2", example, 2)]
}

/// The host that alone has the address is `who`, and stays so for a moment.
fn alone(lab: &Lab, who: &str, address: &str) -> bool {
    D.iter().all(|&d| lab.has(d, address) == (d == who))
}

fn wait_alone(lab: &Lab, who: &str, address: &str, when: &str) -> Duration {
    wait(&format!("{address} on {who}: {when}"), PATIENCE, || alone(lab, who, address))
}

/// The host has the address, whoever else still has it (a killed director's kernel keeps it).
fn wait_has(lab: &Lab, who: &str, address: &str, when: &str) -> Duration {
    wait(&format!("{address} on {who}: {when}"), PATIENCE, || lab.has(who, address))
}

fn wait_answer(lab: &Lab, vip: &str, who: &str) {
    let target = format!("{vip}:80");
    wait(&format!("{vip} is answered by {who}"), PATIENCE, || {
        lab.get("client", None, &target).as_deref() == Some(who)
    });
}

/// What every pair does: the higher priority is master; SIGKILL: the other takes over; it comes back.
fn crash_and_return(lab: &Lab, example: &Path, preempts: bool) -> [Process; 2] {
    let d1 = lab.director("d1", example, 1);
    if !preempts {
        // Who comes 0.2 s earlier is master, and stays so: no race between two starts here.
        wait_has(lab, "d1", VIP, "at start, d1 first");
    }
    let d2 = lab.director("d2", example, 2);
    wait_alone(lab, "d1", VIP, "at start");
    wait_answer(lab, VIP, "d1");
    d1.kill();
    wait_has(lab, "d2", VIP, "after SIGKILL of d1");
    wait_answer(lab, VIP, "d2");
    let d1 = lab.director("d1", example, 1);
    if preempts {
        wait_alone(lab, "d1", VIP, "d1 is back");
        wait_answer(lab, VIP, "d1");
    } else {
        wait_alone(lab, "d2", VIP, "d1 is back and gave up what was left of its crash");
        // Longer than any election of the examples needs.
        steady("the address is on d2 alone, for it does not preempt", Duration::from_secs(5), || {
            alone(lab, "d2", VIP)
        });
        wait_answer(lab, VIP, "d2");
    }
    [d1, d2]
}

#[test]
fn nginx_active_passive() {
    let Some(lab) = pair("ap") else { return };
    let example = example("nginx-active-passive");
    let [nginx_1, _nginx_2] = D.map(|d| lab.nginx(d, 80));
    let [d1, _d2] = crash_and_return(&lab, &example, true);
    nginx_1.kill();
    wait_alone(&lab, "d2", VIP, "nginx on d1 is dead");
    wait_answer(&lab, VIP, "d2");
    let _nginx_1 = lab.nginx("d1", 80);
    wait_alone(&lab, "d1", VIP, "nginx on d1 is back");
    wait_answer(&lab, VIP, "d1");
    assert_eq!(d1.stop(), Some(0), "exit code of an orderly stop");
    wait_alone(&lab, "d2", VIP, "d1 was stopped");
    let notices = lab.notices("d1");
    assert!(notices.iter().any(|n| n.starts_with("INSTANCE VI_1 MASTER")), "{notices:?}");
    assert!(notices.iter().any(|n| n.starts_with("INSTANCE VI_1 STOP")), "{notices:?}");
}

#[test]
fn nginx_active_passive_kill() {
    let Some(lab) = pair("ak") else { return };
    let example = example("nginx-active-passive-kill");
    let [nginx_1, _nginx_2] = D.map(|d| lab.nginx(d, 80));
    let [mut d1, _d2] = directors(&lab, &example);
    wait_alone(&lab, "d1", VIP, "at start");
    wait_answer(&lab, VIP, "d1");

    // The restart helps: the lab does what systemctl was asked for. The address stays.
    nginx_1.kill();
    wait("the script asks for a restart", PATIENCE, || lab.restarts("d1") > 0);
    let nginx_1 = lab.nginx("d1", 80);
    steady("the restart helped: d1 runs and has the address", Duration::from_secs(7), || {
        d1.ended().is_none() && alone(&lab, "d1", VIP)
    });
    wait_answer(&lab, VIP, "d1");

    // The restart does not help: the director is stopped, orderly.
    nginx_1.kill();
    let mut code = None;
    wait("the script stops the director", PATIENCE, || {
        code = d1.ended();
        code.is_some()
    });
    assert_eq!(code, Some(Some(0)), "exit code of the stopped director");
    wait_alone(&lab, "d2", VIP, "the director d1 is stopped");
    wait_answer(&lab, VIP, "d2");
    let notices = lab.notices("d1");
    assert!(notices.iter().any(|n| n.starts_with("INSTANCE VI_1 STOP")), "{notices:?}");
}

#[test]
fn dual_master() {
    let Some(lab) = pair("dm") else { return };
    let example = example("dual-master");
    let _nginx = D.map(|d| lab.nginx(d, 80));
    let [d1, d2] = directors(&lab, &example);
    wait_alone(&lab, "d1", VIP, "at start");
    wait_alone(&lab, "d2", VIP_2, "at start");
    wait_answer(&lab, VIP, "d1");
    wait_answer(&lab, VIP_2, "d2");
    d1.kill();
    wait_has(&lab, "d2", VIP, "after SIGKILL of d1");
    assert!(lab.has("d2", VIP_2), "d2 lost its own address");
    wait_answer(&lab, VIP, "d2");
    let _d1 = lab.director("d1", &example, 1);
    wait_alone(&lab, "d1", VIP, "d1 is back");
    assert!(alone(&lab, "d2", VIP_2), "{VIP_2} is no longer on d2 alone");
    d2.kill();
    wait_has(&lab, "d1", VIP_2, "after SIGKILL of d2");
    wait_answer(&lab, VIP_2, "d1");
    let _d2 = lab.director("d2", &example, 2);
    wait_alone(&lab, "d2", VIP_2, "d2 is back");
    assert!(alone(&lab, "d1", VIP), "{VIP} is no longer on d1 alone");
}

#[test]
fn unicast_pair() {
    let Some(lab) = pair("uc") else { return };
    let _nginx = D.map(|d| lab.nginx(d, 80));
    crash_and_return(&lab, &example("unicast-pair"), true);
}

#[test]
fn nopreempt_pair() {
    let Some(lab) = pair("np") else { return };
    let _nginx = D.map(|d| lab.nginx(d, 80));
    let [_d1, d2] = crash_and_return(&lab, &example("nopreempt-pair"), false);
    d2.stop();
    wait_alone(&lab, "d1", VIP, "d2 was stopped");
}

#[test]
fn haproxy_pair() {
    if !["/usr/sbin/haproxy", "/usr/bin/haproxy"].iter().any(|p| Path::new(p).exists()) {
        return skip("haproxy is not installed");
    }
    let Some(mut lab) = pair("ha") else { return };
    let example = example("haproxy-pair");
    let webs = ["web1", "web2", "web3"];
    for (i, web) in webs.iter().enumerate() {
        lab.host_on(web, "lan", &format!("10.0.0.{}/24", 11 + i));
    }
    let _webs = webs.map(|web| lab.nginx(web, 80));
    let config = example.join("haproxy.cfg").display().to_string();
    let haproxy = |d: &str| {
        lab.sysctl(d, "net/ipv4/ip_nonlocal_bind", "1");
        lab.spawn(d, &["haproxy", "-db", "-f", &config])
    };
    let [haproxy_1, _haproxy_2] = D.map(haproxy);
    let [d1, _d2] = directors(&lab, &example);
    wait_alone(&lab, "d1", VIP, "at start");
    let all_answer = |when: &str| {
        let mut missing = webs.to_vec();
        wait(&format!("every web server answers {when}"), PATIENCE, || {
            let page = lab.get("client", None, &format!("{VIP}:80"));
            missing.retain(|web| page.as_deref() != Some(*web));
            missing.is_empty()
        });
    };
    all_answer("through d1");
    haproxy_1.kill();
    wait_alone(&lab, "d2", VIP, "haproxy on d1 is dead");
    all_answer("through d2");
    let _haproxy_1 = haproxy("d1");
    wait_alone(&lab, "d1", VIP, "haproxy on d1 is back");
    d1.kill();
    wait_has(&lab, "d2", VIP, "after SIGKILL of d1");
    all_answer("through d2, the crash of d1 behind us");
}

/// The virtual address is on `lo` of both machines, and only the master answers for it: by `director_sysctl`, which
/// leaves nothing behind. `lab_examples_ipvs.rs` has what IPVS does there.
#[test]
fn director_is_real_server_claims_nothing_as_backup() {
    let Some(lab) = pair("both") else { return };
    let example = example("director-is-real-server");
    let _servers = D.map(|d| lab.nginx(d, 80));
    let setting = |d: &str, name: &str| {
        lab.command(d, &["cat", &format!("/proc/sys/net/ipv4/conf/eth0/{name}")]).trim().to_owned()
    };
    let on_eth0 = |d: &str| lab.command(d, &["ip", "-o", "addr", "show", "dev", "eth0"]).contains(VIP);
    let [_d1, d2] = directors(&lab, &example);
    wait("the address is on eth0 of d1", PATIENCE, || on_eth0("d1"));
    wait_has(&lab, "d2", VIP, "on lo of the backup");
    assert!(!on_eth0("d2"), "d2 is backup");
    for d in D {
        let set = || (setting(d, "arp_ignore"), setting(d, "arp_announce"));
        wait(&format!("arp settings of {d}"), PATIENCE, || set() == ("1".to_owned(), "2".to_owned()));
    }
    let mac = lab.command("d1", &["cat", "/sys/class/net/eth0/address"]);
    for _ in 0..5 {
        lab.ip("client", "neigh flush dev eth0");
        assert!(lab.get("client", None, &format!("{VIP}:80")).is_some(), "no answer");
        let known = lab.command("client", &["ip", "neigh", "show", VIP]);
        assert!(known.contains(mac.trim()), "not d1 ({mac}): {known}");
    }
    assert_eq!(d2.stop(), Some(0));
    assert_eq!(
        (setting("d2", "arp_ignore"), setting("d2", "arp_announce")),
        ("0".to_owned(), "0".to_owned())
    );
    assert!(!lab.has("d2", VIP));
}
