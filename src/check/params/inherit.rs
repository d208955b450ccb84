//! Where a checker's values come from: itself, its real server, its virtual server, its own default.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::health;
use super::super::plan::{CheckerPlan, Kind, Manner, Target, Way};
use super::Pools;
use crate::config::model::{Config, Connection, Pace, RealServer, SendProxy, VirtualServer};
use crate::config::units::Secs;

/// keepalived's `delay_loop` where the file has none.
const DELAY_LOOP: Duration = Duration::from_secs(60);
/// keepalived's `connect_timeout` where the file has none.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest pause between two checks: with 0 a checker would keep a processor busy.
pub(super) const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// Longer times mean never; a clock can be added to them without overflow.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Where the values of one real server's checkers come from.
pub(super) struct Inherit<'a> {
    pub(super) config: &'a Config,
    pub(super) server: &'a VirtualServer,
    pub(super) real: &'a RealServer,
    /// The real server as the file names it.
    pub(super) own: SocketAddr,
    /// Where what checkers have alike is kept.
    pub(super) pools: &'a Pools,
}

/// `delay_before_retry` where the file has none.
#[derive(Clone, Copy)]
pub(super) enum Before {
    /// This many seconds.
    Secs(u64),
    /// As long as `delay_loop`.
    Loop,
}

/// The first value that is written, as a duration.
pub(super) fn first<const N: usize>(values: [Option<Secs>; N]) -> Option<Duration> {
    values.into_iter().flatten().next().map(|secs| secs.0.min(LONGEST))
}

/// The same for a time limit, where 0 would leave no time to succeed and counts as not written.
pub(super) fn first_limit<const N: usize>(values: [Option<Secs>; N]) -> Option<Duration> {
    first(values.map(|secs| secs.filter(|secs| !secs.0.is_zero())))
}

/// The port that the file writes, when it is one.
pub(super) fn written(port: Option<u16>) -> Option<u16> {
    port.filter(|port| *port != 0)
}

impl Inherit<'_> {
    /// All checkers of the real server that can be run.
    pub(super) fn checkers(&self) -> Vec<CheckerPlan> {
        let real = self.real;
        let mut plans: Vec<CheckerPlan> = real.tcp_check.iter().map(|check| self.tcp(check)).collect();
        plans
            .extend(real.http_get.iter().filter(|check| !check.url.is_empty()).map(|check| self.http(check)));
        plans.extend(real.ssl_get.iter().filter(|check| !check.url.is_empty()).map(|check| self.ssl(check)));
        plans.extend(real.smtp_check.iter().flat_map(|check| self.smtp(check)));
        plans.extend(real.dns_check.iter().map(|check| self.dns(check)));
        plans.extend(real.misc_check.iter().map(|check| self.misc(check)));
        plans.extend(real.udp_check.iter().map(|check| self.udp(check)));
        plans.extend(real.ping_check.iter().map(|check| self.ping(check)));
        plans.extend(real.grpc_check.iter().map(|check| self.grpc(check)));
        plans.extend(real.file_check.iter().filter_map(|check| self.file(check)));
        plans.extend(real.bfd_check.iter().map(|check| self.bfd(check)));
        plans
    }

    pub(super) fn target(&self, connection: &Connection, proxy: Option<SendProxy>) -> Target {
        self.target_of([connection], proxy)
    }

    /// A target whose every word comes from the first of the connections that writes it.
    pub(super) fn target_of<const N: usize>(
        &self,
        connections: [&Connection; N],
        proxy: Option<SendProxy>,
    ) -> Target {
        fn pick<T, const N: usize>(
            from: [&Connection; N],
            word: impl Fn(&Connection) -> Option<T>,
        ) -> Option<T> {
            from.into_iter().find_map(word)
        }
        let address: IpAddr = pick(connections, |c| c.connect_ip).unwrap_or(self.own.ip());
        let port = pick(connections, |c| written(c.connect_port)).unwrap_or(self.own.port());
        let way = Way {
            bindto: pick(connections, |c| c.bindto),
            bind_if: pick(connections, |c| c.bind_if.clone()),
            bind_port: pick(connections, |c| written(c.bind_port)),
            // 0 is the mark of packets that nobody marked.
            fwmark: pick(connections, |c| c.fwmark.filter(|mark| *mark != 0)),
            proxy,
            timeout: first_limit([
                pick(connections, |c| c.connect_timeout.filter(|secs| !secs.0.is_zero())),
                self.real.connect_timeout,
                self.server.connect_timeout,
            ])
            .unwrap_or(CONNECT_TIMEOUT),
        };
        Target { address: SocketAddr::new(address, port), way: self.pools.ways.keep(way) }
    }

    /// A checker with the numbers of its kind where the file writes none.
    pub(super) fn checker(&self, kind: Kind, pace: &Pace, retry: u32, before_retry: Before) -> CheckerPlan {
        CheckerPlan { kind, manner: self.pools.manners.keep(self.manner(pace, retry, before_retry)) }
    }

    /// How a checker is run, with the numbers of its kind where the file writes none.
    pub(super) fn manner(&self, pace: &Pace, retry: u32, before_retry: Before) -> Manner {
        let (real, server) = (self.real, self.server);
        let delay_loop = first([pace.delay_loop, real.delay_loop, server.delay_loop])
            .unwrap_or(DELAY_LOOP)
            .max(SHORTEST_PAUSE);
        let fast = first_limit([pace.fast_interval, real.fast_interval, server.fast_interval])
            .map(|fast| fast.max(SHORTEST_PAUSE));
        // `fall` is `retry` in other words, so that the nearest of both counts.
        let tries = |fall: Option<u32>, retry: Option<u32>| fall.map(|fall| fall.saturating_sub(1)).or(retry);
        let before_retry = match before_retry {
            Before::Secs(secs) => Duration::from_secs(secs),
            Before::Loop => delay_loop,
        };
        Manner {
            rules: health::Rules {
                delay_loop,
                retry: tries(pace.fall, pace.retry)
                    .or_else(|| tries(real.fall, real.retry))
                    .or_else(|| tries(server.fall, server.retry))
                    .unwrap_or(retry),
                delay_before_retry: fast.unwrap_or_else(|| {
                    first([pace.delay_before_retry, real.delay_before_retry, server.delay_before_retry])
                        .unwrap_or(before_retry)
                        .max(SHORTEST_PAUSE)
                }),
                timeout_retry: pace.timeout_retry.or(real.timeout_retry).or(server.timeout_retry),
                rise: pace.rise.or(real.rise).or(server.rise).unwrap_or(1).max(1),
                delay_before_rise: fast.unwrap_or(delay_loop),
                urls: 1,
                fast_recovery: false,
            },
            warmup: first([pace.warmup, real.warmup, server.warmup]),
            alpha: pace.alpha.or(real.alpha).unwrap_or(server.alpha),
            log_all_failures: pace
                .log_all_failures
                .or(self.config.global_defs.checker_log_all_failures)
                .unwrap_or(false),
            share: pace
                .share
                .or(self.real.share)
                .or(self.server.share)
                .or(self.config.global_defs.checker_share)
                .unwrap_or(true),
        }
    }
}
