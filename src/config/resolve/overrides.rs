//! `real_server_override`: put into the blocks that it is about, before these are looked at.

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::Config;
use crate::config::overrides::apply;

impl Resolver<'_> {
    pub(super) fn overrides(&mut self, config: &mut Config) {
        if self.facts.without_overrides {
            return;
        }
        let overrides = std::mem::take(&mut config.real_server_override);
        let origin = config.origin.clone();
        for (n, why) in apply(config, &overrides) {
            let problem = format!("real_server_override: {why}");
            let consequence = "it has no effect";
            self.find(
                Level::Warning,
                &origin,
                "real_server_override",
                "override-without-target",
                problem,
                consequence,
                why.cure(),
            );
            self.at(origin.element("real_server_override", n));
        }
        for (n, _) in overrides.iter().enumerate().filter(|(_, one)| one.until.is_some()) {
            self.find(
                Level::Warning,
                &origin,
                "real_server_override",
                "override-until",
                "real_server_override: until is for what commands say".to_owned(),
                "what the line says stays until somebody takes it out",
                "take until out of the line; tandem drain --for ends by itself",
            );
            self.at(origin.element("real_server_override", n));
        }
        config.real_server_override = overrides;
    }
}
