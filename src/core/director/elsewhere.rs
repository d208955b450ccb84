//! `director_sysctl` where IPVS is in another network namespace (`net_namespace_ipvs`): packets are forwarded there, so its
//! settings are the ones that count. Those of VRRP's namespace are the device writer's.

use crate::config::model::Config;
use crate::net::space::Space;
use crate::net::sysctl::Memory;
use crate::net::sysctl_writer;

use super::look::addresses;
use super::wishes;

/// What was set there.
#[derive(Debug, Default)]
pub struct Elsewhere {
    /// What is put back.
    memory: Memory,
    /// Told once.
    told: Vec<String>,
}

impl Elsewhere {
    /// Sets what the services of a configuration need, and puts back what they no longer need; nothing where IPVS is here.
    pub fn configure(&mut self, config: &Config) {
        self.apply(config, true);
    }

    /// The namespace may be there by now: tries again what could not be done.
    pub fn retry(&mut self, config: &Config) {
        if !self.told.is_empty() {
            self.configure(config);
        }
    }

    /// Puts everything back.
    pub fn end(&mut self, config: &Config) {
        self.apply(config, false);
    }

    fn apply(&mut self, config: &Config, wanted: bool) {
        let Some(space) = Space::of_ipvs(config.net_namespace_ipvs.as_deref()) else { return };
        let wanted = wanted && config.global_defs.director_sysctl == Some(true);
        if !wanted && self.memory == Memory::default() {
            return;
        }
        let memory = &self.memory;
        let done = space.within(|| {
            let wishes = if wanted { wishes(config, &addresses()) } else { Default::default() };
            sysctl_writer::apply(&wishes, memory)
        });
        let mut problems = Vec::new();
        match done {
            Ok(outcome) => {
                self.memory = outcome.memory;
                problems.extend(outcome.errors.into_iter().chain(outcome.warning));
            }
            Err(error) => problems.push(error.to_string()),
        }
        for problem in problems.iter().filter(|problem| !self.told.contains(problem)) {
            tracing::error!("director_sysctl: {problem}");
        }
        self.told = problems;
    }
}
