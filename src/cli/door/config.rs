//! `tandem config`: the configuration in force, without its secrets.

use std::io::Write as _;

use serde_json::Value;

use super::{Daemon, Outcome, finish};
use crate::control::view::ConfigView;

/// Words of `tandem config`.
#[derive(clap::Args, Debug)]
pub struct ShowConfig {
    /// How it is written.
    #[arg(long, value_name = "FORM", value_parser = ["yaml", "keepalived"], default_value = "yaml")]
    form: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// `tandem config`.
pub fn config(args: &ShowConfig) -> i32 {
    let path = format!("/v1/config?form={}", args.form);
    finish(args.daemon.ask::<ConfigView>("GET", &path, &Value::Null).map(|answer| match answer {
        Some((view, json)) => {
            let text = if args.daemon.json { json + "\n" } else { view.text };
            // Who reads no further has read enough.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            Outcome::Done
        }
        None => Outcome::Refused,
    }))
}
