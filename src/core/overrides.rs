//! Changes of real servers while the daemon runs: what a command makes of the overrides in force. Pure; what they make of
//! the configuration is [`crate::config::overrides`]'.

use std::net::SocketAddr;

use crate::config::model::{
    AdminState, Config, OverrideKind, RealServerOverride, ServiceName, Shared, VirtualServer,
};
use crate::config::overrides::{NoTarget, apply};
use crate::control::Failure;
use crate::control::routes::{Change, Order, ServerName};

/// Most that a refusal lists.
const LISTED: usize = 20;
/// Most overrides: each is looked up anew at every change.
const MOST: usize = 4096;

/// What a change comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// The virtual server, by its whole name.
    pub service: ServiceName,
    /// The real server.
    pub server: SocketAddr,
    /// The overrides from now on.
    pub overrides: Vec<RealServerOverride>,
    /// The configuration with them.
    pub config: Config,
    /// What is different, in words: `weight 4 -> 9`.
    pub words: String,
}

/// Who says it, and when.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// `root(uid=0,pid=4711)`.
    pub by: String,
    /// UTC: `2026-11-21T18:00:00Z`.
    pub at: String,
    /// When it ends by itself, likewise.
    pub until: Option<String>,
}

/// True for the override of that real server.
pub fn is_of(one: &RealServerOverride, service: &ServiceName, server: SocketAddr) -> bool {
    one.server == server && one.service == *service
}

/// What a change makes of the overrides. `base`: the configuration without them.
///
/// # Errors
/// 404 for what is not there, 409 for what cannot be done; nothing has changed then.
pub fn decide(
    base: &Config,
    current: &[RealServerOverride],
    change: &Change,
    said: &Said,
) -> Result<Decided, Failure> {
    decide_over(base, current, current, change, said)
}

/// Likewise, where `current` is no more what was `read`: what had an effect by that must not lose it.
///
/// # Errors
/// As [`decide`]'s.
pub fn decide_over(
    base: &Config,
    read: &[RealServerOverride],
    current: &[RealServerOverride],
    change: &Change,
    said: &Said,
) -> Result<Decided, Failure> {
    let mut before = base.clone();
    let idle: Vec<&RealServerOverride> =
        apply(&mut before, read).into_iter().filter_map(|(n, _)| read.get(n)).collect();
    if read != current {
        before.clone_from(base);
        // What is idle now is looked at below, against what was.
        apply(&mut before, current);
    }
    let (service, server) = target(&[base, &before], current, change)?;
    let at = current.iter().rposition(|one| is_of(one, &service, server));
    let old = at.and_then(|at| current.get(at)).cloned();
    if old.is_none() && !change.persist && find(&before, &service, server).is_none() {
        needs_persist(base, &service, server, change)?;
    }
    let entry = next(&service, server, old, base, &before, (change, said.until.as_ref()))?;
    let mut overrides = current.to_vec();
    match (at, entry) {
        (Some(_), None) => overrides.retain(|one| !is_of(one, &service, server)),
        (at, Some(mut entry)) => {
            let word = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
            (entry.by, entry.at) = (word(&said.by), word(&said.at));
            match at.and_then(|at| overrides.get_mut(at)) {
                // What was added like one that goes now has been added before.
                Some(_) if entry.kind == OverrideKind::Delete => {
                    overrides.retain(|one| !is_of(one, &service, server));
                    overrides.push(entry);
                }
                Some(slot) => *slot = entry,
                None if current.len() >= MOST => {
                    let problem = format!("there are {MOST} overrides already, no more are kept");
                    let cure = "take some back by enable, or write them into the blocks of the file";
                    return Err(Failure::new(409, "too-many", problem, cure));
                }
                None => overrides.push(entry),
            }
        }
        (None, None) => {}
    }
    let mut config = base.clone();
    for (n, why) in apply(&mut config, &overrides) {
        let Some(one) = overrides.get(n) else { continue };
        if is_of(one, &service, server) {
            // One that has nothing to be about any more may be changed only by taking it back.
            return Err(without(&why));
        }
        if !idle.contains(&one) {
            return Err(in_use(one, &why));
        }
    }
    let words = words(&before, &config, &service, server);
    Ok(Decided { service, server, overrides, config, words })
}

/// What has become of a real server from one configuration to another, in words: `weight 4 -> 9`.
pub fn words(before: &Config, after: &Config, service: &ServiceName, server: SocketAddr) -> String {
    difference(shown(before, service, server), shown(after, service, server))
}

/// A refusal because another override would lose what it is about.
pub fn in_use(other: &RealServerOverride, why: &NoTarget) -> Failure {
    let NoTarget::NoModel { like, .. } = why else { return without(why) };
    let problem = format!("real server {} was added like {like}", other.server);
    Failure::new(409, "in-use", problem, "delete that one first, or disable this one")
}

/// What only a line of a file says is taken back there.
fn needs_persist(
    base: &Config,
    service: &ServiceName,
    server: SocketAddr,
    change: &Change,
) -> Result<(), Failure> {
    let Some(line) = lines(base, change).find(|one| is_of(one, service, server)) else { return Ok(()) };
    let problem = format!("a line of a file says \"{}\" of real server {server}", change_words(line));
    let cure = "give the command with --persist, or remove that line and reload";
    Err(Failure::new(409, "persisted", problem, cure))
}

/// The lines of the file that a change may take back.
fn lines<'a>(base: &'a Config, change: &Change) -> impl Iterator<Item = &'a RealServerOverride> {
    let (enable, delete) = (change.order == Order::Enable, change.order == Order::Delete);
    let fits = move |one: &&RealServerOverride| enable || delete && one.kind != OverrideKind::Delete;
    base.real_server_override.iter().filter(fits)
}

/// A refusal for an override that has nothing to be about.
fn without(why: &NoTarget) -> Failure {
    let (status, code) = match why {
        NoTarget::NoService(_) => (404, "no-virtual-server"),
        NoTarget::NoServer { .. } => (404, "no-real-server"),
        NoTarget::Ambiguous { .. } => (409, "ambiguous"),
        NoTarget::OnlyOne { .. } => (409, "only-one"),
        NoTarget::AlreadyThere { .. } => (409, "already-there"),
        _ => (409, "cannot-add"),
    };
    Failure::new(status, code, why.to_string(), why.cure())
}

/// The override of one real server after the change; `None`: none is left.
fn next(
    service: &ServiceName,
    server: SocketAddr,
    old: Option<RealServerOverride>,
    base: &Config,
    before: &Config,
    (change, until): (&Change, Option<&String>),
) -> Result<Option<RealServerOverride>, Failure> {
    let in_base = find(base, service, server);
    let there = find(before, service, server).is_some();
    let was = old.as_ref().map(|one| one.kind);
    let mut entry = old.unwrap_or_else(|| RealServerOverride::new(service.clone(), server));
    match (&change.order, was) {
        (Order::Weight(_) | Order::State(_), Some(OverrideKind::Delete)) => {
            let problem = format!("real server {server} of {service} is deleted by a command");
            return Err(Failure::new(409, "deleted", problem, "enable it first, which brings it back"));
        }
        (Order::Weight(weight), _) => entry.weight = Some(*weight),
        (Order::State(state), _) => (entry.state, entry.until) = (Some(*state), until.cloned()),
        (Order::Enable, Some(OverrideKind::Add { .. })) if in_base.is_none() => {
            if !there {
                // Its virtual server or its model has gone.
                return Ok(None);
            }
            entry.state = None;
        }
        (Order::Enable, _) => {
            entry.kind = OverrideKind::Change;
            entry.weight = None;
            // What the file itself takes out of service is put back by a word of its own.
            entry.state = in_base.filter(|state| *state != AdminState::Enabled).map(|_| AdminState::Enabled);
        }
        (Order::Add { .. }, _) if there => {
            return Err(without(&NoTarget::AlreadyThere { service: service.to_string(), server }));
        }
        (Order::Add { weight, .. }, Some(OverrideKind::Delete)) if in_base.is_some() => {
            entry.kind = OverrideKind::Change;
            entry.weight = *weight;
        }
        (Order::Add { weight, like }, _) => {
            let like = like.map(|like| model(before, service, like)).transpose()?;
            entry.kind = OverrideKind::Add { like };
            entry.weight = *weight;
            entry.state = None;
        }
        (Order::Delete, _) => {
            // One that the file has not, or no more, is simply forgotten.
            if in_base.is_none() {
                return Ok(None);
            }
            entry = RealServerOverride::new(service.clone(), server);
            entry.kind = OverrideKind::Delete;
        }
    }
    if !matches!(change.order, Order::Weight(_) | Order::State(_)) {
        entry.until = None;
    }
    Ok(Some(entry).filter(|entry| !entry.is_empty()))
}

/// When the first of them ends by itself.
pub fn next_end(overrides: &[RealServerOverride]) -> Option<&str> {
    // Texts of that form are in the order of their times.
    overrides.iter().filter_map(|one| one.until.as_deref()).min()
}

/// The first of them whose time is over, and what becomes of all then: what else was said of that real server stays. `now`: UTC, in
/// the form of `until`.
pub fn ended(
    base: &Config,
    current: &[RealServerOverride],
    now: &str,
) -> Option<(RealServerOverride, Decided)> {
    let at = current.iter().position(|one| one.until.as_deref().is_some_and(|end| end <= now))?;
    let over = current.get(at)?.clone();
    let mut overrides = current.to_vec();
    if let Some(one) = overrides.get_mut(at) {
        (one.state, one.until) = (None, None);
    }
    overrides.retain(|one| !one.is_empty());
    let (mut before, mut config) = (base.clone(), base.clone());
    apply(&mut before, current);
    apply(&mut config, &overrides);
    let (service, server) = (over.service.clone(), over.server);
    let words = words(&before, &config, &service, server);
    Some((over, Decided { service, server, overrides, config, words }))
}

/// What is wanted of a real server by a configuration; `None`: it is not there.
fn find(config: &Config, service: &ServiceName, server: SocketAddr) -> Option<AdminState> {
    let at = service.find(config).first().copied()?;
    let service = config.virtual_server.get(at)?;
    Some(service.real_server.get(service.find(server)?)?.admin_state.unwrap_or_default())
}

/// The real server that another one is to be like.
fn model(config: &Config, service: &ServiceName, like: ServerName) -> Result<SocketAddr, Failure> {
    let all = targets(config);
    let there: Vec<SocketAddr> =
        all.iter().filter(|(name, at)| name == service && means(like, *at)).map(|(_, at)| *at).collect();
    match (there.as_slice(), like) {
        ([only], _) => Ok(*only),
        // The check of the whole says what is wrong.
        ([], ServerName::At(at)) => Ok(at),
        _ => {
            let problem = format!("{service} has {} real servers {like}", there.len());
            let mut failure = Failure::new(409, "like", problem, "write like ADDRESS:PORT");
            failure.candidates = there.iter().take(LISTED).map(ToString::to_string).collect();
            Err(failure)
        }
    }
}

fn means(name: ServerName, at: SocketAddr) -> bool {
    match name {
        ServerName::At(wanted) => wanted == at,
        ServerName::Address(wanted) => wanted == at.ip(),
    }
}

/// Every real server of a configuration, with its virtual server.
fn targets(config: &Config) -> Vec<(ServiceName, SocketAddr)> {
    let mut all = Vec::new();
    for server in &config.virtual_server {
        let Some(name) = ServiceName::of(server, &config.virtual_server_group) else { continue };
        all.extend(server.real_server.iter().map(|real| (name.clone(), server.at(real))));
    }
    all
}

/// Which real server of which virtual server is meant.
fn target(
    configs: &[&Config],
    current: &[RealServerOverride],
    change: &Change,
) -> Result<(ServiceName, SocketAddr), Failure> {
    let base = configs.first();
    let takes_back = matches!(change.order, Order::Enable | Order::Delete);
    // Overrides of something that the file has no more.
    let idle: Vec<(ServiceName, SocketAddr)> = current
        .iter()
        .chain(base.iter().flat_map(|base| lines(base, change)))
        .filter(|_| takes_back)
        .map(|one| (one.service.clone(), one.server))
        .collect();
    let service = change.service.as_ref().map(|name| whole_name(configs, &idle, name)).transpose()?;
    if let (Order::Add { .. }, ServerName::At(at)) = (&change.order, change.server) {
        return Ok((service.map_or_else(|| the_only_one(configs), Ok)?, at));
    }
    let mut all: Vec<(ServiceName, SocketAddr)> = configs.iter().flat_map(|config| targets(config)).collect();
    let fits = |(name, at): &(ServiceName, SocketAddr)| {
        service.as_ref().is_none_or(|service| service == name) && means(change.server, *at)
    };
    if !all.iter().any(fits) {
        all.extend(idle);
    }
    let mut found: Vec<&(ServiceName, SocketAddr)> = all.iter().filter(|one| fits(one)).collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [only] => Ok((*only).clone()),
        [] if matches!(change.order, Order::Add { .. }) => {
            let problem = format!("{} has no port", change.server);
            Err(Failure::new(400, "real-server", problem, "write ADDRESS:PORT of the new real server"))
        }
        [] => {
            let of = service.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            let problem = format!("there is no real server {}{of}", change.server);
            let cure = "name one as `tandem servers` shows it, or add it";
            let mut failure = Failure::new(404, "no-real-server", problem, cure);
            failure.candidates = near(&all, service.as_ref(), change.server);
            Err(failure)
        }
        several => {
            let problem = format!("{} may be one of {} real servers", change.server, several.len());
            let cure = "name its port, and its virtual server (--service, or in the path)";
            let mut failure = Failure::new(409, "ambiguous", problem, cure);
            failure.candidates =
                several.iter().take(LISTED).map(|(name, at)| format!("{at} of {name}")).collect();
            Err(failure)
        }
    }
}

/// Real servers that may have been meant: of that virtual server, else of that address, else all.
fn near(all: &[(ServiceName, SocketAddr)], service: Option<&ServiceName>, server: ServerName) -> Vec<String> {
    let ip = match server {
        ServerName::At(at) => at.ip(),
        ServerName::Address(address) => address,
    };
    let same_address = all.iter().any(|(_, at)| at.ip() == ip);
    let mut names: Vec<String> = all
        .iter()
        .filter(|(name, at)| service.map_or(!same_address || at.ip() == ip, |service| service == name))
        .map(|(name, at)| format!("{at} of {name}"))
        .collect();
    names.sort();
    names.dedup();
    names.truncate(LISTED);
    names
}

/// The whole name of the virtual server that is meant.
fn whole_name(
    configs: &[&Config],
    idle: &[(ServiceName, SocketAddr)],
    name: &ServiceName,
) -> Result<ServiceName, Failure> {
    let in_config = |config: &Config| -> Vec<ServiceName> {
        let own = |n: &usize| ServiceName::of(config.virtual_server.get(*n)?, &config.virtual_server_group);
        name.find(config).iter().filter_map(own).collect()
    };
    let in_overrides = || {
        let fits = |own: &&ServiceName| *own == name || name.may_mean(own);
        let mut found: Vec<ServiceName> = idle.iter().map(|(own, _)| own).filter(fits).cloned().collect();
        found.sort();
        found.dedup();
        found
    };
    let all = configs.iter().map(|config| in_config(config)).chain(std::iter::once_with(in_overrides));
    for found in all {
        match found.as_slice() {
            [] => {}
            [only] => return Ok(only.clone()),
            several => {
                let mut failure = Failure::new(
                    409,
                    "ambiguous",
                    format!("{name} may be one of several"),
                    "name it in full",
                );
                failure.candidates = several.iter().take(LISTED).map(ToString::to_string).collect();
                return Err(failure);
            }
        }
    }
    let mut failure = without(&NoTarget::NoService(name.to_string()));
    failure.candidates = configs.first().map_or_else(Vec::new, |config| names(config));
    Err(failure)
}

fn names(config: &Config) -> Vec<String> {
    let own = |server: &Shared<VirtualServer>| ServiceName::of(server, &config.virtual_server_group);
    config.virtual_server.iter().filter_map(own).map(|name| name.to_string()).take(LISTED).collect()
}

/// The virtual server, where there is but one.
fn the_only_one(configs: &[&Config]) -> Result<ServiceName, Failure> {
    let config = configs.first().filter(|config| config.virtual_server.len() == 1);
    let only = config
        .and_then(|config| ServiceName::of(config.virtual_server.first()?, &config.virtual_server_group));
    only.ok_or_else(|| {
        let problem = "to which virtual server?".to_owned();
        let mut failure = Failure::new(409, "ambiguous", problem, "name it (--service, or in the path)");
        failure.candidates = configs.first().map_or_else(Vec::new, |config| names(config));
        failure
    })
}

/// Weight and state of a real server.
fn shown(config: &Config, service: &ServiceName, server: SocketAddr) -> Option<(u16, AdminState)> {
    let at = service.find(config).first().copied()?;
    let of = config.virtual_server.get(at)?;
    let real = of.real_server.get(of.find(server)?)?;
    Some((real.weight.or(of.weight).unwrap_or(1), real.admin_state.unwrap_or_default()))
}

fn difference(before: Option<(u16, AdminState)>, after: Option<(u16, AdminState)>) -> String {
    match (before, after) {
        (None, None) => "nothing is left of it".to_owned(),
        (None, Some((weight, state))) => format!("added, weight {weight}, {}", state.word()),
        (Some(_), None) => "deleted".to_owned(),
        (Some((weight, state)), Some((new_weight, new_state))) => {
            let mut words = Vec::new();
            if state != new_state {
                words.push(format!("{} -> {}", state.word(), new_state.word()));
            }
            if weight != new_weight {
                words.push(format!("weight {weight} -> {new_weight}"));
            }
            if words.is_empty() { "as it was".to_owned() } else { words.join(", ") }
        }
    }
}

/// One override over another of the same real server, as if both had been said in this order.
pub fn over(below: Option<RealServerOverride>, above: &RealServerOverride) -> Option<RealServerOverride> {
    let Some(below) = below else { return Some(above.clone()) };
    let mut joined = above.clone();
    match (below.kind, above.kind) {
        (OverrideKind::Add { .. }, OverrideKind::Delete) => return None,
        (OverrideKind::Add { like }, OverrideKind::Change) => joined.kind = OverrideKind::Add { like },
        _ => {}
    }
    if let (OverrideKind::Add { .. }, OverrideKind::Add { .. }) = (below.kind, above.kind) {
        // The lower one has added it, the upper one has found it there.
        joined.kind = below.kind;
    }
    if above.kind == OverrideKind::Change || joined.kind == below.kind {
        joined.weight = above.weight.or(below.weight);
        joined.state = above.state.or(below.state);
    }
    if above.state.is_none() {
        joined.until = below.until;
    }
    Some(joined)
}

/// What an override does, in the words of the file: `weight 5 drain`.
pub fn change_words(one: &RealServerOverride) -> String {
    let bare = RealServerOverride { until: None, by: None, at: None, ..one.clone() };
    let name = format!("{} {} ", bare.service, bare.server);
    let line = bare.to_string();
    line.strip_prefix(&name).unwrap_or(&line).to_owned()
}

#[cfg(test)]
mod tests;
