//! `tandem check-now`: due checks at once, and what came of them.

use serde_json::Value;

use super::{Daemon, Outcome, finish, say, text};
use crate::cli::paint::When;
use crate::control::client::Error;
use crate::control::routes::{ServerName, encoded};
use crate::control::view::{CheckedView, RealServerView, StatusView};

/// Words of `tandem check-now`.
#[derive(clap::Args, Debug)]
pub struct CheckNow {
    /// The real server: ADDRESS:PORT, or ADDRESS for all of its ports.
    #[arg(value_name = "REAL_SERVER", required_unless_present_any = ["service", "all"])]
    server: Option<ServerName>,
    /// Its virtual server; without a real server all of it.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Every real server of every virtual server.
    #[arg(long, conflicts_with_all = ["server", "service"])]
    all: bool,
    /// Colours: auto, always or never.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    color: When,
    #[command(flatten)]
    daemon: Daemon,
}

/// `tandem check-now`.
pub fn check_now(args: &CheckNow) -> i32 {
    finish(checked(args))
}

fn checked(args: &CheckNow) -> Result<Outcome, Error> {
    let service = encoded(args.service.as_deref().unwrap_or("-"));
    let server = args.server.map_or_else(|| "-".to_owned(), |server| encoded(&server.to_string()));
    let path = format!("/v1/real-servers/{service}/{server}/check");
    let Some((checked, json)) = args.daemon.ask::<CheckedView>("POST", &path, &Value::Null)? else {
        return Ok(Outcome::Refused);
    };
    let outcome = outcome(&checked);
    if args.daemon.json {
        say(&json);
        return Ok(outcome);
    }
    let summary = summary(&checked);
    let view = StatusView { virtual_servers: checked.virtual_servers, ..StatusView::default() };
    let lines = text::virtual_servers(&view, false, args.color.colours());
    say(&lines.into_iter().chain(summary).collect::<Vec<_>>().join("\n"));
    Ok(outcome)
}

/// What was done, and what was not.
fn summary(checked: &CheckedView) -> Vec<String> {
    let mut lines = vec![format!("{} checks have run", checked.checks.saturating_sub(checked.under_way))];
    if checked.under_way > 0 {
        lines.push(format!(
            "{} are still under way: tandem status tells what comes of them",
            checked.under_way
        ));
    }
    let without = |why: &str| reals(checked).filter(|real| real.unchecked.as_deref() == Some(why)).count();
    for (why, words) in [
        ("no_checks", "real servers have no checks: nothing is known of them"),
        (
            "suspended",
            "real servers are not checked here: the address of their virtual server is elsewhere (ha_suspend)",
        ),
    ] {
        match without(why) {
            0 => {}
            count => lines.push(format!("{count} {words}")),
        }
    }
    lines
}

fn reals(checked: &CheckedView) -> impl Iterator<Item = &RealServerView> {
    let all = checked.virtual_servers.iter().flat_map(|server| &server.real_servers);
    all.filter(|real| real.admin_state != "deleted")
}

/// Done: every real server that has checks is up by a result. Where nothing was checked at all nothing is known.
fn outcome(checked: &CheckedView) -> Outcome {
    let good =
        |real: &RealServerView| real.up == Some(true) || real.unchecked.as_deref() == Some("no_checks");
    let done = checked.checks > 0 && checked.under_way == 0 && reals(checked).all(good);
    if done { Outcome::Done } else { Outcome::Waits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::VirtualServerView;

    fn checked(checks: u64, under_way: u64, of: &[(Option<bool>, Option<&str>)]) -> CheckedView {
        let real = |(up, unchecked): &(Option<bool>, Option<&str>)| RealServerView {
            up: *up,
            unchecked: unchecked.map(str::to_owned),
            ..RealServerView::default()
        };
        let real_servers = of.iter().map(real).collect();
        let server = VirtualServerView { real_servers, ..VirtualServerView::default() };
        CheckedView { checks, under_way, virtual_servers: vec![server], ..CheckedView::default() }
    }

    #[test]
    fn done_is_when_all_were_found_up() {
        let (up, down, silent) = ((Some(true), None), (Some(false), None), (None, None));
        let (bare, new, away) =
            ((None, Some("no_checks")), (None, Some("no_result")), (None, Some("suspended")));
        for (checks, under_way, reals, done) in [
            (1, 0, vec![up], true),
            (1, 0, vec![up, bare], true),
            (1, 1, vec![up], false),
            (2, 0, vec![up, down], false),
            (1, 0, vec![up, silent], false),
            (1, 0, vec![up, new], false),
            // A backup with ha_suspend has looked at nothing: that is no word that all is well.
            (0, 0, vec![away, away], false),
            (1, 0, vec![up, away], false),
            (0, 0, vec![bare], false),
        ] {
            let checked = checked(checks, under_way, &reals);
            assert_eq!(matches!(outcome(&checked), Outcome::Done), done, "{checked:?}");
        }
    }

    #[test]
    fn what_was_not_checked_is_said() {
        let text =
            summary(&checked(3, 1, &[(None, Some("suspended")), (None, Some("no_checks"))])).join("\n");
        assert!(text.contains("2 checks have run") && text.contains("1 are still under way"), "{text}");
        assert!(
            text.contains("1 real servers have no checks") && text.contains("not checked here"),
            "{text}"
        );
    }
}
