//! Prometheus' own tool: the one of this machine, or the one that `tests/lab/setup.sh` took out of its package.

use std::process::{Command, Stdio};

const PLACES: [&str; 2] = ["promtool", concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab/bin/promtool")];

/// The program, when there is one.
pub(crate) fn promtool() -> Option<&'static str> {
    let runs = |program: &&str| {
        let tried =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    PLACES.into_iter().find(runs)
}
