//! The configuration in its layers: what the blocks of the file say, the file's `real_server_override` lines over that,
//! the overrides of commands over both. Each may change while the others stay.

use std::path::Path;
use std::sync::Arc;

use super::include::Planned;
use super::overrides::{Decided, in_use, is_of};
use super::servers::Picture;
use crate::check::status::Status;
use crate::config::model::{Config, OverrideKind, RealServerOverride};
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

/// Reads a file, and where it has overrides the same without them.
pub(super) fn load(path: &Path, rereader: &mut Rereader) -> (Loaded, Option<Config>) {
    let facts = Facts::of_this_machine();
    let loaded = rereader.load(path, &facts);
    let has_some = !loaded.config.real_server_override.is_empty();
    let bare = has_some.then(|| config::load(path, &Facts { without_overrides: true, ..facts }).config);
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
    /// a reload would find it, and the one above it has nothing more to say.
    ///
    /// # Errors
    /// 409 where an override of another command would have nothing more to be about.
    pub fn persisted(&self, decided: &Decided, planned: &Planned) -> Result<Self, Failure> {
        let mut next = self.clone();
        next.overrides.retain(|one| !is_of(one, &decided.service, decided.server));
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
