//! `virtual_server` and `real_server`.

use crate::config::diagnostic::Level;
use crate::config::model::{Method, Protocol, RealServer, Scheduler, SorryServer, VirtualServer};

use super::checker::{http_get, misc_check, tcp_check};
use super::global::DAY;
use super::reader::{Reader, Table};
use super::tree::Node;

const VIRTUAL_SERVER: Table<VirtualServer> = &[
    ("delay_loop", |r, n, v| v.delay_loop = r.secs(n, 0.000_001, DAY)),
    ("lb_algo", |r, n, v| v.lb_algo = scheduler(r, n)),
    ("lvs_sched", |r, n, v| v.lb_algo = scheduler(r, n)),
    ("lb_kind", |r, n, v| v.lb_kind = method(r, n)),
    ("lvs_method", |r, n, v| v.lb_kind = method(r, n)),
    ("protocol", |r, n, v| v.protocol = protocol(r, n)),
    ("persistence_timeout", |r, n, v| v.persistence_timeout = persistence(r, n)),
    ("persistence_granularity", |r, n, v| v.persistence_granularity = granularity(r, n)),
    ("ops", |_, _, v| v.ops = true),
    ("alpha", |_, _, v| v.alpha = true),
    ("omega", |_, _, v| v.omega = true),
    ("quorum", |r, n, v| v.quorum = r.number(n, 1..=u32::MAX)),
    ("hysteresis", |r, n, v| v.hysteresis = r.number(n, 0..=u32::MAX)),
    ("quorum_up", |r, n, v| v.quorum_up = r.command(n)),
    ("quorum_down", |r, n, v| v.quorum_down = r.command(n)),
    ("inhibit_on_failure", |_, _, v| v.inhibit_on_failure = true),
    ("weight", |r, n, v| v.weight = r.number(n, 1..=65_535)),
    ("retry", |r, n, v| v.retry = r.number(n, 1..=u32::MAX)),
    ("delay_before_retry", |r, n, v| v.delay_before_retry = r.secs(n, 0.0, DAY)),
    ("warmup", |r, n, v| v.warmup = r.secs(n, 0.0, DAY)),
    ("connect_timeout", |r, n, v| v.connect_timeout = r.secs(n, 0.000_001, DAY)),
    ("virtualhost", |r, n, v| v.virtualhost = r.text(n)),
    ("smtp_alert", |r, n, v| v.smtp_alert = r.switch(n)),
    ("sorry_server", |r, n, v| {
        if let Some(address) = r.address(n) {
            v.sorry_server = Some(SorryServer { address, port: port(r, n, 1) });
        }
    }),
    ("sorry_server_inhibit", |_, _, v| v.sorry_server_inhibit = true),
    ("sorry_server_lvs_method", |r, n, v| v.sorry_server_lvs_method = method(r, n)),
    ("real_server", |r, n, v| v.real_server.extend(real_server(r, n))),
    // Legacy, without effect in keepalived as well.
    ("hashed", |_, _, _| {}),
    ("nat_mask", |r, n, _| r.unknown(n, std::iter::empty(), "virtual_server")),
