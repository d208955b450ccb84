//! The configuration in its layers: what the blocks of the file say, the file's `real_server_override` lines over that,
//! the overrides of commands over both. Each may change while the others stay.

use std::net::SocketAddr;
use std::sync::Arc;

use super::include::Planned;
use super::options::Options;
use super::overrides::{Decided, in_use, is_of};
use super::servers::Picture;
use crate::check::status::Status;
use crate::config::model::{Config, OverrideKind, RealServerOverride, ServiceName};
use crate::config::overrides::{NoTarget, apply};
use crate::config::rereader::Rereader;
use crate::config::resolve::Facts;
use crate::config::{self, Loaded};
use crate::control::Failure;

/// The layers.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// What the blocks say; `None`: the file has no overrides of its own, and the next layer is this one. A large
    /// configuration is held once.
    bare: Option<Arc<Config>>,
    /// With the file's own overrides.
    base: Arc<Config>,
    /// Those of commands.
    overrides: Vec<RealServerOverride>,
    /// Which version of them this is.
    number: u64,
}

/// Reads the file, and where it has overrides the same without them; what the command line says goes over both.
pub(super) fn load(options: &Options, rereader: &mut Rereader) -> (Loaded, Option<Config>) {
    let path = &options.config;
    let mut facts = Facts { strict_includes: options.strict_includes, ..Facts::of_this_machine() };
    if options.config_id.is_some() {
        facts.config_id.clone_from(&options.config_id);
    }
    let mut loaded = rereader.load(path, &facts);
    let has_some = !loaded.config.real_server_override.is_empty();
    let mut bare = has_some.then(|| config::load(path, &Facts { without_overrides: true, ..facts }).config);
    for config in std::iter::once(&mut loaded.config).chain(&mut bare) {
        options.parts.strip(config);
        config.global_defs.umask = options.umask.or(config.global_defs.umask);
    }
    (loaded, bare)
}

impl Overlay {
    /// The layers of a file. `base`: the file with its own overrides, `bare`: without them (`None`: it has none).
    pub fn new(base: Config, bare: Option<Config>, overrides: Vec<RealServerOverride>) -> Self {
        Self { bare: bare.map(Arc::new), base: Arc::new(base), overrides, number: 0 }
    }

    /// The configuration without overrides of commands.
    pub const fn base(&self) -> &Arc<Config> {
        &self.base
    }

    /// The same without overrides of its own file, where it has some.
    pub const fn bare(&self) -> Option<&Arc<Config>> {
        self.bare.as_ref()
    }

    /// The overrides of commands.
    pub fn overrides(&self) -> &[RealServerOverride] {
        &self.overrides
    }

    /// Puts the overrides of commands over a configuration. Those without effect come back, with why.
    pub fn over(&self, config: &mut Config) -> Vec<(RealServerOverride, NoTarget)> {
        let without = apply(config, &self.overrides);
        without.into_iter().filter_map(|(n, why)| Some((self.overrides.get(n)?.clone(), why))).collect()
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        if self.overrides.is_empty() {
            return Arc::clone(&self.base);
        }
        let mut config = (*self.base).clone();
        self.over(&mut config);
        Arc::new(config)
    }

    /// After a reload.
    pub fn reloaded(&mut self, base: Arc<Config>, bare: Option<Config>) {
        (self.base, self.bare) = (base, bare.map(Arc::new));
    }

    /// After a command.
    pub fn decided(&mut self, decided: &Decided) {
        self.overrides.clone_from(&decided.overrides);
        self.number += 1;
    }

    /// The layers after a command whose effect stands in a file that the configuration includes: that layer changes, as
    /// a reload would find it, and the one above it has nothing more to say, unless somebody said it after that command
    /// (`newer`).
    ///
    /// # Errors
    /// 409 where an override of another command would have nothing more to be about.
    pub fn persisted(
        &self,
        (service, server): (&ServiceName, SocketAddr),
        planned: &Planned,
        newer: bool,
    ) -> Result<Self, Failure> {
        let mut next = self.clone();
        // What the file adds, nobody need add any more.
        let adds = |one: &RealServerOverride| matches!(one.kind, OverrideKind::Add { .. });
        let added = planned.after.as_ref().is_some_and(adds);
        for one in next.overrides.iter_mut().filter(|one| added && adds(one) && is_of(one, service, server)) {
            one.kind = OverrideKind::Change;
        }
        next.overrides.retain(|one| !is_of(one, service, server) || newer && !one.is_empty());
        next.number += 1;
        let mut lines = self.base.real_server_override.clone();
        let known = planned.before.as_ref().and_then(|old| {
            // Edited by hand and not read again yet, it is the same line all the same.
            let same = lines.iter().position(|one| one == old);
            same.or_else(|| lines.iter().rposition(|one| is_of(one, &old.service, old.server)))
        });
        match (known, &planned.after) {
            // What was added like it has been added before.
            (Some(at), Some(new)) if new.kind == OverrideKind::Delete => {
                lines.remove(at);
                lines.push(new.clone());
            }
            (Some(at), Some(new)) => {
                if let Some(line) = lines.get_mut(at) {
                    *line = new.clone();
                }
            }
            (Some(at), None) => {
                lines.remove(at);
            }
            // A reload has read it already.
            (None, Some(new)) if lines.contains(new) => {}
            (None, Some(new)) => lines.push(new.clone()),
            (None, None) => {}
        }
        let bare = next.bare.get_or_insert_with(|| Arc::clone(&self.base));
        let mut base = (**bare).clone();
        apply(&mut base, &lines);
        base.real_server_override = lines;
        next.base = Arc::new(base);
        if !next.overrides.is_empty() {
            let before = self.over(&mut (*self.base).clone());
            for (one, why) in next.over(&mut (*next.base).clone()) {
                if !before.iter().any(|(idle, _)| *idle == one) {
                    let mut failure = in_use(&one, &why);
                    "make that one lasting first (enable --persist), or take it back"
                        .clone_into(&mut failure.cure);
                    return Err(failure);
                }
            }
        }
        Ok(next)
    }

    /// They are to be kept elsewhere: as after a change.
    pub const fn moved(&mut self) {
        self.number += 1;
    }

    /// The number of these overrides: greater with each change.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// All of it for whoever asks.
    pub fn picture(&self, config: &Arc<Config>, status: Arc<Status>, now: std::time::Instant) -> Picture {
        Picture {
            base: Arc::clone(&self.base),
            config: Arc::clone(config),
            overrides: self.overrides.clone(),
            status,
            now,
        }
    }
}

#[cfg(test)]
mod tests;
