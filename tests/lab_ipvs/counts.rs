//! What the status and the metrics say of the kernel's counts: the numbers of `ipvsadm`, rates while clients come, and zero
//! after a reset.

use serde_json::Value;

use super::*;

/// What `curl` says of a path of the control socket.
fn asked(lab: &Lab, words: &[&str], path: &str) -> String {
    let socket = lab.work().join("d1/control.sock").display().to_string();
    let target = format!("http://tandem{path}");
    let mut argv = vec!["curl", "-sS", "--fail", "--unix-socket", &socket];
    argv.extend(words);
    argv.push(&target);
    lab.command("d1", &argv)
}

/// The service, as `tandem status` has it.
fn told(lab: &Lab) -> Value {
    let socket = lab.work().join("d1/control.sock").display().to_string();
    let program = director::tandem().display().to_string();
    let said = lab.command("d1", &[&program, "status", "--json", "--control", &socket]);
    let mut status: Value = serde_json::from_str(&said).expect("JSON");
    assert!(status["daemon"]["silent"].as_array().is_some_and(Vec::is_empty), "{}", status["daemon"]);
    status["virtual_servers"][0].take()
}

const FIELDS: [&str; 5] = ["connections", "packets_in", "packets_out", "bytes_in", "bytes_out"];

/// Connections, packets and bytes of a service or server in the status.
fn of(view: &Value) -> Vec<u64> {
    FIELDS.iter().filter_map(|field| view["traffic"][field].as_u64()).collect()
}

/// The same of the service and each of its servers, as `ipvsadm` says it.
fn theirs(lab: &Lab) -> Vec<Vec<u64>> {
    let text = lab.command("d1", &["ipvsadm", "-L", "-n", "--stats", "--exact", "-t", "10.0.0.100:80"]);
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("TCP ") || line.starts_with("-> 10.")
    });
    lines
        .map(|line| line.split_whitespace().skip(2).map(|word| word.parse().expect("a number")).collect())
        .collect()
}

#[test]
fn status_and_metrics_tell_what_the_kernel_counts() {
    need_ipvs();
    if director::tandem_only("status") {
        return;
    }
    let lab = dr::lab("counts");
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let mut d1 = Director::start(&lab, "d1", &dr_conf("MASTER", 150, TCP, ""));
    TableWatch::start(&lab, "d1").wait("three servers", patience(), |table| table.is(SERVICE, &ALL));
    AddressWatch::start(&lab, &["d1"]).wait("d1", VIP, true, patience());

    let requests = traffic(&lab, "10.0.0.100:80");
    // The kernel estimates them every two seconds.
    wait("rates", patience() * 2, || {
        let view = told(&lab);
        let rates = ["connection_rate", "packet_rate_in", "byte_rate_in"];
        rates.iter().all(|field| view["traffic"][field].as_u64() > Some(0))
    });
    drop(requests);

    let ours = || {
        let view = told(&lab);
        let reals = view["real_servers"].as_array().expect("real servers").iter();
        [of(&view)].into_iter().chain(reals.map(of)).collect::<Vec<_>>()
    };
    wait("the same numbers", patience(), || ours() == theirs(&lab));
    let numbers = ours();
    let [service, reals @ ..] = numbers.as_slice() else { panic!("{numbers:?}") };
    let sum: u64 = reals.iter().map(|real| real[0]).sum();
    // Answers of a real server by DR do not come by.
    assert!(reals.len() == 3 && service[0] == sum && sum > 3 && service[3] > 1000, "{numbers:?}");
    assert!(reals.iter().all(|real| real[0] > 0 && real[2] == 0), "{numbers:?}");

    let series = format!(
        "tandem_real_server_connections_total{{virtual_server=\"TCP 10.0.0.100:80\",real_server=\"10.0.0.11:80\"}} {}\n",
        reals[0][0]
    );
    let metrics = asked(&lab, &[], "/metrics");
    assert!(metrics.contains(&series), "{series} is not in {metrics}");

    let said = asked(&lab, &["-d", "{\"ipvs\": true}"], "/v1/statistics/reset");
    assert!(said.contains("\"services\":1"), "{said}");
    let none = vec![vec![0; 5]; 4];
    assert_eq!(ours(), none);
    assert_eq!(theirs(&lab), none);
    assert!(d1.stop().success());
}
