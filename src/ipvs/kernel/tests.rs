//! The thread's loop over the model kernel: when it connects, what it reports, how it ends.

use std::sync::Mutex;
use std::thread;

use super::*;
use crate::ipvs::diff::Change;
use crate::ipvs::fake::{FakeKernel, mark};
use crate::ipvs::table::{Service, VirtualService};

fn table(scheduler: &str, marks: &[u32]) -> Table {
    let service = VirtualService {
        service: Service {
            scheduler: scheduler.to_owned(),
            persistence: None,
            one_packet: false,
            scheduler_flags: 0,
            engine: None,
        },
        destinations: [].into(),
    };
    marks.iter().map(|number| (mark(*number), service.clone())).collect()
}

struct Bench {
    desired: watch::Sender<Arc<Desired>>,
    report: watch::Receiver<Report>,
    thread: thread::JoinHandle<()>,
    /// The argument of each call of `connect`.
    connects: Arc<Mutex<Vec<bool>>>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// `absent`: how many times there is no IPVS.
    fn start(kernel: &FakeKernel, absent: usize) -> Self {
        let (desired, receiver) = watch::channel(Arc::new(Desired::default()));
        let (sender, report) = watch::channel(Report::default());
        let connects = Arc::new(Mutex::new(Vec::new()));
        let (calls, kernel) = (Arc::clone(&connects), kernel.clone());
        let connect = move |load| {
            let mut calls = calls.lock().unwrap();
            calls.push(load);
            if calls.len() <= absent {
                return Err(Error::NoIpvs { detail: "no family IPVS".to_owned() });
            }
            Ok(kernel.session())
        };
        let thread = thread::spawn(move || run_over(receiver, sender, &|_| (), connect));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { desired, report, thread, connects, runtime }
    }

    fn want(&self, number: u64, table: Table) {
        self.desired.send_replace(Arc::new(Desired { number, table: Arc::new(table), ..Desired::default() }));
    }

    fn wait(&mut self, condition: impl FnMut(&Report) -> bool) -> Report {
        self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), self.report.wait_for(condition))
                .await
                .unwrap()
                .unwrap()
                .clone()
        })
    }

    fn end(self) -> Report {
        drop(self.desired);
        self.thread.join().unwrap();
        self.report.borrow().clone()
    }
}

#[test]
fn nothing_is_opened_before_a_service_is_desired() {
    let kernel = FakeKernel::default();
    let mut bench = Bench::start(&kernel, 0);
    bench.want(1, Table::new());
    assert_eq!(bench.wait(|report| report.applied == 1), Report { applied: 1, ..Report::default() });
    assert_eq!(*bench.connects.lock().unwrap(), [false; 0]);
    bench.want(2, table("wlc", &[1]));
    let report = bench.wait(|report| report.applied == 2);
    assert_eq!((&*report.table, report.errors), (&table("wlc", &[1]), vec![]));
    assert_eq!(*bench.connects.lock().unwrap(), [true]);
    bench.end();
    assert_eq!(kernel.table(), table("wlc", &[1]), "the table is left as it is");
}

#[test]
fn a_missing_module_is_named_and_waited_for_and_loaded_once() {
    let kernel = FakeKernel::default();
    let mut bench = Bench::start(&kernel, 3);
    bench.want(1, table("wlc", &[1]));
    let report = bench.wait(|report| !report.errors.is_empty());
    assert_eq!(report.applied, 0);
    assert_eq!(
        report.errors,
        [
            "this kernel has no IPVS (no family IPVS): load it with `modprobe ip_vs` (in containers: on the host), or use a kernel with CONFIG_IP_VS"
        ]
    );
    let report = bench.wait(|report| report.applied == 1);
    assert_eq!(report.errors, [""; 0]);
    assert_eq!(*bench.connects.lock().unwrap(), [true, false, false, false]);
    bench.end();
}

#[test]
fn the_last_value_is_applied_before_the_end() {
    for _ in 0..20 {
        let kernel = FakeKernel::default();
        let mut bench = Bench::start(&kernel, 0);
        bench.want(1, table("wlc", &[1, 2]));
        bench.wait(|report| report.applied == 1);
        bench.want(2, Table::new());
        let report = bench.end();
        assert_eq!((report.applied, kernel.table()), (2, Table::new()));
    }
}

#[test]
fn the_end_retries_and_is_limited() {
    let kernel = FakeKernel::default();
    // Out of memory once: tried again.
    let mut failed = false;
    kernel.state(|state| {
        state.hook = Some(Box::new(move |_, _: &Change| {
            (!std::mem::replace(&mut failed, true)).then_some(libc::ENOMEM)
        }));
    });
    let bench = Bench::start(&kernel, 0);
    bench.want(1, table("wlc", &[1]));
    assert_eq!(bench.end().applied, 1);
    // For ever: given up.
    kernel.state(|state| state.hook = Some(Box::new(|_, _: &Change| Some(libc::ENOMEM))));
    let bench = Bench::start(&kernel, 0);
    bench.want(1, table("wlc", &[5]));
    let started = clock::now();
    let report = bench.end();
    assert_eq!((report.applied, report.errors.len()), (0, 1));
    let took = clock::now() - started;
    assert!(took >= END_LIMIT && took < END_LIMIT * 3, "{took:?}");
    // No IPVS at all: nothing to wait for.
    let bench = Bench::start(&kernel, usize::MAX);
    bench.want(1, table("wlc", &[1]));
    let started = clock::now();
    bench.end();
    assert!(clock::now() - started < END_LIMIT);
}

#[test]
fn a_burst_ends_at_the_latest_value() {
    let kernel = FakeKernel::default();
    let mut bench = Bench::start(&kernel, 0);
    for number in 1..=500u32 {
        bench.want(number.into(), table("wlc", &[1, number + 1]));
    }
    let report = bench.wait(|report| report.applied == 500);
    assert_eq!(*report.table, table("wlc", &[1, 501]));
    assert_eq!(kernel.table(), *report.table);
    assert_eq!((report.errors, report.drift_repaired), (vec![], 0));
    bench.end();
}

#[test]
fn a_lost_connection_is_replaced() {
    let kernel = FakeKernel::default();
    kernel.state(|state| state.lose_acks = 2);
    let mut bench = Bench::start(&kernel, 0);
    bench.want(1, table("wlc", &[1]));
    bench.wait(|report| report.applied == 1);
    assert!(bench.connects.lock().unwrap().len() >= 2);
    assert_eq!(kernel.table(), table("wlc", &[1]));
    let report = bench.end();
    assert_eq!((report.errors, report.drift_repaired), (vec![], 0));
}

/// `lvs_flush` at the start: what others left goes, what is desired is never touched. `lvs_flush_on_stop` likewise.
#[test]
fn a_sweep_takes_away_what_is_not_desired() {
    let kernel = FakeKernel::with(table("wlc", &[1, 2, 3]));
    let mut bench = Bench::start(&kernel, 0);
    let swept = |number, marks: &[u32], sweeps| {
        Arc::new(Desired { number, table: Arc::new(table("wlc", marks)), sweeps, ..Desired::default() })
    };
    bench.desired.send_replace(swept(1, &[1], 1));
    let report = bench.wait(|report| report.applied == 1);
    assert_eq!((report.drift_repaired, kernel.table()), (0, table("wlc", &[1])));
    assert_eq!(kernel.state(|state| state.asked.len()), 2);
    // What comes later from others is theirs, until the next sweep.
    kernel.state(|state| state.table.extend(table("wlc", &[9])));
    bench.desired.send_replace(swept(2, &[], 1));
    bench.wait(|report| report.applied == 2);
    assert_eq!(kernel.table(), table("wlc", &[9]));
    bench.desired.send_replace(swept(3, &[], 2));
    bench.wait(|report| report.applied == 3);
    assert_eq!(kernel.table(), Table::new());
    bench.end();
}
