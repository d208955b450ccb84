//! What people read when the kernel refuses.

use super::*;
use crate::ipvs::table::{
    Destination, DestinationKey, Family, Forward, Persistence, Protocol, Service, ServiceKey,
};

fn service(scheduler: &str) -> Service {
    Service {
        scheduler: scheduler.to_owned(),
        persistence: Some(Persistence { timeout: 360, granularity: 32 }),
        one_packet: false,
        scheduler_flags: 0,
        engine: None,
    }
}

fn changes() -> [Change; 6] {
    let key = ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 1].into(), port: 80 };
    let destination = DestinationKey { address: [10, 1, 0, 1].into(), port: 80 };
    let settings =
        Destination { forward: Forward::Masquerade, weight: 1, upper_threshold: 0, lower_threshold: 0 };
    [
        Change::NewService { key, service: service("wlc") },
        Change::SetService { key, service: service("wlc") },
        Change::DeleteService { key },
        Change::NewDestination { key, destination, settings },
        Change::SetDestination { key, destination, settings },
        Change::DeleteDestination { key, destination },
    ]
}

#[test]
fn which_refusals_mean_that_somebody_else_was_there() {
    let stale = |errno: Errno| {
        changes().map(|change| Refusal { change, errno: errno as i32 }.meaning() == Meaning::Stale)
    };
    //                                      service: new  set    delete | destination: new set  delete
    assert_eq!(stale(Errno::EEXIST), [true, false, false, true, false, false]);
    assert_eq!(stale(Errno::ESRCH), [true; 6]);
    assert_eq!(stale(Errno::ENOENT), [false, false, false, false, true, true]);
    assert_eq!(stale(Errno::ENOMEM), [false; 6]);
    assert_eq!(stale(Errno::EINVAL), [false; 6]);
}

#[test]
fn each_refusal_says_what_why_and_what_to_do() {
    let [new, set, delete, new_destination, ..] = changes();
    let words = |change: &Change, errno: i32| Refusal { change: change.clone(), errno }.to_string();
    assert_eq!(
        words(&new, libc::ENOENT),
        "the kernel refused to add service TCP 10.0.0.1:80 (wlc, persistent 360 s by /32): ENOENT: the kernel has \
         no scheduler `wlc`: load its module with `modprobe ip_vs_wlc`, or choose another lb_algo"
    );
    assert_eq!(
        words(&delete, libc::EPERM),
        "the kernel refused to delete service TCP 10.0.0.1:80: EPERM: run as root, or with CAP_NET_ADMIN"
    );
    assert_eq!(
        words(&new_destination, libc::ERANGE),
        "the kernel refused to add TCP 10.0.0.1:80 -> 10.1.0.1:80 (NAT, weight 1): ERANGE: the weight must be at \
         most 2147483647, and the lower connection threshold not above the upper"
    );
    assert_eq!(
        words(&delete, libc::EIO),
        "the kernel refused to delete service TCP 10.0.0.1:80: EIO: I/O error"
    );
    assert!(words(&delete, 4000).ends_with("error number 4000"));
    assert!(words(&set, libc::EINVAL).contains("do not fit"));
    let any_port = ServiceKey::Address { protocol: Protocol::Tcp, address: [10, 0, 0, 1].into(), port: 0 };
    let change = Change::NewService { key: any_port, service: service("rr") };
    assert!(words(&change, libc::EINVAL).contains("needs persistence_timeout"));
    let Change::NewDestination { destination, settings, .. } = new_destination else { return };
    let six = ServiceKey::Fwmark { family: Family::V6, mark: 1 };
    let mixed = Change::NewDestination { key: six, destination, settings };
    assert!(words(&mixed, libc::EINVAL).contains("needs lb_kind TUN"));
}
