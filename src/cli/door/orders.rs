//! `step-down`, `take-over`, `failback`, `end-order` and `maintenance`: what a person orders VRRP to do.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Daemon, Outcome, finish, say};
use crate::control::client::Error;
use crate::control::routes::encoded;
use crate::control::view::Ordered;

/// Words of `tandem step-down` and `tandem take-over`.
#[derive(clap::Args, Debug)]
pub struct Order {
    /// The instance, or the sync group. A member is ordered about with its whole group.
    #[arg(value_name = "INSTANCE")]
    target: String,
    /// The order ends by itself after this time: 30, 30s, 10m, 2h, 1d. Without it it stands until it is taken back.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasting: Option<Duration>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem end-order`.
#[derive(clap::Args, Debug)]
pub struct Release {
    /// The instance, or the sync group.
    #[arg(value_name = "INSTANCE")]
    target: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem failback`.
#[derive(clap::Args, Debug)]
pub struct Failback {
    /// The instance, or the sync group; all of them when absent.
    #[arg(value_name = "INSTANCE")]
    target: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem maintenance`.
#[derive(clap::Args, Debug)]
pub struct Maintenance {
    /// on or off.
    #[arg(value_name = "on|off", value_parser = ["on", "off"])]
    state: String,
    /// It ends by itself after this time: 30, 30s, 10m, 2h, 1d.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    lasting: Option<Duration>,
    /// Take no address even if no other director is there: they are lost then.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// A time as people write it: `30`, `30s`, `10m`, `2h`, `1d`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, unit)) if unit.is_ascii_alphabetic() => (text.split_at(at).0, unit),
        _ => (text, 's'),
    };
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err("write a number with s, m, h or d".to_owned()),
    };
    let seconds = number.parse::<u64>().ok().filter(|number| *number > 0).and_then(|n| n.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| "write a time like 30s, 10m, 2h or 1d".to_owned())
}

fn body(lasting: Option<Duration>) -> Value {
    lasting.map_or(Value::Null, |lasting| json!({ "for_seconds": lasting.as_secs() }))
}

fn give(daemon: &Daemon, path: &str, body: &Value) -> i32 {
    finish(given(daemon, path, body))
}

fn given(daemon: &Daemon, path: &str, body: &Value) -> Result<Outcome, Error> {
    let Some((ordered, text)) = daemon.ask::<Ordered>("POST", path, body)? else {
        return Ok(Outcome::Refused);
    };
    if daemon.json {
        say(&text);
    } else {
        say(&ordered.done);
        for note in &ordered.notes {
            say(&format!("    {note}"));
        }
    }
    Ok(Outcome::Done)
}

fn of_instance(daemon: &Daemon, instance: &str, verb: &str, body: &Value) -> i32 {
    give(daemon, &format!("/v1/instances/{}/{verb}", encoded(instance)), body)
}

/// `tandem step-down`.
pub fn step_down(args: &Order) -> i32 {
    of_instance(&args.daemon, &args.target, "step-down", &body(args.lasting))
}

/// `tandem take-over`.
pub fn take_over(args: &Order) -> i32 {
    of_instance(&args.daemon, &args.target, "take-over", &body(args.lasting))
}

/// `tandem end-order`.
pub fn release(args: &Release) -> i32 {
    of_instance(&args.daemon, &args.target, "release", &Value::Null)
}

/// `tandem failback`.
pub fn failback(args: &Failback) -> i32 {
    of_instance(&args.daemon, args.target.as_deref().unwrap_or("-"), "failback", &Value::Null)
}

/// `tandem maintenance`.
pub fn maintenance(args: &Maintenance) -> i32 {
    let mut said = json!({ "on": args.state == "on" });
    if args.strict {
        said["strict"] = json!(true);
    }
    if let Some(lasting) = args.lasting {
        said["for_seconds"] = json!(lasting.as_secs());
    }
    give(&args.daemon, "/v1/maintenance", &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "m", "-3", "10 m", "10y", "1.5h", "99999999999999999999d", "10ä"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
