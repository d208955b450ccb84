//! What this machine has of what a file names: interfaces, scripts, users. Looked up only when asked to.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::model::{Command, ScriptUser};
use super::units::Prefix;
use crate::process;

/// Where to look. The default looks nowhere: then only the text itself is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Names of the interfaces; `None` = not looked at.
    pub interfaces: Option<BTreeSet<String>>,
    /// Subnets that this machine's interfaces are in; empty = not looked at.
    pub subnets: Vec<Prefix>,
    /// Look whether scripts exist and can run, and whether users exist.
    pub look_at_files: bool,
    /// Which `@id` lines are meant.
    pub config_id: Option<String>,
    /// Check plain `include` as strictly as `includea` (keepalived's `-e`).
    pub strict_includes: bool,
    /// Do not open included files: for text that nobody vouches for.
    pub no_includes: bool,
    /// Leave the blocks as they are written, whatever `real_server_override` says.
    pub without_overrides: bool,
}

impl Facts {
    /// This machine as it is now.
    pub fn of_this_machine() -> Self {
        // By system call: /sys shows the interfaces of the namespace that mounted it.
        let names = nix::net::if_::if_nameindex().ok().map(|all| {
            all.iter()
                .map(|interface| interface.name().to_string_lossy().into_owned())
                .collect::<BTreeSet<_>>()
        });
        Self {
            interfaces: names,
            subnets: subnets(),
            look_at_files: true,
            config_id: Self::host_id(),
            ..Self::default()
        }
    }

    /// The text alone, with `@id` lines of this host.
    pub fn of_the_text() -> Self {
        Self { config_id: Self::host_id(), ..Self::default() }
    }

    /// What the reader of keepalived.conf needs.
    pub(super) fn read_options(&self) -> super::keepalived::ReadOptions {
        super::keepalived::ReadOptions {
            config_id: self.config_id.clone(),
            strict_includes: self.strict_includes,
            no_includes: self.no_includes,
            seed: u64::from(std::process::id()),
        }
    }

    /// The short host name: what `@id` lines mean without `-i`.
    fn host_id() -> Option<String> {
        let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
        name.split('.').next().map(str::to_owned)
    }

    /// What is wrong with a file that checks are to read, and the cure; `None` = nothing, or not looked at.
    pub(super) fn file_problem(&self, path: &Path) -> Option<(String, String)> {
        if self.look_at_files { unreadable(path) } else { None }
    }

    /// What is wrong with a file whose content nobody else may know, and the cure; `None` = nothing, or not looked at. `least`:
    /// letters that it must have.
    pub(super) fn token_problem(&self, path: &Path, least: usize) -> Option<(String, String)> {
        use std::os::unix::fs::PermissionsExt as _;
        if !self.look_at_files {
            return None;
        }
        if let Some(problem) = unreadable(path) {
            let (problem, _) = problem;
            return Some((
                problem,
                format!("write one line of at least {least} letters and digits into it, mode 600"),
            ));
        }
        let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
        let open = (mode & 0o027 != 0).then(|| format!("others may read or change it (mode {mode:04o})"))?;
        Some((open, format!("chmod 600 {}", path.display())))
    }

    /// What is wrong with a command on this machine, and the cure; `None` = nothing, or not looked at.
    pub(super) fn command_problem(
        &self,
        command: &Command,
        default_user: Option<&ScriptUser>,
        security: bool,
    ) -> Option<(String, String)> {
        if !self.look_at_files {
            return None;
        }
        let run_as = match command.user.as_ref().or(default_user) {
            Some(named) => match process::identity(&named.user, named.group.as_deref()) {
                Ok(who) => Some(who),
                Err(error) => return Some(error.problem_and_cure()),
            },
            // keepalived's rule: that user, if there is one.
            None => process::identity("keepalived_script", None).ok(),
        };
        let first = command.argv.first()?;
        let problem = process::script_check(first, run_as.as_ref(), security).err()?;
        Some((problem.to_string(), problem.cure()))
    }
}

/// What is wrong with a file that checks are to read, and the cure.
fn unreadable(path: &Path) -> Option<(String, String)> {
    let system = |error: &io::Error| {
        let text = error.to_string();
        text.split(" (os error").next().unwrap_or_default().to_lowercase()
    };
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) => return Some((system(&error), "put it there, or mend the name".to_owned())),
    };
    // Not opened: a pipe would hold up whoever does.
    if !about.is_file() {
        return Some(("it is no file".to_owned(), "name a file in PEM form".to_owned()));
    }
    if about.len() == 0 {
        return Some(("it is empty".to_owned(), "put certificates in PEM form into it".to_owned()));
    }
    let error = fs::File::open(path).err()?;
    Some((system(&error), "let the daemon's user read it (chmod, chown)".to_owned()))
}

/// The subnets of this machine's addresses, those of one host left out.
fn subnets() -> Vec<Prefix> {
    let all = nix::ifaddrs::getifaddrs().into_iter().flatten();
    all.filter_map(|interface| {
        let (address, mask) = (interface.address?, interface.netmask?);
        if let (Some(address), Some(mask)) = (address.as_sockaddr_in(), mask.as_sockaddr_in()) {
            let length = u32::from(mask.ip()).count_ones();
            return Some(Prefix { address: address.ip().into(), length: u8::try_from(length).ok()? });
        }
        let (address, mask) = (address.as_sockaddr_in6()?.ip(), mask.as_sockaddr_in6()?.ip());
        let length = u128::from(mask).count_ones();
        Some(Prefix { address: address.into(), length: u8::try_from(length).ok()? })
    })
    .filter(|prefix| *prefix != Prefix::host(prefix.address) && !prefix.address.is_loopback())
    .collect()
}
