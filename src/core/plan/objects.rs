//! Two files, object by object: what a reload's line in the log says, as entries.

use super::{Action, Entry, Kind, When};
use crate::config::model::Config;
use crate::core::reload::{Changed, Difference};
use crate::vrrp::params::{Host, Settings};

/// What the names of instances begin with.
const INSTANCE: &str = "vrrp_instance ";

/// What comes, changes and goes from one file to the other.
pub(super) fn entries(before: &Config, file: &Config) -> Vec<Entry> {
    let difference = Difference::between(before, file);
    let entry = |action, subject: &str, cause: &str| Entry {
        kind: Kind::Object,
        action,
        when: When::Now,
        subject: subject.to_owned(),
        of: None,
        detail: String::new(),
        settings: Vec::new(),
        cause: cause.to_owned(),
    };
    let changed = |changed: &Changed| {
        let cause = if becomes_another(before, file, &changed.object) {
            "another interface, VRID or version is another router: the old one steps down, the new one begins as \
             BACKUP"
        } else if changed.object.starts_with(INSTANCE) {
            "its settings differ; its role is kept"
        } else {
            "its settings differ"
        };
        Entry { settings: changed.settings.clone(), ..entry(Action::Change, &changed.object, cause) }
    };
    let mut entries: Vec<Entry> = difference.global.iter().map(changed).collect();
    entries.extend(difference.added.iter().map(|name| entry(Action::Add, name, "only the new file has it")));
    entries.extend(difference.changed.iter().map(changed));
    entries.extend(
        difference.removed.iter().map(|name| entry(Action::Remove, name, "only the old file has it")),
    );
    entries
}

fn becomes_another(before: &Config, file: &Config, object: &str) -> bool {
    let Some(name) = object.strip_prefix(INSTANCE) else { return false };
    let of = |config: &Config| {
        let instance = config.vrrp_instance.iter().find(|instance| instance.name == name)?;
        Some(Settings::of(instance, config, &Host::default()))
    };
    of(before).zip(of(file)).is_some_and(|(old, new)| !old.same_router(&new))
}
