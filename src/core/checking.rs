//! Which real servers a person means who wants them checked now. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::hurry::Which;
use crate::config::model::{Config, ServiceName};
use crate::control::Failure;
use crate::control::routes::{CheckNow, ServerName};
use crate::control::view::VirtualServerView;

/// The real servers, by the names of their virtual servers. One that several virtual servers have is meant in each.
///
/// # Errors
/// 404 for what is not there.
pub fn which(config: &Config, wanted: &CheckNow) -> Result<Which, Failure> {
    let services = wanted.service.as_ref().map(|name| (name, name.find(config)));
    if let Some((name, found)) = &services
        && found.is_empty()
    {
        let problem = format!("there is no virtual server {name}");
        return Err(Failure::new(404, "no-virtual-server", problem, "name one as tandem servers shows it"));
    }
    let mut which = Which::new();
    for (n, server) in config.virtual_server.iter().enumerate() {
        if services.as_ref().is_some_and(|(_, found)| !found.contains(&n)) {
            continue;
        }
        let Some(name) = ServiceName::of(server, &config.virtual_server_group) else { continue };
        let meant = match wanted.server {
            None => None,
            Some(wanted) => {
                let all = server.real_server.iter().map(|real| server.at(real));
                let meant = all.filter(|at| match wanted {
                    ServerName::At(wanted) => wanted == *at,
                    ServerName::Address(wanted) => wanted == at.ip(),
                });
                Some(meant.collect()).filter(|meant: &BTreeSet<_>| !meant.is_empty())
            }
        };
        if wanted.server.is_none() || meant.is_some() {
            which.insert(name.to_string(), meant);
        }
    }
    match wanted.server {
        Some(server) if which.is_empty() => {
            let problem = match &wanted.service {
                Some(name) => format!("{name} has no real server {server}"),
                None => format!("no virtual server has a real server {server}"),
            };
            Err(Failure::new(404, "no-real-server", problem, "name one as tandem servers shows it"))
        }
        _ => Ok(which),
    }
}

/// What was asked for alone.
pub fn only(servers: Vec<VirtualServerView>, which: &Which) -> Vec<VirtualServerView> {
    let mut by_name: BTreeMap<&str, _> = which.iter().map(|(name, meant)| (name.as_str(), meant)).collect();
    let keep = |mut server: VirtualServerView| {
        if let Some(meant) = by_name.remove(server.name.as_str())? {
            let names: Vec<String> = meant.iter().map(ToString::to_string).collect();
            server.real_servers.retain(|real| names.contains(&real.name));
            server.draining.clear();
        }
        Some(server)
    };
    servers.into_iter().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, resolve::Facts};

    #[test]
    fn a_real_server_is_meant_wherever_it_is() {
        let text = "virtual_server 10.0.0.1 80 {
 protocol TCP
 real_server 10.1.0.1 80 { }
 real_server 10.1.0.2 81 { }
}
virtual_server fwmark 5 {
 real_server 10.1.0.1 80 { }
}
";
        let config = config::load_text("x.conf".as_ref(), text.as_bytes(), &Facts::default()).config;
        let shown = |service: Option<&str>, server: Option<&str>| {
            let service = service.map(|name| name.parse().unwrap());
            let wanted = CheckNow { service, server: server.map(|name| name.parse().unwrap()) };
            which(&config, &wanted).map_err(|failure| failure.problem).map(|which| {
                let word = |(name, meant): (String, Option<BTreeSet<std::net::SocketAddr>>)| {
                    format!("{name}: {}", meant.map_or(0, |meant| meant.len()))
                };
                which.into_iter().map(word).collect::<Vec<_>>().join(", ")
            })
        };
        assert_eq!(shown(None, None).unwrap(), "FWM 5: 0, TCP 10.0.0.1:80: 0");
        assert_eq!(shown(None, Some("10.1.0.1")).unwrap(), "FWM 5: 1, TCP 10.0.0.1:80: 1");
        assert_eq!(shown(Some("10.0.0.1:80"), Some("10.1.0.2:81")).unwrap(), "TCP 10.0.0.1:80: 1");
        assert_eq!(shown(Some("FWM 7"), None).unwrap_err(), "there is no virtual server FWM 7");
        assert_eq!(
            shown(None, Some("10.9.9.9")).unwrap_err(),
            "no virtual server has a real server 10.9.9.9"
        );
        let error = shown(Some("FWM 5"), Some("10.1.0.2")).unwrap_err();
        assert_eq!(error, "FWM 5 has no real server 10.1.0.2");
    }
}
