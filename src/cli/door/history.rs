//! `tandem history` and `tandem why`: what happened, and how things stand because of it.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::Value;

use super::{Daemon, Outcome, complain, finish, say};
use crate::control::client::Error;
use crate::control::routes::encoded;
use crate::control::view::{EventView, JournalView, WhyView};

/// How often `--follow` looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Words of `tandem history`.
#[derive(clap::Args, Debug)]
pub struct History {
    /// Only what came behind this number.
    #[arg(long, value_name = "NUMBER", conflicts_with = "last")]
    since: Option<u64>,
    /// So many of the last events, at most 2000 [default: 50].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(..=2000))]
    last: Option<u64>,
    /// Only what is about this instance, sync group, virtual server, tracker or real server.
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only events of this kind: transition, priority, advert, group, check, quorum, command, order, reload, ipvs, address,
    /// tracker, bfd, daemon.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Go on with what happens from now on, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem why`.
#[derive(clap::Args, Debug)]
pub struct Why {
    /// An instance, a sync group, a virtual server ("TCP 192.0.2.1:80") or a real server (10.1.0.1:80); every instance, and
    /// what else is not as it should be, when absent.
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// How many of the last changes.
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = clap::value_parser!(u64).range(..=2000))]
    last: u64,
    #[command(flatten)]
    daemon: Daemon,
}

/// `tandem history`.
pub fn history(args: &History) -> i32 {
    finish(told(args))
}

fn told(args: &History) -> Result<Outcome, Error> {
    let mut more = String::new();
    for (name, value) in [("subject", &args.subject), ("kind", &args.kind)] {
        if let Some(value) = value {
            more += &format!("&{name}={}", encoded(value));
        }
    }
    let first = match args.since {
        Some(since) => format!("since={since}"),
        None => format!("limit={}", args.last.unwrap_or(50)),
    };
    let mut path = format!("/v1/journal?{first}{more}");
    let mut seen = args.since.unwrap_or(0);
    let mut begun = false;
    let (mut newest, mut away): (Option<EventView>, bool) = (None, false);
    let colour = std::io::stdout().is_terminal();
    loop {
        let ask = |path: &str| args.daemon.asked::<JournalView>("GET", path, &Value::Null);
        let mut answer = ask(&path);
        if away && matches!(answer, Ok(Ok(_))) {
            match ask(&back(seen)) {
                Ok(Ok((after, _))) => {
                    away = false;
                    if is_another(newest.as_ref(), &after) {
                        // Of another boot: its numbers begin anew.
                        (seen, newest) = (0, None);
                        path = format!("/v1/journal?since=0{more}");
                        continue;
                    }
                }
                gone => answer = gone,
            }
        }
        let problem = match answer {
            Ok(Ok((journal, text))) => {
                begun = true;
                if !shown(args, &journal, &text, colour) || !args.follow {
                    return Ok(Outcome::Done);
                }
                // A number that this journal does not have yet would show all of it each time.
                seen = journal.events.last().map_or(seen.min(journal.newest), |event| event.number);
                newest = journal.events.last().cloned().or(newest);
                path = format!("/v1/journal?since={seen}{more}");
                None
            }
            // It may come back, and what happens meanwhile is what is waited for.
            Ok(Err((_, refused))) if args.follow && begun => Some(refused.error.problem),
            Err(error) if args.follow && begun => Some(error.to_string()),
            Ok(Err((text, refused))) => {
                args.daemon.refused(&text, &refused);
                return Ok(Outcome::Refused);
            }
            Err(error) => return Err(error),
        };
        if let Some(problem) = problem
            && !std::mem::replace(&mut away, true)
        {
            complain(&format!("{problem}; waiting for it"));
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Prints what has come; false when nobody reads it any more.
fn shown(args: &History, journal: &JournalView, text: &str, colour: bool) -> bool {
    if args.daemon.json && !args.follow {
        say(text);
        return true;
    }
    printed(&journal.events, args.daemon.json, colour)
}

/// Where the event stands that was last seen.
fn back(seen: u64) -> String {
    format!("/v1/journal?since={}", seen.saturating_sub(1))
}

/// The journal that goes on behind the event before this one is not the one that it was in: it has another in its place, or
/// none, and has not forgotten it either.
fn is_another(newest: Option<&EventView>, after: &JournalView) -> bool {
    let Some(newest) = newest else { return false };
    match after.events.first() {
        Some(first) if first.number == newest.number => first.at != newest.at,
        Some(first) => first.number < newest.number || after.forgotten < newest.number,
        None => true,
    }
}

/// One a line; false when nobody reads it any more.
fn printed(events: &[EventView], json: bool, colour: bool) -> bool {
    let mut out = std::io::stdout().lock();
    let mut write = |line: String| writeln!(out, "{line}");
    events.iter().all(|event| {
        let line = match json {
            true => serde_json::to_string(event).unwrap_or_default(),
            false => line(event, colour),
        };
        write(line).is_ok()
    })
}

/// `tandem why`.
pub fn why(args: &Why) -> i32 {
    let subject = args.name.as_deref().map(|name| format!("&subject={}", encoded(name)));
    let path = format!("/v1/why?last={}{}", args.last, subject.unwrap_or_default());
    finish(args.daemon.ask::<WhyView>("GET", &path, &Value::Null).map(|answer| match answer {
        Some((why, text)) => {
            if args.daemon.json {
                say(&text);
            } else {
                let _ = std::io::stdout().write_all(page(&why, std::io::stdout().is_terminal()).as_bytes());
            }
            Outcome::Done
        }
        None => Outcome::Refused,
    }))
}

/// Each thing with its last changes, and then how it stands.
fn page(why: &WhyView, colour: bool) -> String {
    let mut text = String::new();
    for about in &why.about {
        let (bold, plain) = if colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        if !text.is_empty() {
            text.push('\n');
        }
        text += &format!("{bold}{}{plain}\n", about.name);
        for event in &about.events {
            text += &format!("  {}\n", line(event, colour));
        }
        if about.events.is_empty() {
            text += "  nothing of it is in the journal\n";
        }
        text += &format!("  now: {}.\n", about.now.trim_end_matches('.'));
    }
    if why.about.is_empty() {
        text += "nothing to tell: no vrrp_instance is configured, and every virtual server has its quorum\n";
    }
    text
}

/// `2026-11-21 18:00:00.123  VI_1  MASTER -> BACKUP  step_down: stepped down by root(uid=0,pid=7)`.
fn line(event: &EventView, colour: bool) -> String {
    let at = event.at.trim_end_matches('Z').replace('T', " ");
    let paint = match (colour, event.level.as_str()) {
        (false, _) | (true, "info") => "",
        (true, "warning") => "\x1b[33m",
        (true, _) => "\x1b[31m",
    };
    let plain = if paint.is_empty() { "" } else { "\x1b[0m" };
    let about = match (event.subject.as_str(), &event.real_server) {
        ("", _) => event.kind.clone(),
        (subject, None) => subject.to_owned(),
        (subject, Some(real)) => format!("{real} of {subject}"),
    };
    let states = match (&event.from, &event.to) {
        (Some(from), Some(to)) => format!("  {from} -> {to}"),
        _ => String::new(),
    };
    let cause = event.cause.as_ref().map(|cause| format!("{cause}: ")).unwrap_or_default();
    // The words of most events say themselves who it was.
    let text = event.whole_text();
    let by = event.by.as_ref().filter(|by| !text.contains(*by)).map(|by| format!(" (by {by})"));
    format!("{at}  {paint}{about}{states}  {cause}{text}{}{plain}", by.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::AboutView;

    fn event() -> EventView {
        EventView {
            at: "2026-11-21T18:00:00.123Z".to_owned(),
            level: "warning".to_owned(),
            kind: "transition".to_owned(),
            subject: "VI_1".to_owned(),
            from: Some("MASTER".to_owned()),
            to: Some("FAULT".to_owned()),
            cause: Some("fault".to_owned()),
            text: "script chk failed".to_owned(),
            by: Some("root(uid=0,pid=7)".to_owned()),
            ..EventView::default()
        }
    }

    #[test]
    fn an_event_is_a_line() {
        let plain =
            "2026-11-21 18:00:00.123  VI_1  MASTER -> FAULT  fault: script chk failed (by root(uid=0,pid=7))";
        assert_eq!(line(&event(), false), plain);
        assert!(line(&event(), true).contains("\x1b[33mVI_1"));
        let own = EventView { text: "stepped down by root(uid=0,pid=7)".to_owned(), ..event() };
        assert!(line(&own, false).ends_with("fault: stepped down by root(uid=0,pid=7)"));
        let real = EventView {
            subject: "TCP 192.0.2.1:80".to_owned(),
            real_server: Some("10.1.0.1:80".to_owned()),
            ..event()
        };
        assert!(line(&real, false).contains("  10.1.0.1:80 of TCP 192.0.2.1:80  "));
        let daemon = EventView {
            subject: String::new(),
            kind: "reload".to_owned(),
            from: None,
            to: None,
            cause: None,
            by: None,
            ..event()
        };
        assert_eq!(line(&daemon, false), "2026-11-21 18:00:00.123  reload  script chk failed");
        // What of a file has changed is told to those of this machine.
        let details = Some(serde_json::json!({ "text": "reloaded /etc/x: weight 1 -> 2" }));
        let whole = EventView { text: "reloaded".to_owned(), details, ..daemon };
        assert!(line(&whole, false).ends_with("  reload  reloaded /etc/x: weight 1 -> 2"));
    }

    #[test]
    fn a_journal_that_begins_anew_is_known_by_its_events() {
        let of = |number: u64, at: &str| EventView { number, at: at.to_owned(), ..event() };
        let journal =
            |events: Vec<EventView>, forgotten| JournalView { events, forgotten, ..JournalView::default() };
        let newest = of(14, "one");
        for (after, another) in [
            // A restart: it goes on.
            (journal(vec![of(14, "one"), of(15, "two")], 0), false),
            // A flood while nobody looked: it is forgotten.
            (journal(vec![of(3000, "two")], 2999), false),
            // After a boot: a number that was given again, or one that is still to come.
            (journal(vec![of(14, "two")], 0), true),
            (journal(vec![], 0), true),
            (journal(vec![of(20, "two")], 0), true),
        ] {
            assert_eq!(is_another(Some(&newest), &after), another, "{after:?}");
            assert!(!is_another(None, &after));
        }
        assert_eq!(back(14), "/v1/journal?since=13");
    }

    #[test]
    fn why_ends_with_how_it_stands() {
        let about = AboutView {
            name: "VI_1".to_owned(),
            kind: "instance".to_owned(),
            now: "VI_1 is FAULT".to_owned(),
            events: vec![event()],
        };
        let text =
            page(&WhyView { about: vec![about.clone(), AboutView { events: Vec::new(), ..about }] }, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "VI_1");
        assert!(lines[1].starts_with("  2026-11-21 18:00:00.123  VI_1  MASTER -> FAULT"), "{text}");
        assert_eq!(lines[2..5], ["  now: VI_1 is FAULT.", "", "VI_1"]);
        assert_eq!(lines[5], "  nothing of it is in the journal");
        assert!(page(&WhyView::default(), false).starts_with("nothing to tell"));
    }
}
