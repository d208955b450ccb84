//! The marks of `nftables_ipvs`: those of the services that are in the kernel, kept by the writer of the packet filter.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::check::marks;
use crate::config::model::Config;
use crate::ipvs::table::{ServiceKey, Table};
use crate::net::firewall::{Content, Ruleset};

/// What the writer is asked for.
pub(super) struct Marking {
    wanted: Option<watch::Sender<Arc<Ruleset>>>,
    /// Services that the configuration marks packets for.
    services: BTreeSet<ServiceKey>,
    /// Those of them that were in the kernel when it was asked last; `None` = the configuration is another one since.
    present: Option<BTreeSet<ServiceKey>>,
    generation: u64,
}

impl Marking {
    /// Asks for nothing yet.
    pub(super) fn new(wanted: watch::Sender<Arc<Ruleset>>) -> Self {
        Self { wanted: Some(wanted), services: BTreeSet::new(), present: None, generation: 0 }
    }

    /// Another configuration.
    pub(super) fn configure(&mut self, config: &Config) {
        self.services = marks::services(config);
        self.present = None;
    }

    /// The kernel's services are these now.
    pub(super) fn follow(&mut self, config: &Config, table: &Table) {
        let Some(wanted) = self.wanted.as_ref().filter(|_| !self.services.is_empty() || self.generation > 0)
        else {
            return;
        };
        let present: BTreeSet<ServiceKey> =
            self.services.iter().filter(|key| table.contains_key(key)).copied().collect();
        if self.present.as_ref() == Some(&present) {
            return;
        }
        self.generation += 1;
        wanted.send_replace(Arc::new(marks::ruleset(config, &present, self.generation)));
        self.present = Some(present);
    }

    /// No marks any more: before their services go.
    pub(super) fn end(&mut self) {
        if let Some(wanted) = self.wanted.take().filter(|_| self.generation > 0) {
            let (content, generation) = (Content::Marks, self.generation + 1);
            wanted.send_replace(Arc::new(Ruleset { content, generation, ..Ruleset::default() }));
        }
    }
}
