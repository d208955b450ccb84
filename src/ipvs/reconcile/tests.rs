//! The reconciler against the model kernel.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::ipvs::fake::{FakeKernel, mark};
use crate::ipvs::strategies::table;
use crate::ipvs::table::{Destination, DestinationKey, Forward, Service, VirtualService};

fn server(last: u8) -> DestinationKey {
    DestinationKey { address: [10, 1, 0, last].into(), port: 0 }
}

fn settings(weight: u32) -> Destination {
    Destination { forward: Forward::DirectRoute, weight, upper_threshold: 0, lower_threshold: 0 }
}

fn service(scheduler: &str, servers: &[(u8, u32)]) -> VirtualService {
    VirtualService {
        service: Service {
            scheduler: scheduler.to_owned(),
            persistence: None,
            one_packet: false,
            scheduler_flags: 0,
            engine: None,
        },
        destinations: servers.iter().map(|(last, weight)| (server(*last), settings(*weight))).collect(),
    }
}

/// A reconciler, its kernel, and a time that the test moves.
struct Bench {
    kernel: FakeKernel,
    session: Session<FakeKernel>,
    reconciler: Reconciler,
    now: Instant,
}

impl Bench {
    fn new(table: Table) -> Self {
        let kernel = FakeKernel::with(table);
        let session = kernel.session();
        Self { kernel, session, reconciler: Reconciler::new(), now: Instant::now() }
    }

    fn turn(&mut self, desired: &Table) -> Result<Turn, Error> {
        let result = self.reconciler.turn(&mut self.session, desired, self.now, &mut || false);
        if result.is_err() {
            self.session = self.kernel.session();
        }
        result
    }

    fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn asked(&self) -> Vec<String> {
        self.kernel.state(|state| {
            std::mem::take(&mut state.asked)
                .into_iter()
                .map(|(change, errno)| format!("{change}: {errno}"))
                .collect()
        })
    }

    fn hook(&self, mut hook: impl FnMut(&mut Table, &Change) -> Option<i32> + Send + 'static) {
        self.kernel.state(|state| state.hook = Some(Box::new(move |table, change| hook(table, change))));
    }

    fn no_hook(&self) {
        self.kernel.state(|state| state.hook = None);
    }
}

#[test]
fn a_right_table_is_adopted_without_a_change() {
    let table = Table::from([(mark(1), service("wlc", &[(1, 1), (2, 0)]))]);
    let mut bench = Bench::new(table.clone());
    let turn = bench.turn(&table).unwrap();
    assert_eq!(turn, Turn { in_place: true, ..Turn::default() });
    assert_eq!(bench.asked(), [""; 0]);
    assert_eq!(**bench.reconciler.table(), table);
}

#[test]
fn what_is_left_of_an_earlier_run_is_corrected_and_is_no_drift() {
    let mut bench = Bench::new([(mark(1), service("rr", &[(1, 5), (3, 1)]))].into());
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1), (2, 0)]))]);
    let turn = bench.turn(&desired).unwrap();
    assert_eq!((turn.in_place, turn.applied.len(), turn.repaired), (true, 4, vec![]));
    assert_eq!(bench.kernel.table(), desired);
}

#[test]
fn a_known_table_is_changed_without_reading_it_first() {
    let mut bench = Bench::new(Table::new());
    bench.turn(&Table::from([(mark(1), service("wlc", &[(1, 1)]))])).unwrap();
    let dumps = bench.kernel.state(|state| state.service_dumps);
    assert_eq!(dumps, 1);
    let turn = bench.turn(&Table::from([(mark(1), service("wlc", &[(1, 0)]))])).unwrap();
    assert!(turn.in_place);
    assert_eq!(bench.kernel.state(|state| state.service_dumps), 1);
    // And read back soon after.
    assert_eq!(bench.reconciler.deadline(), Some(bench.now + CONFIRM_AFTER));
    bench.later(250);
    bench.turn(&Table::from([(mark(1), service("wlc", &[(1, 0)]))])).unwrap();
    assert_eq!(bench.kernel.state(|state| state.service_dumps), 2);
    assert_eq!(bench.reconciler.deadline(), Some(bench.now + READ_EVERY));
}

#[test]
fn a_service_that_somebody_made_first_is_taken_over() {
    let mut bench = Bench::new(Table::new());
    bench.hook(|table, change| {
        if matches!(change, Change::NewService { .. }) {
            table.entry(mark(1)).or_insert_with(|| service("rr", &[(1, 9), (7, 1)]));
        }
        None
    });
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1), (2, 1)]))]);
    let turn = bench.turn(&desired).unwrap();
    assert!(turn.in_place);
    assert_eq!((bench.kernel.table(), bench.reconciler.errors()), (desired, vec![]));
    assert_eq!(
        bench.asked(),
        [
            "add service FWM 1 (wlc): 17",
            "add FWM 1 -> 10.1.0.1:0 (DR, weight 1): 17",
            "add FWM 1 -> 10.1.0.2:0 (DR, weight 1): 0",
            "set service FWM 1 (wlc): 0",
            "set FWM 1 -> 10.1.0.1:0 (DR, weight 1): 0",
            "delete FWM 1 -> 10.1.0.7:0: 0",
        ]
    );
}

#[test]
fn what_vanished_since_it_was_read_is_noticed_and_put_back() {
    let before = Table::from([
        (mark(1), service("wlc", &[(1, 1), (2, 1)])),
        (mark(2), service("wlc", &[(1, 1), (2, 1), (3, 1)])),
    ]);
    let mut bench = Bench::new(before.clone());
    bench.turn(&before).unwrap();
    bench.kernel.state(|state| {
        state.table.remove(&mark(1));
        state.table.get_mut(&mark(2)).unwrap().destinations.remove(&server(1));
    });
    let desired = Table::from([
        (mark(1), service("wlc", &[(1, 1), (2, 5)])),
        (mark(2), service("wlc", &[(1, 5), (2, 1)])),
    ]);
    let turn = bench.turn(&desired).unwrap();
    assert!(turn.in_place);
    assert_eq!(bench.kernel.table(), desired);
    assert_eq!(bench.reconciler.errors(), [""; 0]);
    // Service 1 and its server 1, which nobody asked to change, were put back.
    let repaired: Vec<_> = turn.repaired.iter().map(ToString::to_string).collect();
    assert_eq!(repaired, ["add service FWM 1 (wlc)", "add FWM 1 -> 10.1.0.1:0 (DR, weight 1)"]);
}

#[test]
fn drift_is_found_at_the_next_reading_and_counted_only_for_ours() {
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1), (2, 1)]))]);
    let foreign = service("rr", &[(1, 3)]);
    let mut bench = Bench::new([(mark(9), foreign)].into());
    assert_eq!(bench.turn(&desired).unwrap().repaired, []);
    bench.kernel.state(|state| {
        state.table.remove(&mark(1));
        state.table.get_mut(&mark(9)).unwrap().service.scheduler = "sh".to_owned();
    });
    assert!(bench.turn(&desired).unwrap().repaired.is_empty(), "not read yet");
    bench.later(5000);
    let turn = bench.turn(&desired).unwrap();
    assert_eq!((turn.repaired.len(), turn.in_place), (3, true));
    assert_eq!(bench.kernel.table()[&mark(1)], desired[&mark(1)]);
    assert_eq!(bench.kernel.table()[&mark(9)].service.scheduler, "sh");
    bench.later(5000);
    assert_eq!(bench.turn(&desired).unwrap(), Turn { in_place: true, ..Turn::default() });
}

#[test]
fn a_refused_change_waits_while_the_rest_is_applied() {
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1), (2, 1), (3, 1)]))]);
    let mut bench = Bench::new(Table::new());
    bench.hook(|_, change| (change.subject() == (mark(1), Some(server(2)))).then_some(libc::ENOMEM));
    let turn = bench.turn(&desired).unwrap();
    assert!(!turn.in_place);
    assert_eq!((turn.refused.len(), turn.applied.len()), (1, 3));
    assert_eq!(
        bench.reconciler.errors(),
        [
            "the kernel refused to add FWM 1 -> 10.1.0.2:0 (DR, weight 1): ENOMEM: the kernel is out of memory; it is tried again"
        ]
    );
    assert_eq!(bench.kernel.table()[&mark(1)].destinations.len(), 2);
    bench.asked();
    // Tried again after 1, 2, 4 … seconds, and not in between.
    let mut tries = Vec::new();
    for tenth in 1..=200 {
        bench.later(100);
        let turn = bench.turn(&desired).unwrap();
        assert!(turn.refused.is_empty(), "reported once");
        if !bench.asked().is_empty() {
            tries.push(tenth);
        }
    }
    assert_eq!(tries, [10, 30, 70, 150]);
    bench.no_hook();
    bench.later(30_000);
    assert!(bench.turn(&desired).unwrap().in_place);
    assert_eq!((bench.kernel.table(), bench.reconciler.errors()), (desired, vec![]));
}

#[test]
fn a_missing_scheduler_holds_back_its_own_service_only() {
    let mut desired =
        Table::from([(mark(1), service("nosuch", &[(1, 1), (2, 1)])), (mark(2), service("wlc", &[(1, 1)]))]);
    let mut bench = Bench::new(Table::new());
    bench.turn(&desired).unwrap();
    assert_eq!(bench.kernel.table().keys().copied().collect::<Vec<_>>(), [mark(2)]);
    let errors = bench.reconciler.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(bench.kernel.state(|state| state.service_dumps), 1, "its destinations' ESRCH is no surprise");
    assert!(errors[0].contains("modprobe ip_vs_nosuch"), "{errors:?}");
    bench.asked();
    bench.later(500);
    bench.turn(&desired).unwrap();
    assert_eq!(bench.asked(), [""; 0], "neither the service nor its destinations");
    // Another scheduler is tried at once.
    desired.get_mut(&mark(1)).unwrap().service.scheduler = "rr".to_owned();
    assert!(bench.turn(&desired).unwrap().in_place);
    assert_eq!(bench.kernel.table(), desired);
    // A scheduler that a service cannot change to does not hold its servers back.
    desired.insert(mark(2), service("nosuch", &[(1, 0), (5, 1)]));
    assert!(!bench.turn(&desired).unwrap().in_place);
    assert_eq!(bench.kernel.table()[&mark(2)], service("wlc", &[(1, 0), (5, 1)]));
    // Not wanted any more: no error left.
    desired.remove(&mark(2));
    assert!(bench.turn(&desired).unwrap().in_place);
    assert_eq!(bench.reconciler.errors(), [""; 0]);
}

#[test]
fn a_lost_answer_means_connect_and_read_again() {
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1)]))]);
    let mut bench = Bench::new(Table::new());
    bench.kernel.state(|state| state.lose_acks = 1);
    let error = bench.turn(&desired).unwrap_err();
    assert_eq!(error.to_string(), "the kernel did not answer when asked to change the IPVS table");
    // It had been done: found by reading, nothing is asked twice.
    bench.asked();
    assert_eq!(bench.turn(&desired).unwrap(), Turn { in_place: true, ..Turn::default() });
    assert_eq!(bench.asked(), [""; 0]);
}

#[test]
fn a_spoiled_answer_is_an_error_with_a_name() {
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1)]))]);
    let mut bench = Bench::new(desired.clone());
    bench.kernel.state(|state| state.garble = 1);
    let error = bench.turn(&desired).unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
    assert!(bench.turn(&desired).unwrap().in_place);
}

#[test]
fn an_interrupted_dump_is_read_again() {
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1)]))]);
    let mut bench = Bench::new(desired.clone());
    bench.kernel.state(|state| state.interrupt_dumps = 2);
    assert!(bench.turn(&desired).unwrap().in_place);
    assert_eq!(bench.kernel.state(|state| state.service_dumps), 3);
    bench.kernel.state(|state| state.interrupt_dumps = 100);
    bench.later(5000);
    assert!(matches!(bench.turn(&desired), Err(Error::Restless)));
    assert_eq!(bench.asked(), [""; 0]);
}

#[test]
fn somebody_who_always_gets_in_first_does_not_keep_us_busy_for_ever() {
    let desired = Table::from([(mark(1), service("wlc", &[(1, 1)])), (mark(2), service("wlc", &[(1, 1)]))]);
    let mut bench = Bench::new(Table::new());
    bench.hook(|_, change| (*change.service() == mark(1)).then_some(libc::EEXIST));
    let turn = bench.turn(&desired).unwrap();
    assert!(!turn.in_place);
    assert_eq!(bench.kernel.table().keys().copied().collect::<Vec<_>>(), [mark(2)]);
    let errors = bench.reconciler.errors();
    assert!(errors[0].contains("something else changes this service at the same time"), "{errors:?}");
    bench.no_hook();
    bench.later(1000);
    assert!(bench.turn(&desired).unwrap().in_place);
    assert_eq!(bench.kernel.table(), desired);
}

#[test]
fn something_newer_stops_a_long_apply_after_a_batch() {
    let big: Vec<_> = (0..200).map(|last| (last, 1)).collect();
    let desired = Table::from([(mark(1), service("wlc", &big))]);
    let mut bench = Bench::new(Table::new());
    let turn = bench.reconciler.turn(&mut bench.session, &desired, bench.now, &mut || true).unwrap();
    assert!(turn.superseded && !turn.in_place);
    assert_eq!(bench.kernel.table()[&mark(1)].destinations.len(), BATCH - 1);
    // What is done is known: the next value starts from there.
    let smaller = Table::from([(mark(1), service("wlc", &big[..70]))]);
    assert!(bench.turn(&smaller).unwrap().in_place);
    assert_eq!(bench.kernel.table(), smaller);
    assert_eq!(bench.kernel.state(|state| state.batches.clone()), [64, 7]);
    assert_eq!(bench.kernel.state(|state| state.service_dumps), 1);
}

#[test]
fn a_reading_gives_way_to_something_newer_but_not_for_ever() {
    let table = |weight| Table::from([(mark(1), service("wlc", &[(1, weight)]))]);
    let mut bench = Bench::new(Table::new());
    bench.turn(&table(1)).unwrap();
    let damaged = Table::from([(mark(1), service("rr", &[]))]);
    bench.kernel.state(|state| state.table = damaged.clone());
    let mut readings = 0;
    for weight in 0..=YIELDS {
        bench.later(5000);
        let turn =
            bench.reconciler.turn(&mut bench.session, &table(weight), bench.now, &mut || true).unwrap();
        readings += 1;
        if !turn.superseded {
            break;
        }
        assert_eq!(bench.kernel.table(), damaged);
    }
    assert_eq!(readings, YIELDS + 1);
    assert_eq!(bench.kernel.table(), table(YIELDS));
}

#[test]
fn a_big_table_goes_out_in_batches_and_goes_away_in_one_message_a_service() {
    let big: BTreeMap<_, _> = (1..=100).map(|n| (mark(n), service("wlc", &[(1, 1), (2, 1)]))).collect();
    let mut bench = Bench::new(Table::new());
    assert!(bench.turn(&big).unwrap().in_place);
    assert_eq!(bench.kernel.state(|state| state.batches.clone()), [64, 64, 64, 64, 44]);
    bench.asked();
    assert!(bench.turn(&Table::new()).unwrap().in_place);
    assert_eq!(bench.asked().len(), 100);
    assert!(bench.kernel.table().is_empty());
}

proptest! {
    /// From any table to any other, through random errors and interference: once the trouble is over the kernel holds
    /// what is desired, and services of others were never touched.
    #[test]
    fn always_gets_there(
        before in table(true),
        steps in proptest::collection::vec(table(false), 1..4),
        trouble in proptest::collection::vec(proptest::option::weighted(0.2, 0usize..6), 0..60),
    ) {
        let ours: BTreeSet<_> = steps.iter().flat_map(|step| step.keys().copied()).collect();
        let mut bench = Bench::new(before.clone());
        let mut trouble = trouble.into_iter();
        let inside = ours.clone();
        bench.hook(move |table, change| {
            let kind = trouble.next().flatten()?;
            match kind {
                0 => Some(libc::ENOMEM),
                1 => Some(libc::EEXIST),
                2 => Some(libc::ENOENT),
                3 => Some(libc::ESRCH),
                4 => { table.remove(change.service()); None }
                _ => {
                    for key in &inside {
                        if let Some(entry) = table.get_mut(key) { entry.destinations.clear(); }
                    }
                    None
                }
            }
        });
        let last = steps.last().cloned().unwrap_or_default();
        for step in &steps {
            let _ = bench.turn(step);
            bench.later(100);
        }
        bench.no_hook();
        let mut in_place = false;
        for _ in 0..4 {
            bench.later(31_000);
            in_place = bench.turn(&last).unwrap().in_place;
        }
        prop_assert!(in_place);
        let table = bench.kernel.table();
        prop_assert_eq!(diff(&table, &last, &ours), vec![]);
        prop_assert_eq!(bench.reconciler.errors(), Vec::<String>::new());
        for (key, entry) in &before {
            if !ours.contains(key) {
                prop_assert_eq!(table.get(key), Some(entry));
            }
        }
        prop_assert!(bench.kernel.state(|state| state.batches.iter().all(|messages| *messages <= BATCH)));
    }
}
