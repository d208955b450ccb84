//! Overrides put into a configuration: afterwards it is what a file would be that says the same in its blocks, so that
//! all that follows (checks, table, reload) needs to know nothing of them.

use std::net::{IpAddr, SocketAddr};

use super::model::{Config, Connection, Method, OverrideKind, RealServer, RealServerOverride, VirtualServer};

/// Why an override has no effect as things are. It is kept: what it is about may come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// The virtual server is not there.
    #[error("there is no virtual server {0}")]
    NoService(String),
    /// Its name means several.
    #[error("{name} may be {}", .candidates.join(" or "))]
    Ambiguous {
        /// The name.
        name: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
    /// The real server is not there.
    #[error("{service} has no real server {server}")]
    NoServer {
        /// The virtual server.
        service: String,
        /// The real server.
        server: SocketAddr,
    },
    /// What is to be added is there.
    #[error("{service} has a real server {server} already")]
    AlreadyThere {
        /// The virtual server.
        service: String,
        /// The real server.
        server: SocketAddr,
    },
    /// The model of what is to be added is not there.
    #[error("{service} has no real server {like} that {server} could be like")]
    NoModel {
        /// The virtual server.
        service: String,
        /// The real server to add.
        server: SocketAddr,
        /// Its model.
        like: SocketAddr,
    },
    /// The model is checked by a session of its own.
    #[error(
        "real server {like} has a BFD_CHECK, which is about that server alone: {server} cannot be like it"
    )]
    OwnSession {
        /// The real server to add.
        server: SocketAddr,
        /// Its model.
        like: SocketAddr,
    },
    /// It is of the other address family.
    #[error("real server {server} is of another address family than {service}")]
    OtherFamily {
        /// The virtual server.
        service: String,
        /// The real server.
        server: SocketAddr,
    },
    /// DR and TUN map no ports.
    #[error("with DR and TUN the port is that of {service}: {server} cannot have another")]
    OtherPort {
        /// The virtual server.
        service: String,
        /// The real server.
        server: SocketAddr,
    },
    /// A port 0 would be that of the service.
    #[error("{server} names no port, and {service} has one")]
    NoPort {
        /// The virtual server.
        service: String,
        /// The real server.
        server: SocketAddr,
    },
    /// Without it nothing would be left.
    #[error("{server} is the only real server of {service}: without it the whole virtual server would go")]
    OnlyOne {
        /// The virtual server.
        service: String,
        /// The real server.
        server: SocketAddr,
    },
}

impl NoTarget {
    /// What can be done about it.
    pub const fn cure(&self) -> &'static str {
        match self {
            Self::NoService(_) => "name a virtual server as `tandem servers` shows it",
            Self::Ambiguous { .. } => "name one of them in full",
            Self::NoServer { .. } => "name a real server as `tandem servers` shows it, or add it",
            Self::AlreadyThere { .. } => "change that one: weight, drain, disable, enable",
            Self::NoModel { .. } => "name a real server of the same virtual server by like",
            Self::OwnSession { .. } => "name another real server by like, or write it into the file",
            Self::OtherFamily { .. } => "name an address of the same family",
            Self::OtherPort { .. } => "name the port of the virtual server, 0 with a mark",
            Self::NoPort { .. } => "write ADDRESS:PORT",
            Self::OnlyOne { .. } => "drain or disable it, or remove the virtual server from the file",
        }
    }
}

/// Applies overrides in their order. Those without effect are returned with their numbers.
pub fn apply(config: &mut Config, overrides: &[RealServerOverride]) -> Vec<(usize, NoTarget)> {
    let mut without = Vec::new();
    for (n, one) in overrides.iter().enumerate() {
        if let Err(why) = apply_one(config, one) {
            without.push((n, why));
        }
    }
    without
}

/// Applies one; an error leaves the configuration as it was.
///
/// # Errors
/// Why it has no effect.
pub fn apply_one(config: &mut Config, one: &RealServerOverride) -> Result<(), NoTarget> {
    let name = one.service.to_string();
    let at = match one.service.find(config).as_slice() {
        [] => return Err(NoTarget::NoService(name)),
        [only] => *only,
        several => {
            let own = |n: &usize| {
                let server = config.virtual_server.get(*n)?;
                super::model::ServiceName::of(server, &config.virtual_server_group)
            };
            let candidates = several.iter().filter_map(own).map(|own| own.to_string()).collect();
            return Err(NoTarget::Ambiguous { name, candidates });
        }
    };
    let Some(service) = config.virtual_server.get_mut(at) else { return Err(NoTarget::NoService(name)) };
    let server = one.server;
    let found = service.find(server);
    match (one.kind, found) {
        // What was to be added may have come by itself since: it is there, and what was said of it holds.
        (OverrideKind::Change | OverrideKind::Add { .. }, Some(at)) => {
            let Some(real) = service.real_server.get_mut(at) else { return Ok(()) };
            set(real, one);
        }
        (OverrideKind::Delete, Some(at)) => {
            if service.real_server.len() < 2 {
                return Err(NoTarget::OnlyOne { service: name, server });
            }
            service.real_server.remove(at);
        }
        (OverrideKind::Add { like }, None) => {
            let mut real = copy(service, server, like, &name)?;
            set(&mut real, one);
            service.real_server.push(real);
        }
        (OverrideKind::Change | OverrideKind::Delete, None) => {
            return Err(NoTarget::NoServer { service: name, server });
        }
    }
    Ok(())
}

fn set(real: &mut RealServer, one: &RealServerOverride) {
    real.weight = one.weight.or(real.weight);
    real.admin_state = one.state.or(real.admin_state);
}

/// A new real server with the settings and checkers of another one, those turned to the new address and port.
fn copy(
    service: &VirtualServer,
    server: SocketAddr,
    like: Option<SocketAddr>,
    name: &str,
) -> Result<RealServer, NoTarget> {
    let name = || name.to_owned();
    let model = match like {
        Some(like) => {
            let found = service.find(like).and_then(|at| service.real_server.get(at));
            found.ok_or_else(|| NoTarget::NoModel { service: name(), server, like })?
        }
        None => service
            .real_server
            .iter()
            .find(|real| !real.sorry)
            .or_else(|| service.real_server.first())
            .ok_or_else(|| NoTarget::NoService(name()))?,
    };
    let from = service.at(model);
    if !model.bfd_check.is_empty() {
        return Err(NoTarget::OwnSession { server, like: from });
    }
    let method = service.method(model);
    let family = service.is_ipv6().unwrap_or(model.address.is_ipv6());
    if method != Method::Tun && family != server.is_ipv6() {
        return Err(NoTarget::OtherFamily { service: name(), server });
    }
    if method != Method::Nat {
        let port = service.port.filter(|_| service.address.is_some()).unwrap_or(0);
        if service.has_one_port() && server.port() != port {
            return Err(NoTarget::OtherPort { service: name(), server });
        }
        if service.real_server.iter().any(|real| real.address == server.ip()) {
            return Err(NoTarget::AlreadyThere { service: name(), server });
        }
    }
    if method == Method::Nat && server.port() == 0 && service.address.is_some() && from.port() != 0 {
        return Err(NoTarget::NoPort { service: name(), server });
    }
    let mut real = model.clone();
    real.origin = super::model::Origin::default();
    real.address = server.ip();
    real.port = Some(server.port());
    real.admin_state = None;
    turn(&mut real, from, server);
    Ok(real)
}

/// Checks that name the model's own address or port ask the new one.
fn turn(real: &mut RealServer, from: SocketAddr, to: SocketAddr) {
    let connection = |connection: &mut Connection| {
        turn_address(&mut connection.connect_ip, from, to);
        if connection.connect_port == Some(from.port()) {
            connection.connect_port = Some(to.port());
        }
    };
    let real = real.settings_mut();
    real.tcp_check.iter_mut().for_each(|check| connection(&mut check.connection));
    real.http_get.iter_mut().chain(&mut real.ssl_get).for_each(|check| connection(&mut check.connection));
    for check in &mut real.smtp_check {
        connection(&mut check.connection);
        check.host.iter_mut().for_each(|host| connection(&mut host.connection));
    }
    real.dns_check.iter_mut().for_each(|check| connection(&mut check.connection));
    real.udp_check.iter_mut().for_each(|check| connection(&mut check.connection));
    real.ping_check.iter_mut().for_each(|check| connection(&mut check.connection));
    for check in &mut real.misc_check {
        for word in check.misc_path.argv.iter_mut().filter(|word| word.parse() == Ok(from.ip())) {
            *word = to.ip().to_string();
        }
    }
}

fn turn_address(address: &mut Option<IpAddr>, from: SocketAddr, to: SocketAddr) {
    if *address == Some(from.ip()) {
        *address = Some(to.ip());
    }
}

#[cfg(test)]
#[path = "overrides_tests.rs"]
mod tests;
