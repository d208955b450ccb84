//! What the ipvs thread is asked for, and what is made of its answer.

use std::sync::Arc;

use crate::core::active;
use crate::core::director;
use crate::core::role;
use crate::ipvs::kernel::Desired;
use crate::ipvs::settings::Settings;
use crate::ipvs::table::{ServiceKey, Table};
use crate::vrrp::machine::StateName;

use super::{Worker, log_findings};

/// What the ipvs thread is to be asked for. It is asked for nothing before there is a table: an empty one, with `lvs_flush` or
/// with what an earlier process left, would take away what is to stay.
#[derive(Debug, Default)]
pub(super) struct Wish {
    desired: Desired,
    /// There is a table.
    planned: bool,
}

impl Wish {
    /// `flush`: services of others go at the start. `inherited`: what an earlier process left.
    pub(super) fn new(flush: bool, inherited: Arc<[ServiceKey]>) -> Self {
        let desired = Desired { sweeps: u32::from(flush), inherited, ..Desired::default() };
        Self { desired, planned: false }
    }

    /// This is the table.
    pub(super) fn table(&mut self, table: Arc<Table>) {
        self.planned = true;
        self.desired.table = table;
    }

    /// True when that is another table than the one that is wished; false while there is none.
    pub(super) fn changes(&self, table: &Table) -> bool {
        self.planned && *self.desired.table != *table
    }

    /// Timeouts and sync daemons; true when they are others than before.
    pub(super) fn settings(&mut self, settings: Settings) -> bool {
        let differs = self.desired.settings != settings;
        self.desired.settings = settings;
        differs
    }

    /// What to ask for now; `None` = nothing yet.
    pub(super) fn next(&mut self) -> Option<Desired> {
        if !self.planned {
            return None;
        }
        self.desired.number += 1;
        Some(self.desired.clone())
    }

    /// What to ask for at the end: nothing of ours is left. `flush`: nor of anybody.
    pub(super) fn last(&mut self, flush: bool) -> Desired {
        if !std::mem::replace(&mut self.planned, true) {
            // The start's was to take away what is not in a table that never came.
            self.desired.sweeps = 0;
        }
        self.desired.number += 1;
        self.desired.sweeps += u32::from(flush);
        (self.desired.table, self.desired.settings) = (Arc::default(), Settings::default());
        self.desired.clone()
    }

    /// The number of what was asked for last; 0 = nothing yet.
    pub(super) const fn number(&self) -> u64 {
        self.desired.number
    }
}

impl Worker {
    pub(super) fn program_table(&mut self) {
        let whole = Arc::clone(&self.check.table.borrow_and_update());
        let table = if self.active.is_empty() { whole } else { Arc::new(self.active_table(&whole)) };
        self.wish.table(table);
        self.program();
        self.remember();
    }

    /// Services of `active_on`, after an instance or the machine's addresses have changed.
    pub(super) fn program_active(&mut self) {
        if self.active.is_empty() {
            return;
        }
        let whole = Arc::clone(&self.check.table.borrow());
        let table = self.active_table(&whole);
        if self.wish.changes(&table) {
            self.wish.table(Arc::new(table));
            self.program();
        }
    }

    fn active_table(&self, whole: &Table) -> Table {
        let links = self.net.links.borrow();
        let is_master = |name: &str| self.teller.state(name) == StateName::Master;
        self.active.table(whole, is_master, |address| active::is_here(&links, address))
    }

    /// Timeouts and sync daemons, by the states of the instances.
    pub(super) fn program_settings(&mut self) {
        let settings = role::ipvs_settings(&self.config, |name| self.teller.state(name));
        if self.wish.settings(settings) {
            self.program();
        }
    }

    /// Which addresses of `ha_suspend` are on this host.
    pub(super) fn tell_carried(&mut self) {
        let here = role::carried(&self.config, &self.net.links.borrow_and_update());
        self.check.carried.send_if_modified(|known| {
            let differs = **known != here;
            if differs {
                *known = Arc::new(here);
            }
            differs
        });
    }

    fn program(&mut self) {
        if let Some(desired) = self.wish.next() {
            self.ipvs.desired.send_replace(Arc::new(desired));
        }
    }

    pub(super) fn take_ipvs(&mut self) {
        // Its errors are logged by the thread itself, once each.
        self.tell_ready();
        self.chronicle.ipvs(&self.ipvs.report.borrow());
        self.marking.follow(&self.config, &self.ipvs.report.borrow_and_update().table);
        self.upkeep.elsewhere.retry(&self.config);
        // Not before: settings of IPVS exist only once its module is loaded.
        if std::mem::take(&mut self.unseen) {
            self.judge_machine();
        }
    }

    /// Do the kernel's settings suit a director of these services?
    pub(super) fn judge_machine(&mut self) {
        self.upkeep.elsewhere.configure(&self.config);
        log_findings(&director::judge(&self.config, &director::look::look(&self.config)));
        if self.config.global_defs.director_sysctl == Some(true) {
            self.devices.again();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipvs::settings::Timeouts;
    use crate::ipvs::table::{Family, Service, VirtualService};

    const KEY: ServiceKey = ServiceKey::Fwmark { family: Family::V4, mark: 1 };

    fn table() -> Arc<Table> {
        let service = VirtualService { service: Service::plain("rr"), destinations: [].into() };
        Arc::new([(KEY, service)].into())
    }

    fn settings(udp: u32) -> Settings {
        Settings { timeouts: Timeouts { udp: Some(udp), ..Timeouts::default() }, daemons: None }
    }

    #[test]
    fn nothing_is_asked_for_before_there_is_a_table() {
        let mut wish = Wish::new(true, [KEY].into());
        assert!(wish.settings(settings(7)) && !wish.settings(settings(7)));
        assert!(!wish.changes(&table()));
        assert_eq!((wish.next(), wish.number()), (None, 0), "an empty table would take everything away");
        wish.table(table());
        let desired = wish.next().unwrap();
        assert_eq!((desired.number, desired.sweeps, desired.inherited.len()), (1, 1, 1));
        assert_eq!((&desired.table, desired.settings), (&table(), settings(7)));
        assert!(!wish.changes(&table()) && wish.changes(&Table::new()));
        assert!(wish.settings(settings(8)));
        assert_eq!(wish.next().map(|desired| (desired.number, desired.sweeps)), Some((2, 1)));
    }

    #[test]
    fn the_end_leaves_nothing_of_ours_however_early_it_comes() {
        for (begun, sweeps) in [(false, 1), (true, 2)] {
            let mut wish = Wish::new(true, [KEY].into());
            wish.settings(settings(7));
            if begun {
                wish.table(table());
                wish.next();
            }
            let last = wish.last(true);
            assert_eq!((last.number, last.sweeps, last.inherited.len()), (1 + u64::from(begun), sweeps, 1));
            assert!(last.table.is_empty() && last.settings.is_empty());
        }
    }
}
