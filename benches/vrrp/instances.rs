//! Hundreds of instances at one second: what they cost and how even their adverts are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::capture::{Capture, What, stamp};
use crate::lab::{Lab, host, ms, now, pause, s};
use crate::tools::{Instance, Who, contenders, cpu, family, jitter, part, pss, shown, start};

const LANS: [&str; 4] = ["lan0", "lan1", "lan2", "lan3"];
const NICS: [&str; 4] = ["eth0", "eth1", "eth2", "eth3"];

fn text(who: Who, priority: u8, lans: usize, each: u32) -> String {
    let mut text = who.globals("");
    for (lan, nic) in NICS.iter().enumerate().take(lans) {
        for vrid in 1..=each {
            let instance = Instance {
                name: format!("VI_{lan}_{vrid}"),
                nic,
                vrid,
                priority,
                version: 3,
                advert: "1",
                vip: format!("10.{}.0.{vrid}/32", 101 + lan),
                more: Vec::new(),
                lines: String::new(),
            };
            text += &instance.text();
        }
    }
    text
}

/// Master's CPU seconds a minute, backup's, master's memory in MB, jitter's p99 and worst in ms, false takeovers.
fn one(who: Who, lans: usize, each: u32, window: Duration) -> Option<[f64; 6]> {
    let director = |name: &str, number: u8| {
        (0..lans).fold(host(name), |host, lan| {
            host.nic(NICS[lan], LANS[lan], &format!("10.{}.1.{number}/16", 101 + lan))
        })
    };
    let lab = Lab::build("instances", &LANS[..lans], &[director("d1", 1), director("d2", 2)]);
    let capture = Capture::start(&lab);
    let begun = stamp();
    let first = start(&lab, "d1", who, &text(who, 150, lans, each));
    let wanted = lans * each as usize;
    let waited = now();
    while advertised(&capture, "d1", begun).len() < wanted {
        if waited.elapsed() > s(90) {
            return None;
        }
        pause(ms(50));
    }
    let second = start(&lab, "d2", who, &text(who, 100, lans, each));
    // Beyond the second round of announcements, five seconds after the transition.
    pause(s(8));
    let families = [&first, &second].map(|director| family(director.pid()));
    let (begun, before) = (stamp(), families.each_ref().map(|one| cpu(one)));
    pause(window);
    let after = families.each_ref().map(|one| cpu(one));
    let minutes = window.as_secs_f64() / 60.0;
    let mut all = Vec::new();
    for times in advertised(&capture, "d1", begun).values() {
        all.extend(jitter(times, s(1)));
    }
    let strays = advertised(&capture, "d2", begun).len();
    Some([
        (after[0] - before[0]) / minutes,
        (after[1] - before[1]) / minutes,
        pss(&families[0]),
        part(&all, 0.99),
        part(&all, 1.0),
        strays as f64,
    ])
}

/// Adverts of a host by interface and VRID.
fn advertised(capture: &Capture, host: &str, since: i64) -> BTreeMap<(usize, u8), Vec<i64>> {
    let mut found: BTreeMap<(usize, u8), Vec<i64>> = BTreeMap::new();
    for event in capture.of(host, since) {
        if let What::Advert { vrid, .. } = event.what {
            found.entry((event.port, vrid)).or_default().push(event.at);
        }
    }
    found
}

pub fn run(runs: usize, window: Duration) {
    println!("\n### Many instances, adverts of 1 s, version 3, over {} s\n", window.as_secs());
    println!("Median (worst) of the runs.\n");
    println!(
        "| instances | program | master: CPU s a minute | backup: CPU s a minute | master: MB PSS | jitter p99 ms | \
         worst jitter ms | instances that the backup took |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for (lans, each) in [(1, 255), (4, 250)] {
        let mut results: Vec<_> = contenders(&[Who::Tandem, Who::Keepalived])
            .into_iter()
            .map(|who| (who, vec![Vec::new(); 6]))
            .collect();
        for _ in 0..runs {
            for (who, columns) in &mut results {
                match one(*who, lans, each, window) {
                    Some(figures) => columns.iter_mut().zip(figures).for_each(|(c, figure)| c.push(figure)),
                    None => println!("{}: not every instance became master", who.name()),
                }
                pause(s(1));
            }
        }
        for (who, columns) in results {
            let cells: Vec<String> = columns.iter().map(|column| shown(column, 2)).collect();
            println!("| {} | {} | {} |", lans * each as usize, who.name(), cells.join(" | "));
        }
    }
}
