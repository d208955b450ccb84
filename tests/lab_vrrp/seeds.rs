//! The configurations that the project started from, run as they are: a pair elects the right master.
//!
//! They belong to their authors and are not part of the repository: `TANDEM_CORPUS` names their directory, or it is found
//! beside the repository as `shared/corpus`.

use std::path::{Path, PathBuf};

use super::*;

const OK: &str = "#!/bin/sh\nexit 0\n";
const SCRIPTS: [(&str, &str); 2] = [("keepalived/check_nginx.sh", OK), ("keepalived/nginx_check.sh", OK)];

fn corpus() -> Option<PathBuf> {
    let place = std::env::var_os("TANDEM_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let there = place.join("seed-000-1-vip-master.conf").exists();
    if !there {
        println!("SKIPPED: no seed configurations in {} (TANDEM_CORPUS names their place)", place.display());
    }
    there.then_some(place)
}

/// A pair of files with what their machines have: interface, address. The first one is started first and is the master.
struct Seeds {
    name: &'static str,
    files: &'static [(&'static str, &'static str, &'static str)],
    vips: &'static [&'static str],
}

const fn pair(
    name: &'static str,
    files: &'static [(&'static str, &'static str, &'static str)],
    vips: &'static [&'static str],
) -> Seeds {
    Seeds { name, files, vips }
}

const ALL: [Seeds; 10] = [
    pair(
        "s000a",
        &[
            ("seed-000-1-vip-master.conf", "ens33", "192.168.66.11/24"),
            ("seed-000-2-vip-backup.conf", "ens33", "192.168.66.12/24"),
        ],
        &["192.168.66.16"],
    ),
    pair(
        "s000b",
        &[
            ("seed-000-3-nginx-master.conf", "ens33", "192.168.66.11/24"),
            ("seed-000-4-nginx-backup.conf", "ens33", "192.168.66.12/24"),
        ],
        &["192.168.66.16"],
    ),
    pair(
        "s001a",
        &[("seed-001-1-example.conf", "eth0", "192.168.200.11/24")],
        &["192.168.200.16", "192.168.200.17", "192.168.200.18"],
    ),
    pair(
        "s001b",
        &[
            ("seed-001-2-master.conf", "eth0", "192.168.17.102/24"),
            ("seed-001-3-backup.conf", "eth0", "192.168.17.101/24"),
        ],
        &["192.168.17.200"],
    ),
    pair(
        "s001c",
        &[
            ("seed-001-4-master-check.conf", "eth0", "192.168.17.102/24"),
            ("seed-001-5-backup-check.conf", "eth0", "192.168.17.101/24"),
        ],
        &["192.168.17.200"],
    ),
    pair(
        "s001d",
        &[
            ("seed-001-6-nopreempt-server01.conf", "eth0", "192.168.17.102/24"),
            ("seed-001-7-nopreempt-server03.conf", "eth0", "192.168.17.101/24"),
        ],
        &["192.168.17.200"],
    ),
    pair(
        "s001e",
        &[
            ("seed-001-8-unicast-server01.conf", "eth0", "192.168.17.102/24"),
            ("seed-001-9-unicast-server03.conf", "eth0", "192.168.17.101/24"),
        ],
        &["192.168.17.200"],
    ),
    pair(
        "s001f",
        &[("seed-001-10-unicast-quote.conf", "eth0", "192.168.1.21/24")],
        &["192.168.200.16", "192.168.200.17", "192.168.200.18"],
    ),
    pair(
        "s003",
        &[
            ("seed-003-2-master.conf", "ens33", "192.168.212.141/24"),
            ("seed-003-3-backup.conf", "ens33", "192.168.212.142/24"),
        ],
        &["192.168.212.110"],
    ),
    pair(
        "s004",
        &[
            ("seed-004-1-master.conf", "ens33", "192.168.100.123/24"),
            ("seed-004-2-backup.conf", "eth33", "192.168.100.124/24"),
        ],
        &["192.168.100.101"],
    ),
];

fn elects(corpus: &Path, seeds: &Seeds) {
    let names = ["m", "b"];
    let hosts: Vec<_> = seeds
        .files
        .iter()
        .zip(names)
        .map(|((_, interface, address), name)| host(name).nic(interface, "lan", address))
        .collect();
    let lab = Lab::build(seeds.name, &["lan"], &hosts);
    let names = &names[..hosts.len()];
    let watch = AddressWatch::start(&lab, names);
    let start = |(name, (file, ..)): (&&str, &(&str, &str, &str))| {
        pause(ms(500));
        Director::run(&lab, name, director::kind(), &corpus.join(file), &SCRIPTS)
    };
    let mut directors: Vec<_> = names.iter().zip(seeds.files).map(start).collect();
    for vip in seeds.vips {
        watch.wait_holders(vip, &["m"], patience());
    }
    // It stays so.
    let since = now();
    pause(s(4));
    let moved: Vec<_> = watch.changes().into_iter().filter(|change| change.at >= since).collect();
    assert!(moved.is_empty(), "{}: {moved:?}", seeds.name);
    // And the other one takes over.
    if let [first, second] = directors.as_mut_slice() {
        first.terminate();
        for vip in seeds.vips {
            watch.wait_holders(vip, &["b"], patience());
        }
        assert!(first.stop().success(), "{}: the first one stops orderly", seeds.name);
        assert!(second.process.running());
    }
    println!("{}: elected, kept, handed over", seeds.name);
}

#[test]
fn pairs_from_the_seed_files_elect_the_right_master() {
    let Some(corpus) = corpus() else { return };
    std::thread::scope(|scope| {
        let all: Vec<_> =
            ALL.iter().map(|seeds| (seeds.name, scope.spawn(|| elects(&corpus, seeds)))).collect();
        let failed: Vec<_> =
            all.into_iter().filter_map(|(name, one)| one.join().is_err().then_some(name)).collect();
        assert!(failed.is_empty(), "failed: {failed:?}");
    });
}

#[test]
fn lone_director_from_a_seed_file() {
    let Some(corpus) = corpus() else { return };
    // mcast_src_ip and a VIP of another network.
    let seeds =
        pair("s003a", &[("seed-003-1-lvs-vip.conf", "ens33", "192.168.212.140/24")], &["192.168.110.110"]);
    elects(&corpus, &seeds);
}
