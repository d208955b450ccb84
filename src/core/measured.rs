//! What the checks have counted, as the metrics want it. Pure.

use crate::check::counts::{Histogram, KIND_BOUNDS, SERVICE_BOUNDS};
use crate::check::status::Status;
use crate::metrics::{Checks, KindChecks, ServiceChecks, Spread};

/// All of it.
pub fn checks(status: &Status) -> Checks {
    let kinds = status.kinds.iter().map(|(kind, counts)| KindChecks {
        kind,
        succeeded: counts.succeeded,
        failed: counts.failed.clone(),
        took: spread(&counts.took, &KIND_BOUNDS),
    });
    let services = status.services.iter().map(|service| {
        let counts = &service.counts;
        let took = spread(&counts.took, &SERVICE_BOUNDS);
        (service.name.to_string(), ServiceChecks { succeeded: counts.succeeded, failed: counts.failed, took })
    });
    Checks {
        kinds: kinds.collect(),
        services: services.collect(),
        in_flight: u64::try_from(status.in_flight).unwrap_or(u64::MAX),
        late_results: status.late_results,
        lost_events: status.lost_events,
    }
}

fn spread<const N: usize>(took: &Histogram<N>, bounds: &'static [u64; N]) -> Spread {
    Spread { bounds, cumulative: took.cumulative(), sum: took.sum() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::check::farm::{Farm, Lane};
    use crate::check::outcome::{Failure, Outcome, Success};
    use crate::check::plan::Plan;
    use crate::config::{self, resolve::Facts};

    /// Two virtual servers with equal checkers share a run: it counts once for its kind, and once for each of them.
    #[test]
    fn results_are_counted_where_they_belong() {
        let server = |vip: &str| {
            format!(
                "virtual_server {vip} 80 {{\n protocol TCP\n delay_loop 1\n real_server 10.1.0.1 80 {{\n TCP_CHECK {{\n \
                 connect_timeout 1\n }}\n }}\n}}\n"
            )
        };
        let text = server("10.0.0.1") + &server("10.0.0.2");
        let config = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config;
        let mut now = crate::clock::now();
        let mut farm = Farm::start(Plan::new(&config), 1, now).0;
        let took = Duration::from_millis(3);
        for result in [Ok(Success::default()), Err(Failure::Refused), Ok(Success::default())] {
            now += Duration::from_secs(10);
            let job = farm.due(Lane::Connections, now).unwrap();
            farm.observe(job.id, &Outcome { result, took }, now);
            assert!(farm.due(Lane::Connections, now).is_none(), "the run is shared");
        }
        // A reload of the same keeps what was counted.
        farm.reload(Plan::new(&config), now);
        let checks = checks(&farm.status());
        let [kind] = checks.kinds.as_slice() else { panic!("{:?}", checks.kinds) };
        assert_eq!((kind.kind, kind.succeeded, kind.failed.get("refused")), ("TCP_CHECK", 2, Some(&1)));
        assert_eq!(kind.took.cumulative.last(), Some(&3));
        assert_eq!(
            kind.took.bounds.iter().zip(&kind.took.cumulative).find(|(_, n)| **n > 0),
            Some((&5_000, &3))
        );
        assert_eq!(checks.services.len(), 2);
        for service in checks.services.values() {
            assert_eq!((service.succeeded, service.failed), (2, 1));
            assert!((service.took.sum - 0.009).abs() < 1e-9);
        }
    }
}
