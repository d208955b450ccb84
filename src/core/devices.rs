//! Interfaces of our own (VMACs, ipvlans) and the packet filter (`no_accept`, `vrrp_strict`): planned from the
//! configuration and the interfaces that there are, made by a thread of their own, in place before the first address.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::board::{Board, Thread};
use crate::config::model::Config;
use crate::net::device::Wanted;
use crate::net::device_writer::{self, Applied};
use crate::net::firewall::{self, Ruleset};
use crate::net::link::Links;
use crate::net::space::Space;
use crate::net::sysctl::Memory;
use crate::vrrp::firewall::{note, ruleset};
use crate::vrrp::vmac::{self, Plan};

use super::marking::Marking;
use super::{director, fault, threads};

/// How long the start waits for interfaces and filter. Beyond it the instances begin; one whose interface is missing is
/// in FAULT until it comes.
const PATIENCE: Duration = Duration::from_secs(2);

/// The thread's ends.
pub(super) struct Devices {
    wanted: watch::Sender<Arc<Wanted>>,
    filter: watch::Sender<Arc<Ruleset>>,
    marks: watch::Sender<Arc<Ruleset>>,
    pub(super) applied: watch::Receiver<Applied>,
    pub(super) filtered: watch::Receiver<firewall::writer::Applied>,
    /// The same of the marks.
    pub(super) marked: watch::Receiver<firewall::writer::Applied>,
    generation: u64,
    thread: JoinHandle<()>,
}

impl Devices {
    /// Starts the thread; it does nothing before the first wish. `space`: where IPVS is, if not here: there packets are marked.
    pub(super) fn start(
        links: watch::Receiver<Arc<Links>>,
        board: Option<&Arc<Board>>,
        space: Option<Space>,
    ) -> io::Result<Self> {
        let (wanted, wanted_in) = watch::channel(Arc::new(Wanted::default()));
        let (filter, filter_in) = watch::channel(Arc::new(Ruleset::default()));
        let (applied_out, applied) = watch::channel(Applied::default());
        let (filtered_out, filtered) = watch::channel(firewall::writer::Applied::default());
        let (marks, marks_in) = watch::channel(Arc::new(Ruleset::default()));
        let (marked_out, marked) = watch::channel(firewall::writer::Applied::default());
        let runtime = threads::runtime_of(Thread::Devices, board)?;
        let thread = threads::spawn("devices", move || {
            runtime.block_on(async move {
                let devices = device_writer::run(wanted_in, links.clone(), applied_out, Memory::default());
                let filter = firewall::writer::run(filter_in, links.clone(), filtered_out);
                let marks = firewall::writer::run_in(space, marks_in, links, marked_out);
                tokio::select! {
                    _ = async { tokio::join!(devices, filter, marks) } => {}
                    () = fault::strike(Thread::Devices) => {}
                }
            });
        })?;
        Ok(Self { wanted, filter, marks, applied, filtered, marked, generation: 0, thread })
    }

    /// Who says what is marked for IPVS (`nftables_ipvs`). It must have ended before the thread can.
    pub(super) fn marking(&self) -> Marking {
        Marking::new(self.marks.clone())
    }

    /// Plans a configuration and has it made. The filter does not depend on who is master: a backup has none of the
    /// addresses, and so it is always there before they are.
    pub(super) async fn configure(&mut self, config: &Config) -> Plan {
        let found = device_writer::read_once().await.unwrap_or_else(|error| {
            tracing::error!("interfaces: {error}; those of use_vmac are planned without knowing the others");
            Default::default()
        });
        let mut plan = vmac::plan(config, &found);
        // Where IPVS is in another namespace, the settings of that one count.
        if config.net_namespace_ipvs.is_none() {
            for (key, wish) in director::wishes(config, &director::look::addresses()) {
                plan.sysctls.entry(key).or_insert(wish);
            }
        }
        for problem in plan.problems.iter().chain(&note(&config.global_defs)) {
            tracing::warn!("{problem}");
        }
        self.generation += 1;
        self.wanted.send_replace(Arc::new(plan.wanted(self.generation)));
        let all: BTreeSet<&str> =
            config.vrrp_instance.iter().map(|instance| instance.name.as_str()).collect();
        self.filter.send_replace(Arc::new(ruleset(config, &plan, &all, self.generation)));
        plan
    }

    /// Looks again at the last wish: settings of IPVS exist only once its module is loaded.
    pub(super) fn again(&mut self) {
        self.generation += 1;
        let generation = self.generation;
        self.wanted.send_modify(|wanted| Arc::make_mut(wanted).generation = generation);
    }

    /// True when the filter has anything to do.
    pub(super) fn filters(&self) -> bool {
        let filter = self.filter.borrow();
        filter.ipv4.is_some() || filter.ipv6.is_some()
    }

    /// Waits until the last wish is in place, but not for ever.
    pub(super) async fn settled(&mut self) {
        let generation = self.generation;
        let settled = async {
            let _ = self.applied.wait_for(|applied| applied.generation >= generation).await;
            let _ = self.filtered.wait_for(|filtered| filtered.generation >= generation).await;
        };
        if tokio::time::timeout(PATIENCE, settled).await.is_err() {
            tracing::warn!("interfaces of use_vmac or the packet filter are not in place after {PATIENCE:?}");
        }
    }

    /// True when the thread has ended.
    pub(super) fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Takes everything away again; returns the thread to wait for. To be called when the addresses are gone.
    pub(super) fn end(mut self) -> JoinHandle<()> {
        self.generation += 1;
        self.wanted.send_replace(Arc::new(Wanted { generation: self.generation, ..Wanted::default() }));
        self.filter.send_replace(Arc::new(Ruleset { generation: self.generation, ..Ruleset::default() }));
        self.thread
    }
}
