//! What the checks of the process before this one had found, so that a restart neither puts a dead server back nor waits
//! for a living one. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::status::Status;

/// The verdicts at one moment, by the names of virtual servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recalled(BTreeMap<String, Service>);

/// One virtual server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The quorum was reached.
    pub quorum_up: bool,
    /// Its real servers, as the file names them: up or not.
    pub reals: BTreeMap<String, bool>,
}

impl Recalled {
    /// The verdicts of a status. Of a virtual server without checks there is nothing to remember.
    pub fn of(status: &Status) -> Self {
        let services = status
            .services
            .iter()
            .filter(|service| service.reals.iter().any(|real| !real.checkers.is_empty()));
        Self(
            services
                .map(|service| {
                    let reals = service.reals.iter().map(|real| (real.name.clone(), real.up)).collect();
                    (service.name.to_string(), Service { quorum_up: service.quorum_up, reals })
                })
                .collect(),
        )
    }

    /// What is known of a virtual server.
    pub(super) fn service(&self, name: &Identity) -> Option<&Service> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&name.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_plain() {
        let text = r#"{"TCP 10.0.0.1:80":{"quorum_up":true,"reals":{"10.1.0.1:80":false}}}"#;
        let recalled: Recalled = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&recalled).unwrap(), text);
    }
}
