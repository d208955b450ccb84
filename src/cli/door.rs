//! Commands that go to the running daemon: `servers`, `overrides`, `weight`, `drain`, `disable`, `enable`, `add`, `delete`;
//! below it `status`, `check-now`, `config`, `reload`, `upgrade`, `leave`, orders to VRRP, and what happened.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock;
use crate::control::client::{self, Error};
use crate::control::routes::{ServerName, encoded};
use crate::control::view::{Changed, Overrides, PairedView, RealServerView, Refused, Servers};
use crate::core::door::default_path;
use crate::core::remember::folder;

mod check_now;
mod config;
mod history;
mod life;
mod orders;
mod status;
mod table;
pub(super) mod text;

pub use check_now::{CheckNow, check_now};
pub use config::{ShowConfig, config};
pub use history::{History, Why, history, why};
pub use life::{Leave, Life, leave, reload, upgrade};
pub use orders::{
    Failback, Maintenance, Order, Release, failback, maintenance, release, step_down, take_over,
};
pub use status::{Status, status};

/// How often `--wait` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which daemon is asked.
#[derive(clap::Args, Clone, Debug)]
pub struct Daemon {
    /// Its control socket [default: /run/tandem/control.sock, with --instance control-NAME.sock].
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Name of the daemon, where several run.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    instance: String,
    /// Print the daemon's JSON.
    #[arg(long)]
    pub(super) json: bool,
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

/// Whether the other director is asked as well.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Both {
    /// The same on the other director of the pair (pair_peer), which must take changes (pair_accept_changes). The change here
    /// stands whatever the other one says; exit code 4: it is done here and not there.
    #[arg(long, conflicts_with = "persist")]
    pair: bool,
}

/// Words of `tandem weight`.
#[derive(clap::Args, Debug)]
pub struct Weight {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    both: Both,
    /// 0 to 65535.
    #[arg(value_name = "WEIGHT")]
    weight: u16,
}

/// Words of `tandem drain`.
#[derive(clap::Args, Debug)]
pub struct Drain {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    lasting: Lasting,
    /// Return when it has no connections left, or fail after so many seconds.
    #[arg(long, visible_alias = "until-idle", value_name = "SECONDS", num_args = 0..=1, default_missing_value = "300")]
    wait: Option<u64>,
}

/// How long it lasts.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Lasting {
    /// It ends by itself after this time: 30, 30s, 10m, 2h, 1d. A weight that was given stays. Without it it stands until
    /// it is taken back (enable).
    #[arg(long = "for", value_name = "TIME", value_parser = orders::time, conflicts_with = "persist")]
    lasting: Option<Duration>,
}

impl Lasting {
    fn body(self) -> Value {
        self.lasting.map_or(Value::Null, |lasting| json!({ "for_seconds": lasting.as_secs() }))
    }
}

/// Words of `tandem disable`.
#[derive(clap::Args, Debug)]
pub struct Disable {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    both: Both,
    #[command(flatten)]
    lasting: Lasting,
}

/// Words of `tandem enable`.
#[derive(clap::Args, Debug)]
pub struct Plain {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    both: Both,
}

/// Words of `tandem delete`.
#[derive(clap::Args, Debug)]
pub struct Delete {
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
    /// It is done here, and not at the other director.
    Half,
    /// There is no daemon, or no answer.
    Silent(Error),
}

/// Prints a line, or several. That nobody reads it any more (`| head`) is no defect, and changes nothing of what was done.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let told = writeln!(out, "{}", text.strip_suffix('\n').unwrap_or(text)).and_then(|()| out.flush());
    if let Err(error) = told
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        complain(&format!("standard output cannot be written: {error}"));
    }
}

/// The same for what went wrong.
pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Exit codes: 0 done, 1 no answer, 2 refused, 3 still connections, 4 done here and not at the other director.
fn finish(result: Result<Outcome, Error>) -> i32 {
    match result.unwrap_or_else(Outcome::Silent) {
        Outcome::Done => 0,
        Outcome::Refused => 2,
        Outcome::Waits => 3,
        Outcome::Half => 4,
        Outcome::Silent(error) => {
            complain(&error.to_string());
            1
        }
    }
}

impl Daemon {
    /// Where it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.control.clone().unwrap_or_else(|| default_path(folder(None), &self.instance))
    }

    /// Asks: the document and its text, or the text of a refusal and what it says.
    #[allow(clippy::type_complexity, reason = "two ends of one question")]
    pub(super) fn asked<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Result<Result<(T, String), (String, Refused)>, Error> {
        let socket = self.socket();
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (status, answer) = client::ask(&socket, method, target, body)?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let broken = |problem: String| Error::Broken { path: socket.clone(), problem };
        if status == 200 {
            let document = serde_json::from_slice(&answer).map_err(|error| broken(error.to_string()))?;
            return Ok(Ok((document, text)));
        }
        let refused = serde_json::from_slice(&answer).map_err(|_| broken(format!("HTTP status {status}")))?;
        Ok(Err((text, refused)))
    }

    /// Asks. `Ok(None)`: it was refused, which has been printed.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Result<Option<(T, String)>, Error> {
        let (text, refused) = match self.asked(method, target, body)? {
            Ok(answer) => return Ok(Some(answer)),
            Err(refused) => refused,
        };
        self.refused(&text, &refused);
        Ok(None)
    }

    /// Prints a refusal.
    fn refused(&self, text: &str, refused: &Refused) {
        if self.json {
            say(text);
            return;
        }
        complain(&format!("refused: {}", refused.error.problem));
        for candidate in &refused.error.candidates {
            complain(&format!("    {candidate}"));
        }
        complain(&format!("    what to do: {}", refused.error.cure));
    }
}

impl Target {
    fn path(&self, verb: &str, pair: bool) -> String {
        let service = encoded(self.service.as_deref().unwrap_or("-"));
        let server = encoded(&self.server.to_string());
        let verb = if verb.is_empty() { String::new() } else { format!("/{verb}") };
        let query = match (self.persist, pair) {
            (true, _) => "?persist=true",
            (false, true) => "?pair=true",
            (false, false) => "",
        };
        format!("/v1/real-servers/{service}/{server}{verb}{query}")
    }

    fn change(&self, method: &str, verb: &str, body: &Value, pair: bool) -> Result<Option<Changed>, Error> {
        let Some((changed, text)) = self.daemon.ask::<Changed>(method, &self.path(verb, pair), body)? else {
            return Ok(None);
        };
        if self.daemon.json {
            say(&text);
        } else {
            let (real, service) = (&changed.real_server, &changed.virtual_server);
            say(&format!("real server {real} of {service}: {}", changed.change));
            if let Some(end) = &changed.until {
                say(&format!("it ends by itself at {end}"));
            }
            if let Some(file) = &changed.persisted {
                say(&format!("written into {file}"));
            }
            for note in &changed.notes {
                say(&format!("note: {note}"));
            }
            if let Some(pair) = &changed.pair {
                paired(pair);
            }
        }
        Ok(Some(changed))
    }

    fn plain(&self, method: &str, verb: &str, body: &Value, pair: bool) -> i32 {
        finish(self.change(method, verb, body, pair).map(|changed| changed.map_or(Outcome::Refused, half)))
    }
}

/// What became of a change at both directors.
fn half(changed: Changed) -> Outcome {
    let done = changed.pair.is_none_or(|pair| pair.done);
    if done { Outcome::Done } else { Outcome::Half }
}

/// Prints what the other director said.
fn paired(pair: &PairedView) {
    if pair.done {
        say(&format!("the peer {}: {}", pair.peer, pair.said));
    } else {
        complain(&format!("NOT DONE at the peer {}: {}", pair.peer, pair.said));
        complain("    the change here stands");
    }
    for note in &pair.notes {
        say(&format!("note of the peer: {note}"));
    }
}

/// `tandem weight`.
pub fn weight(args: &Weight) -> i32 {
    args.target.plain("POST", "weight", &json!({ "weight": args.weight }), args.both.pair)
}

/// `tandem disable`.
pub fn disable(args: &Disable) -> i32 {
    args.target.plain("POST", "disable", &args.lasting.body(), args.both.pair)
}

/// `tandem enable`.
pub fn enable(args: &Plain) -> i32 {
    args.target.plain("POST", "enable", &Value::Null, args.both.pair)
}

/// `tandem delete`.
pub fn delete(args: &Delete) -> i32 {
    args.target.plain("DELETE", "", &Value::Null, false)
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
    args.target.plain("POST", "add", &body, false)
}

/// `tandem drain`.
pub fn drain(args: &Drain) -> i32 {
    finish(drained(args))
}

fn drained(args: &Drain) -> Result<Outcome, Error> {
    let Some(changed) = args.target.change("POST", "drain", &args.lasting.body(), args.both.pair)? else {
        return Ok(Outcome::Refused);
    };
    let patience = match args.wait {
        // Whoever waits takes this director's connections for those of both.
        Some(patience) if changed.pair.as_ref().is_none_or(|pair| pair.done) => patience,
        _ => return Ok(half(changed)),
    };
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
            complain(&says);
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
                say(&text);
            } else {
                say(&table::servers(&servers));
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
                say(&text);
            } else {
                say(&table::overrides(&overrides));
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
