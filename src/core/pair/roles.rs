//! Priorities, `state`, `nopreempt` and `preempt_delay` of two instances: what people think they mean, and what the
//! pair will do.

use crate::config::diagnostic::Level;

use super::election::{Holder, Status};
use super::situation::Row;
use super::{Findings, Matched, PairedInstance, Side, Who, listed};

/// Compares the roles of an instance; `healthy` is the pair with nothing wrong.
pub(super) fn compare(pair: &Matched<'_>, healthy: &Row, findings: &mut Findings) {
    let [a, b] = Who::BOTH.map(|who| pair.settings(who));
    let title = &pair.title;
    if a.base_priority == u8::MAX && b.base_priority == u8::MAX {
        findings.add(
            Level::Error,
            "pair-two-owners",
            format!("{title}: priority 255 on both"),
            "255 is the owner of the addresses, which is master at once at start: each start makes two masters",
            "write two different priorities below 255",
        );
    } else {
        priorities(pair, healthy, findings);
    }
    states(pair, healthy, findings);
    nopreempt(pair, healthy.outcome.holder, findings);
    preempt_delay(pair, healthy.outcome.holder, findings);
}

fn runs(row: &Row, who: Who) -> Option<u8> {
    match row.standing[who.index()].status {
        Status::Runs(priority) => Some(priority),
        Status::Fault(_) | Status::Stopped | Status::Dead => None,
    }
}

/// Equal priorities leave the choice to the addresses.
fn priorities(pair: &Matched<'_>, healthy: &Row, findings: &mut Findings) {
    let (Some(a), Some(b)) = (runs(healthy, Who::A), runs(healthy, Who::B)) else { return };
    if a != b {
        return;
    }
    let consequence = match (pair.address(Who::A), pair.address(Who::B)) {
        (Some(x), Some(y)) if x == y => "and both send from one address: both become master".to_owned(),
        (Some(x), Some(y)) => {
            let who = if x > y { Who::A } else { Who::B };
            format!(
                "both become master at a common start, and the higher address, {who}, stays; later whoever is \
                 master stays"
            )
        }
        (None, _) | (_, None) => {
            "both become master at a common start, and the higher address stays, which the \
                                  files do not tell; later whoever is master stays"
                .to_owned()
        }
    };
    findings.add(
        Level::Warning,
        "pair-equal-priority",
        format!("{}: both have priority {a}", pair.title),
        consequence,
        "write two different priorities, as 150 and 100",
    );
}

/// `state` decides nothing; where it says something else than the priorities, somebody will be surprised.
fn states(pair: &Matched<'_>, healthy: &Row, findings: &mut Findings) {
    let title = &pair.title;
    let says = Who::BOTH.map(|who| pair.settings(who).state_master);
    let fix = "write state BACKUP on both, or MASTER on the one of higher priority alone";
    match (says, healthy.outcome.holder) {
        ([true, true], _) => findings.add(
            Level::Warning,
            "pair-two-masters",
            format!("{title}: state MASTER on both"),
            "it is a wish: both listen first, and the priorities decide; nopreempt and preempt_delay are ignored \
             on both",
            fix,
        ),
        ([true, false], Holder::One(Who::B)) | ([false, true], Holder::One(Who::A)) => {
            let who = if says[0] { Who::A } else { Who::B };
            let texts = Who::BOTH.map(|who| format!("{who} {}", healthy.standing[who.index()].arithmetic));
            findings.add(
                Level::Warning,
                "pair-state",
                format!(
                    "{title}: state MASTER on {who}, but {} is master: {}",
                    who.other(),
                    listed(&texts)
                ),
                "state decides nothing, the priorities do",
                format!("give {who} the higher priority, or write state MASTER on {}", who.other()),
            );
        }
        ([_, _], _) => {}
    }
}

/// `nopreempt` matters where the priority is higher.
fn nopreempt(pair: &Matched<'_>, home: Holder, findings: &mut Findings) {
    let title = &pair.title;
    let written = Who::BOTH.map(|who| !pair.settings(who).preempt);
    let works = Who::BOTH.map(|who| !pair.settings(who).machine_params(None).may_preempt());
    for who in Who::BOTH {
        if written[who.index()] && !works[who.index()] {
            let why = if pair.settings(who).state_master { "state MASTER" } else { "priority 255" };
            findings.add(
                Level::Warning,
                "pair-nopreempt-ignored",
                format!("{title}: nopreempt on {who} has no effect with {why}"),
                format!("{who} takes the addresses back each time it returns, if its priority is higher"),
                "write state BACKUP on both directors, and nopreempt on both",
            );
        }
    }
    let Holder::One(home) = home else { return };
    match (works[home.index()], works[home.other().index()]) {
        (false, true) if !written[home.index()] => findings.add(
            Level::Warning,
            "pair-nopreempt",
            format!("{title}: nopreempt is on {} alone, and {home} has the higher priority", home.other()),
            format!(
                "{home} takes the addresses back when it returns; and {} does not take over from a {home} that is \
                 alive with a lowered priority",
                home.other()
            ),
            "write nopreempt on both, or on neither",
        ),
        (true, false) => findings.add(
            Level::Advice,
            "pair-nopreempt",
            format!("{title}: nopreempt is on {home} alone"),
            format!(
                "{home} does not take the addresses back from {}; a failing tracker that lowers {home} still moves \
                 them",
                home.other()
            ),
            "",
        ),
        (_, _) => {}
    }
}

fn preempt_delay(pair: &Matched<'_>, home: Holder, findings: &mut Findings) {
    let title = &pair.title;
    for who in Who::BOTH {
        let settings = pair.settings(who);
        let secs = settings.preempt_delay.as_secs_f64();
        if settings.preempt_delay.is_zero() {
            continue;
        }
        let why = match (settings.state_master, settings.base_priority) {
            (true, _) => Some("state MASTER"),
            (false, u8::MAX) => Some("priority 255"),
            (false, _) if !settings.preempt => Some("nopreempt"),
            (false, _) => None,
        };
        if let Some(why) = why {
            findings.add(
                Level::Warning,
                "pair-delay-ignored",
                format!("{title}: preempt_delay {secs} on {who} has no effect with {why}"),
                if settings.preempt {
                    format!("{who} preempts at once, {secs} s earlier than the file says")
                } else {
                    format!("{who} never preempts")
                },
                "remove one of the two",
            );
        }
    }
    let [a, b] = Who::BOTH.map(|who| pair.settings(who).machine_params(None).delay());
    if let Holder::One(home) = home
        && a != b
    {
        let other = home.other();
        let (at_home, away) = if home == Who::A { (a, b) } else { (b, a) };
        if at_home < away {
            let (x, y) = (at_home.as_secs_f64(), away.as_secs_f64());
            findings.add(
                Level::Advice,
                "pair-preempt-delay",
                format!("{title}: preempt_delay is {y} s on {other} and {x} s on {home}"),
                format!(
                    "{home} returns to its addresses after {x} s; the delay of {other}, whose priority is lower, \
                     only makes it slower to take over when a tracker lowers {home}"
                ),
                format!("write it on {home}"),
            );
        }
    }
}

/// The members of a sync group must want the same master.
pub(super) fn groups(sides: [&Side<'_>; 2], instances: &[PairedInstance], findings: &mut Findings) {
    for side in sides {
        for group in &side.config.vrrp_sync_group {
            let members =
                || instances.iter().filter(|one| group.group.contains(&one.names[side.who.index()]));
            let at = |who| -> Vec<String> {
                members().filter(|one| one.home == Holder::One(who)).map(|one| one.title.clone()).collect()
            };
            let (a, b) = (at(Who::A), at(Who::B));
            if !a.is_empty() && !b.is_empty() {
                findings.add(
                    Level::Error,
                    "pair-group",
                    format!(
                        "sync group {} on {}: {} wants A as master, {} wants B",
                        group.name,
                        side.who,
                        listed(&a),
                        listed(&b)
                    ),
                    "a group is master as a whole or not at all: its members never agree",
                    "give all members of a group one priority, on each director",
                );
            }
            let members: Vec<&PairedInstance> = members().collect();
            if a.is_empty() != b.is_empty() {
                returning(side, &group.name, if b.is_empty() { Who::A } else { Who::B }, &members, findings);
            }
            let other = sides[side.who.other().index()];
            let theirs = |one: &PairedInstance| other.group_of(&one.names[side.who.other().index()]);
            let split = members.iter().any(|one| {
                theirs(one).is_none_or(|group| {
                    members.iter().any(|mate| !group.group.contains(&mate.names[side.who.other().index()]))
                })
            });
            // Said once: where only B has the group, or from the side of A.
            let said = side.who == Who::B && members.iter().any(|one| theirs(one).is_some());
            if split && !said {
                findings.add(
                    Level::Warning,
                    "pair-group-members",
                    format!(
                        "sync group {} on {} holds instances together that {} does not",
                        group.name,
                        side.who,
                        side.who.other()
                    ),
                    "a failure takes all of them away from one director, and only some from the other",
                    "write the same vrrp_sync_group on both",
                );
            }
        }
    }
}

/// A group whose members do not all go back to their home keeps all of them away: the others wait for those.
fn returning(side: &Side<'_>, group: &str, home: Who, members: &[&PairedInstance], findings: &mut Findings) {
    if side.who != home {
        return;
    }
    let (stay, go): (Vec<&PairedInstance>, Vec<&PairedInstance>) =
        members.iter().partition(|one| one.home == Holder::Either || one.keeps_away[home.index()]);
    if stay.is_empty() || go.is_empty() {
        return;
    }
    let titles = |list: &[&PairedInstance]| {
        let all: Vec<String> = list.iter().map(|one| one.title.clone()).collect();
        listed(&all)
    };
    let wants = |list: &[&PairedInstance], one: &str, several: &str| {
        (if list.len() == 1 { one } else { several }).to_owned()
    };
    findings.add(
        Level::Warning,
        "pair-group-return",
        format!(
            "sync group {group}: {} {} back to {home} when it returns, {} {} not (nopreempt, or equal priorities)",
            titles(&go),
            wants(&go, "goes", "go"),
            titles(&stay),
            wants(&stay, "does", "do")
        ),
        format!("a group moves as a whole: once {} is master of it, it stays there", home.other()),
        "give all members of the group the same priority and the same nopreempt",
    );
}
