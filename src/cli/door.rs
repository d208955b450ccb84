//! Commands that go to the running daemon: `servers`, `overrides`, `weight`, `drain`, `disable`, `enable`, `add`, `delete`.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock;
use crate::control::client::{self, Error};
use crate::control::routes::{ServerName, encoded};
use crate::control::view::{Changed, Overrides, RealServerView, Refused, Servers};
use crate::core::door::default_path;
use crate::core::remember::folder;

mod life;
mod table;

pub use life::{Leave, Life, leave, reload, upgrade};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which daemon is asked.
#[derive(clap::Args, Debug)]
pub struct Daemon {
    /// Its control socket [default: /run/tandem/control.sock, with --instance control-NAME.sock].
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Name of the daemon, where several run.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    instance: String,
    /// Print the daemon's JSON.
    #[arg(long)]
    json: bool,
}

/// Which real server a command is about.
#[derive(clap::Args, Debug)]
pub struct Target {
    /// The real server: ADDRESS:PORT, or ADDRESS where that is enough.
    #[arg(value_name = "REAL_SERVER")]
    server: ServerName,
    /// Its virtual server, as `tandem servers` names it: "TCP 192.0.2.1:80", "FWM 5", "group web TCP".
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Write the change into the include file (override_file), too.
    #[arg(long)]
    persist: bool,
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem weight`.
#[derive(clap::Args, Debug)]
pub struct Weight {
    #[command(flatten)]
    target: Target,
    /// 0 to 65535.
    #[arg(value_name = "WEIGHT")]
    weight: u16,
}

/// Words of `tandem drain`.
#[derive(clap::Args, Debug)]
pub struct Drain {
    #[command(flatten)]
    target: Target,
    /// Return when it has no connections left, or fail after so many seconds.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300")]
    wait: Option<u64>,
}

/// Words of `tandem disable`, `enable` and `delete`.
#[derive(clap::Args, Debug)]
pub struct Plain {
    #[command(flatten)]
    target: Target,
}

/// Words of `tandem add`.
#[derive(clap::Args, Debug)]
pub struct Add {
    #[command(flatten)]
    target: Target,
    /// Its weight; that of the server that it is like when absent.
    #[arg(long, value_name = "WEIGHT")]
    weight: Option<u16>,
    /// The real server of the same virtual server whose settings and checks it gets; the first one when absent.
    #[arg(long, value_name = "REAL_SERVER")]
    like: Option<ServerName>,
}

/// Words of `tandem servers`.
#[derive(clap::Args, Debug)]
pub struct List {
    /// This virtual server alone.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

/// Words of `tandem overrides`.
#[derive(clap::Args, Debug)]
pub struct ListOverrides {
    #[command(flatten)]
    daemon: Daemon,
}

/// What came of a command; the exit code is that of [`finish`].
enum Outcome {
    Done,
    /// The daemon said no.
    Refused,
    /// `--wait` was over before the connections were.
    Waits,
    /// There is no daemon, or no answer.
    Silent(Error),
}

/// Exit codes: 0 done, 1 no answer, 2 refused, 3 still connections.
fn finish(result: Result<Outcome, Error>) -> i32 {
    match result.unwrap_or_else(Outcome::Silent) {
        Outcome::Done => 0,
        Outcome::Refused => 2,
        Outcome::Waits => 3,
        Outcome::Silent(error) => {
            eprintln!("{error}");
            1
        }
    }
}

impl Daemon {
    /// Asks. `Ok(None)`: it was refused, which has been printed.
    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Result<Option<(T, String)>, Error> {
        let socket = self.control.clone().unwrap_or_else(|| default_path(folder(None), &self.instance));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (status, answer) = client::ask(&socket, method, target, body)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let broken = |problem: String| Error::Broken { path: socket.clone(), problem };
        if status == 200 {
            let document = serde_json::from_slice(&answer).map_err(|error| broken(error.to_string()))?;
            return Ok(Some((document, text)));
        }
        if self.json {
            println!("{text}");
            return Ok(None);
        }
        let refused: Refused =
            serde_json::from_slice(&answer).map_err(|_| broken(format!("HTTP status {status}")))?;
        eprintln!("refused: {}", refused.error.problem);
        for candidate in &refused.error.candidates {
            eprintln!("    {candidate}");
        }
        eprintln!("    what to do: {}", refused.error.cure);
        Ok(None)
    }
}

impl Target {
    fn path(&self, verb: &str) -> String {
        let service = encoded(self.service.as_deref().unwrap_or("-"));
        let server = encoded(&self.server.to_string());
        let verb = if verb.is_empty() { String::new() } else { format!("/{verb}") };
        let persist = if self.persist { "?persist=true" } else { "" };
        format!("/v1/real-servers/{service}/{server}{verb}{persist}")
    }

    fn change(&self, method: &str, verb: &str, body: &Value) -> Result<Option<Changed>, Error> {
        let Some((changed, text)) = self.daemon.ask::<Changed>(method, &self.path(verb), body)? else {
            return Ok(None);
        };
        if self.daemon.json {
            println!("{text}");
        } else {
            println!("real server {} of {}: {}", changed.real_server, changed.virtual_server, changed.change);
            if let Some(file) = &changed.persisted {
                println!("written into {file}");
            }
            for note in &changed.notes {
                println!("note: {note}");
            }
        }
        Ok(Some(changed))
    }

    fn plain(&self, method: &str, verb: &str, body: &Value) -> i32 {
        finish(self.change(method, verb, body).map(|changed| match changed {
            Some(_) => Outcome::Done,
            None => Outcome::Refused,
        }))
    }
}

/// `tandem weight`.
pub fn weight(args: &Weight) -> i32 {
    args.target.plain("POST", "weight", &json!({ "weight": args.weight }))
}

/// `tandem disable`.
pub fn disable(args: &Plain) -> i32 {
    args.target.plain("POST", "disable", &Value::Null)
}

/// `tandem enable`.
pub fn enable(args: &Plain) -> i32 {
    args.target.plain("POST", "enable", &Value::Null)
}

/// `tandem delete`.
pub fn delete(args: &Plain) -> i32 {
    args.target.plain("DELETE", "", &Value::Null)
}

/// `tandem add`.
pub fn add(args: &Add) -> i32 {
    let mut body = json!({});
    if let Some(weight) = args.weight {
        body["weight"] = json!(weight);
    }
    if let Some(like) = args.like {
        body["like"] = json!(like.to_string());
    }
    args.target.plain("POST", "add", &body)
}

/// `tandem drain`.
pub fn drain(args: &Drain) -> i32 {
    finish(drained(args))
}

fn drained(args: &Drain) -> Result<Outcome, Error> {
    let Some(changed) = args.target.change("POST", "drain", &Value::Null)? else {
        return Ok(Outcome::Refused);
    };
    let Some(patience) = args.wait else { return Ok(Outcome::Done) };
    let until = clock::now() + Duration::from_secs(patience);
    let path = format!("/v1/real-servers?service={}", encoded(&changed.virtual_server));
    loop {
        // First some time after it began: by then the kernel sends it nothing new.
        std::thread::park_timeout(LOOK_EVERY);
        let Some((servers, _)) = args.target.daemon.ask::<Servers>("GET", &path, &Value::Null)? else {
            return Ok(Outcome::Refused);
        };
        let mut reals = servers.virtual_servers.iter().flat_map(|server| &server.real_servers);
        let found = reals.find(|real| real.name == changed.real_server);
        if let Some((outcome, says)) = waited(found, clock::now() >= until, patience) {
            eprintln!("{says}");
            return Ok(outcome);
        }
    }
}

/// What `--wait` comes to; `None`: it goes on.
fn waited(real: Option<&RealServerView>, over: bool, patience: u64) -> Option<(Outcome, String)> {
    let Some(real) = real else { return Some((Outcome::Done, "it is gone".to_owned())) };
    match (real.admin_state.as_str(), real.connections) {
        ("drain", Some(0)) => Some((Outcome::Done, "it has no connections left".to_owned())),
        ("drain", _) if !over => None,
        ("drain", Some(left)) => {
            Some((Outcome::Waits, format!("it still has {left} connections after {patience} s")))
        }
        // Unknown is not none.
        ("drain", None) => {
            let says = "the daemon cannot see how many connections it has: /proc/net/ip_vs cannot be read";
            Some((Outcome::Waits, says.to_owned()))
        }
        (state, _) => {
            Some((Outcome::Waits, format!("it does not drain any more: somebody has made it {state}")))
        }
    }
}

/// `tandem servers`.
pub fn servers(args: &List) -> i32 {
    let query = args.service.as_deref().map(|name| format!("?service={}", encoded(name)));
    let path = format!("/v1/real-servers{}", query.unwrap_or_default());
    finish(args.daemon.ask::<Servers>("GET", &path, &Value::Null).map(|answer| match answer {
        Some((servers, text)) => {
            if args.daemon.json {
                println!("{text}");
            } else {
                print!("{}", table::servers(&servers));
            }
            Outcome::Done
        }
        None => Outcome::Refused,
    }))
}

/// `tandem overrides`.
pub fn overrides(args: &ListOverrides) -> i32 {
    finish(args.daemon.ask::<Overrides>("GET", "/v1/overrides", &Value::Null).map(|answer| match answer {
        Some((overrides, text)) => {
            if args.daemon.json {
                println!("{text}");
            } else {
                print!("{}", table::overrides(&overrides));
            }
            Outcome::Done
        }
        None => Outcome::Refused,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_connections_are_not_none() {
        let real = |state: &str, connections| RealServerView {
            admin_state: state.to_owned(),
            connections,
            ..RealServerView::default()
        };
        for (real, over, wanted) in [
            (real("drain", Some(0)), false, Some("it has no connections left")),
            (real("drain", Some(3)), false, None),
            (real("drain", Some(3)), true, Some("it still has 3 connections after 9 s")),
            (real("drain", None), false, None),
            (
                real("drain", None),
                true,
                Some("the daemon cannot see how many connections it has: /proc/net/ip_vs cannot be read"),
            ),
            (real("enabled", None), false, Some("it does not drain any more: somebody has made it enabled")),
        ] {
            let found = waited(Some(&real), over, 9);
            assert_eq!(found.as_ref().map(|(_, says)| says.as_str()), wanted);
            let done = found.is_some_and(|(outcome, _)| matches!(outcome, Outcome::Done));
            assert_eq!(done, real.connections == Some(0));
        }
        assert!(matches!(waited(None, false, 9), Some((Outcome::Done, _))));
    }
}
