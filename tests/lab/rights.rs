//! Tandem as a user of its own, with no more rights than its unit's `not-root.conf` grants.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use super::Lab;
use super::director::tandem;
use super::process::Process;

/// `nobody` of Debian: a user without a home and without files.
pub const USER: u32 = 65534;
/// What the work itself asks for; no `sys_admin`, no `dac_override`, no `setuid`.
const RIGHTS: &str = "+net_admin,+net_raw,+net_bind_service";

/// Starts it in a host with this configuration.
pub fn start_unprivileged(lab: &Lab, host: &str, text: &str) -> Process {
    let config = lab.file(&format!("{host}/unprivileged.conf"), text).display().to_string();
    // Wherever the program was built, this user may not look there.
    let program = lab.work().join("tandem");
    if !program.exists() {
        fs::copy(tandem(), &program).expect("a copy of the program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let room = lab.work().join(host).join("own");
    fs::create_dir_all(&room).expect("a folder");
    chown(&room, Some(USER), Some(USER)).expect("chown");
    let path = |name: &str| room.join(name).display().to_string();
    let program = program.display().to_string();
    let (bounds, inherited, ambient) = (
        format!("--bounding-set=-all,{RIGHTS}"),
        format!("--inh-caps=-all,{RIGHTS}"),
        format!("--ambient-caps={RIGHTS}"),
    );
    let user = USER.to_string();
    let argv = [
        "setpriv",
        "--reuid",
        &user,
        "--regid",
        &user,
        "--clear-groups",
        &inherited,
        &ambient,
        &bounds,
        "--",
        &program,
        "run",
        "--config",
        &config,
        "--pid",
        &path("pid"),
        "--control",
        &path("control.sock"),
        "--state-dir",
        &path("state"),
        "--run-dir",
        &path("run"),
    ];
    Process::start(lab, host, &format!("unprivileged tandem on {host}"), &argv, &[])
}

/// The capabilities that a process has in effect, and its user.
pub fn rights_of(pid: i32) -> (u32, String) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = |name: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        found.map(|rest| rest.split_whitespace().next().unwrap_or_default().to_owned()).unwrap_or_default()
    };
    (line("Uid:").parse().expect("a number"), line("CapEff:"))
}
