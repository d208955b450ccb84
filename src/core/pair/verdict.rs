//! What the table of situations says about the pair: failures that move nothing, and such that move too much.

use crate::config::diagnostic::Level;

use super::election::{Holder, Status};
use super::situation::{Condition, Row, Situation, Watched};
use super::trackers::Kind;
use super::{Findings, Matched, Who};

/// Judges an instance's table; `explained`: why the two do not hear each other is said already.
pub(super) fn judge(pair: &Matched<'_>, table: &[Row], explained: bool, findings: &mut Findings) {
    let Some(healthy) = table.first() else { return };
    let title = &pair.title;
    match healthy.outcome.holder {
        Holder::Both => {
            if !explained {
                findings.add(
                    Level::Error,
                    "pair-two-active",
                    format!("{title}: both are master while nothing is wrong"),
                    "both directors have the same addresses at the same time",
                    "make the two instances agree",
                );
            }
            return;
        }
        Holder::Nobody => {
            findings.add(
                Level::Error,
                "pair-no-master",
                format!("{title}: nobody is master while nothing is wrong"),
                "nobody has the addresses",
                "look at the trackers of weight 0 with reverse: they hold both in FAULT",
            );
            return;
        }
        Holder::One(_) | Holder::Either => {}
    }
    for row in &table[1..] {
        alone(pair, healthy, row, findings);
        both(pair, row, findings);
    }
    for home in Who::BOTH {
        if healthy.outcome.holder != Holder::One(home.other()) {
            weights(pair, table, home, findings);
        }
    }
}

/// What fails in a row on one side, while all is well on the other.
fn fails_alone(situation: &Situation, who: Who) -> Option<&[Watched]> {
    match (situation.condition(who), situation.condition(who.other())) {
        (Condition::Failing(watched), Condition::Healthy) => Some(watched),
        (_, _) => None,
    }
}

/// One failure must leave one master.
fn alone(pair: &Matched<'_>, healthy: &Row, row: &Row, findings: &mut Findings) {
    let title = &pair.title;
    for who in Who::BOTH {
        let Some([watched]) = fails_alone(&row.situation, who) else { continue };
        let what = format!("{watched} on {who}");
        match row.outcome.holder {
            Holder::Nobody => findings.add(
                Level::Error,
                "pair-left-alone",
                format!("{title}: when {what}, nobody is master"),
                "one failure on one director takes the addresses away from both",
                "see what holds the other director back",
            ),
            Holder::Both if healthy.outcome.holder != Holder::Both => {
                if !pair.settings(who).track_primary && watched.name == pair.settings(who).interface {
                    findings.add(
                        Level::Advice,
                        "pair-untracked-cable",
                        format!("{title}: when {what}, {who} stays master behind a dead cable"),
                        format!(
                            "dont_track_primary: {} takes over as well, and {who} gives up when the cable is back",
                            who.other()
                        ),
                        "remove dont_track_primary, unless the two are joined by a direct cable",
                    );
                } else {
                    findings.add(
                        Level::Error,
                        "pair-two-active",
                        format!("{title}: when {what}, both are master"),
                        "both directors have the same addresses at the same time",
                        "make the two instances agree",
                    );
                }
            }
            Holder::One(then) if then == who && healthy.outcome.holder == Holder::One(who.other()) => {
                findings.add(
                    Level::Warning,
                    "pair-raised",
                    format!("{title}: when {what}, {who} becomes master: {}", levels(row)),
                    "a failure raises its priority above the other one's",
                    "see the sign of the weight, and reverse",
                );
            }
            Holder::One(_) | Holder::Both | Holder::Either => {}
        }
    }
}

/// What fails on both may have one cause outside both.
fn both(pair: &Matched<'_>, row: &Row, findings: &mut Findings) {
    if let (Condition::Failing(on_a), Condition::Failing(_)) = (&row.situation.a, &row.situation.b)
        && let Some(watched) = on_a.first()
        // Without its network or its program a director has nothing to be master for; a script may look at anything.
        && !matches!(watched.kind, Kind::Interface | Kind::Process)
        && row.outcome.holder == Holder::Nobody
    {
        findings.add(
            Level::Advice,
            "pair-both-fault",
            format!("{}: when {watched} on both, nobody is master", pair.title),
            "right when it checks something of this director; wrong when it checks something that both need (a \
             gateway, a database): then one failure there takes the addresses away altogether",
            "for something that both need, give it a weight instead of FAULT",
        );
    }
}

/// `A 150 - 2 = 148, B 100`.
fn levels(row: &Row) -> String {
    let [a, b] = &row.standing;
    format!("A {}, B {}", a.arithmetic, b.arithmetic)
}

fn priority(row: &Row, who: Who) -> Option<u8> {
    match row.standing[who.index()].status {
        Status::Runs(priority) => Some(priority),
        Status::Fault(_) | Status::Stopped | Status::Dead => None,
    }
}

/// Weighted trackers of the director that serves: can they ever move the addresses?
fn weights(pair: &Matched<'_>, table: &[Row], home: Who, findings: &mut Findings) {
    let (title, settings, other) = (&pair.title, pair.settings(home), home.other());
    let alone = || table.iter().filter_map(|row| Some((row, fails_alone(&row.situation, home)?)));
    let moves = |row: &Row| row.outcome.holder == Holder::One(other);
    let own = |one: &Watched| one.name == settings.interface && settings.track_primary;
    let together = alone().any(|(row, watched)| {
        watched.len() > 1 && matches!(row.standing[home.index()].status, Status::Runs(_)) && moves(row)
    });
    for (row, watched) in alone() {
        let [watched] = watched else { continue };
        let weighted = pair.trackers(home).iter().any(|t| watched.is(t.kind, &t.name) && t.weight != 0);
        let (Some(ours), Some(theirs)) = (priority(row, home), priority(row, other)) else { continue };
        if !weighted || moves(row) || own(watched) {
            continue;
        }
        let held_back = row.outcome.held_back == Some(other);
        let why = match (held_back, ours == theirs) {
            _ if row.kept_by.is_some() => {
                let mate = row.kept_by.as_deref().unwrap_or_default();
                format!("but {mate} of its sync group stays on {home}: no failover")
            }
            (true, _) => format!("{other} has {theirs}, but nopreempt: no failover"),
            (false, true) => format!("{other} has {theirs} too, and a sitting master stays: no failover"),
            (false, false) => format!("{other} has {theirs}: no failover"),
        };
        let lowers = if settings.base_priority == u8::MAX {
            format!("leaves {home} at 255")
        } else {
            format!("lowers {home} to {ours} ({})", row.standing[home.index()].arithmetic)
        };
        let fix = if row.kept_by.is_some() {
            "a group moves as a whole: track it in the vrrp_sync_group, which lowers all its members alike"
                .to_owned()
        } else if settings.base_priority == u8::MAX {
            "priority 255 is never changed by weights: write 254 or less".to_owned()
        } else if held_back {
            format!("leave the weight away (FAULT then, which moves them), or remove nopreempt on {other}")
        } else {
            // One more than what is between the two as long as this one works.
            let all = table.first().and_then(|row| Some((priority(row, home)?, priority(row, other)?)));
            match all {
                Some((ours, theirs)) => format!(
                    "{home} has {ours} while it works and {other} {theirs}: its failure must make a difference of \
                     more than {}, or write no weight (FAULT then)",
                    ours.saturating_sub(theirs)
                ),
                None => "write no weight (FAULT then)".to_owned(),
            }
        };
        let (level, consequence) = if together {
            (Level::Advice, format!("it moves the addresses only when other trackers of {home} fail as well"))
        } else {
            (Level::Warning, format!("{home} stays master, whatever this tracker finds"))
        };
        findings.add(
            level,
            "pair-no-failover",
            format!("{title}: when {watched} on {home}, that {lowers}; {why}"),
            consequence,
            fix,
        );
    }
}
