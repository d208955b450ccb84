//! What the checks came to, by the kind of checker.

use super::Checks;
use super::text::{Family, Labels, Writer};

pub(super) fn write(checks: &Checks, out: &mut Writer) {
    out.family(Family::counter("tandem_check_results", "Results of checks, by kind and what became of them"));
    for one in &checks.kinds {
        let label = Labels::of(&[("kind", one.kind)]);
        out.sample(&label.and("result", "success"), one.succeeded);
        for (failure, count) in &one.failed {
            out.sample(&label.and("result", failure), *count);
        }
    }
    out.family(Family::histogram("tandem_check_duration_seconds", "How long checks took, by kind"));
    for one in &checks.kinds {
        // Those that are told do not run.
        if one.took.cumulative.last().is_some_and(|count| *count > 0) {
            let label = Labels::of(&[("kind", one.kind)]);
            out.spread(&label, one.took.bounds, &one.took.cumulative, one.took.sum);
        }
    }
    out.single(Family::gauge("tandem_checks_in_flight", "Checks that run now"), checks.in_flight);
    let about = "Results that came after their checker was changed or removed";
    out.single(Family::counter("tandem_check_late_results", about), checks.late_results);
    let about = "Events of checks that nobody took in time: their programs did not run";
    out.single(Family::counter("tandem_check_events_lost", about), checks.lost_events);
}
