//! What the rooms say of themselves, brought into the forms of keepalived's dump files ([`crate::observe`]). Pure.

mod instances;
mod places;
mod services;
mod settings;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::Arc;

use crate::bfd;
use crate::bfd::report::SessionStates;
use crate::config::model::{BfdInstance, Command, Config};
use crate::net::link::Links;
use crate::observe::bfd::Session;
use crate::observe::data::{Group, Topology};
use crate::vrrp::params::TrackerValues;
use crate::vrrp::status::{GroupStatus, Status};

pub use places::Places;
pub use services::services;
pub use settings::settings;

/// What the worker has at hand when somebody asks; all of it shared.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The interfaces.
    pub links: Arc<Links>,
    /// What trackers say.
    pub values: Arc<TrackerValues>,
    /// How BFD sessions stand.
    pub sessions: Arc<SessionStates>,
}

/// What `keepalived.data`, the statistics and the JSON dump show.
pub fn topology(seen: &Seen, status: &Status) -> Topology {
    let config = &*seen.config;
    let by_name = instances::by_name(config);
    let instances = status
        .instances
        .iter()
        // A reload may lie between the two.
        .filter_map(|one| Some(instances::of(by_name.get(one.settings.name.as_str())?, one, status, seen)))
        .collect();
    Topology {
        settings: settings(config),
        instances,
        groups: status.groups.iter().map(|one| group(one, config, status)).collect(),
        scripts: watched::scripts(config, &seen.values),
        files: watched::files(config, &seen.values),
        processes: watched::processes(config, &seen.values),
        sessions: watched::sessions(config, &seen.sessions),
        interfaces: watched::interfaces(config, &seen.links),
    }
}

fn group(one: &GroupStatus, config: &Config, status: &Status) -> Group {
    use crate::vrrp::machine::StateName;
    let members = status.instances.iter().filter(|instance| one.members.contains(&instance.settings.name));
    let count = |state| members.clone().filter(|member| member.state == state).count();
    let block = config.vrrp_sync_group.iter().find(|block| block.name == one.name);
    let notify = block.into_iter().flat_map(|block| {
        [
            ("Backup state transition", &block.notify_backup),
            ("Master state transition", &block.notify_master),
            ("Fault state transition", &block.notify_fault),
            ("Stop state transition", &block.notify_stop),
            ("Generic state transition", &block.notify),
        ]
    });
    Group {
        name: one.name.clone(),
        state: instances::state(one.state),
        faults: (count(StateName::Fault), count(StateName::Init)),
        members: one.members.clone(),
        smtp_alert: block.is_some_and(|block| mails(block.smtp_alert, config)),
        notify: notify.filter_map(|(label, command)| Some((label, quoted(command.as_ref()?)))).collect(),
    }
}

/// Whether mail is sent of an instance or a group.
fn mails(own: Option<bool>, config: &Config) -> bool {
    let global = &config.global_defs;
    own.or(global.smtp_alert_vrrp).or(global.smtp_alert).unwrap_or(false)
}

/// A command as keepalived shows it: each word in quotes.
fn quoted(command: &Command) -> String {
    command.argv.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// What `keepalived_bfd.data` shows.
pub fn sessions(seen: &Seen) -> Vec<Session> {
    let of = |block: &BfdInstance| {
        let settings = bfd::params::Settings::of(block);
        let state = seen.sessions.get(&block.name);
        Session {
            name: block.name.clone(),
            neighbor: block.neighbor_ip,
            source: block.source_ip,
            intervals: [
                settings.params.min_rx.as_micros(),
                settings.params.min_tx.as_micros(),
                settings.params.idle_tx.as_micros(),
            ],
            multiplier: settings.params.multiplier,
            ttl: settings.ttl,
            max_hops: block.max_hops.unwrap_or(0),
            passive: block.passive,
            tells: (block.vrrp || !block.checker, block.checker || !block.vrrp),
            state: match state.map(|at| at.state) {
                Some(bfd::packet::State::AdminDown) => "AdminDown",
                Some(bfd::packet::State::Init) => "Init",
                Some(bfd::packet::State::Up) => "Up",
                Some(bfd::packet::State::Down) | None => "Down",
            },
            cause: state.map_or_else(|| "not started".to_owned(), |at| at.cause.to_string()),
        }
    };
    seen.config.bfd_instance.iter().map(of).collect()
}
