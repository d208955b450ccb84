//! The metrics as those read them who have read many: an independent parser of OpenMetrics, and Prometheus' own tool; and how
//! large and how soon they are with 10,000 real servers.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tandem::control::routes::{Detail, MetricsForm};
use tandem::metrics::{Checks, KindChecks, Seen, ServiceChecks, Spread, render};

mod made;
mod promtool;

fn seen(reals: usize) -> Seen {
    let status = made::status(reals, 0);
    let took = Spread { bounds: &[1_000, 10_000, 100_000], cumulative: vec![500, 900, 990, 1000], sum: 4.5 };
    let kind = KindChecks {
        kind: "HTTP_GET",
        succeeded: 990,
        failed: BTreeMap::from([("refused", 7), ("timeout", 3)]),
        took: took.clone(),
    };
    let services = status.virtual_servers.iter().map(|service| {
        (service.name.clone(), ServiceChecks { succeeded: 990, failed: 10, took: took.clone() })
    });
    let checks =
        Checks { services: services.collect(), kinds: vec![kind], in_flight: 3, ..Checks::default() };
    Seen { status, checks: Some(checks), pair_digest: Some("0123456789abcdef".to_owned()) }
}

/// What a program says that reads this, and whether it liked it.
fn read_by(program: &str, words: &[&str], text: &str) -> (bool, String) {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let out = child.wait_with_output().unwrap();
    let _ = writer.join();
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), said)
}

fn runs(program: &str, words: &[&str]) -> bool {
    let tried = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

const PARSER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = {family.name: family for family in text_string_to_metric_families(sys.stdin.read())}
print(len(families), sum(len(family.samples) for family in families.values()))
state = families['tandem_vrrp_state']
assert state.type == 'stateset', state.type
print([sample.labels for sample in state.samples if sample.value == 1][0])
assert families['tandem_real_server_incoming_bytes'].unit == 'bytes'
assert families['tandem_check_duration_seconds'].type == 'histogram'
assert families['tandem_build'].type == 'info'
";

#[test]
fn an_independent_parser_reads_it() {
    // Debian's package is for Debian's Python, which need not be the first one.
    let has_it = |python: &&str| runs(python, &["-c", "import prometheus_client.openmetrics.parser"]);
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_it) else {
        return println!("SKIPPED: python3-prometheus-client is not installed");
    };
    let text = render(&seen(400), MetricsForm::OpenMetrics, Detail::RealServers);
    let (good, said) = read_by(python, &["-c", PARSER], &text);
    assert!(good, "{said}");
    assert!(said.contains("'vrrp_instance': 'VI_web'") && said.contains("'MASTER'"), "{said}");
    // It is no parser that takes everything.
    let (good, _) = read_by(python, &["-c", PARSER], &text.replace("# EOF\n", ""));
    assert!(!good);
}

#[test]
fn prometheus_finds_nothing_to_say() {
    let Some(promtool) = promtool::promtool() else {
        return println!("SKIPPED: promtool is not installed");
    };
    let text = render(&seen(400), MetricsForm::Prometheus, Detail::RealServers);
    let (good, said) = read_by(promtool, &["check", "metrics"], &text);
    assert!(good && said.trim().is_empty(), "{said}");
}

#[test]
fn ten_thousand_real_servers() {
    let seen = seen(10_000);
    let mut best = Duration::MAX;
    let mut text = String::new();
    for _ in 0..3 {
        let begun = Instant::now();
        text = render(&seen, MetricsForm::OpenMetrics, Detail::RealServers);
        best = best.min(begun.elapsed());
    }
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    let few = render(&seen, MetricsForm::OpenMetrics, Detail::VirtualServers);
    let fewer = few.lines().filter(|line| !line.starts_with('#')).count();
    println!(
        "MEASURED metrics of 10,000 real servers: {series} series, {:.1} MB, made in {:.0} ms (unoptimised); without them \
         {fewer} series, {:.2} MB",
        text.len() as f64 / 1e6,
        best.as_secs_f64() * 1e3,
        few.len() as f64 / 1e6
    );
    // About ten for each real server, thirty for each virtual server, and no surprise on top.
    assert!(series < 10_000 * 12 + 250 * 40 + 300, "{series} series");
    assert!(fewer < 250 * 40 + 300, "{fewer} series");
    assert!(text.len() < 16 * 1024 * 1024, "{} bytes", text.len());
    assert!(best < Duration::from_secs(5), "{best:?}");
}
