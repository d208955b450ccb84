//! How every program of this daemon is started: the settings of `global_defs` that are one for all of them.

use std::sync::{PoisonError, RwLock};

use nix::sys::stat::Mode;

/// What `umask`, `set_supplementary_groups` and `use_symlink_paths` say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Mask of the files that programs create; `None` = the daemon's own.
    pub umask: Option<Mode>,
    /// Programs that run as another user have all of that user's groups, not only the one.
    pub supplementary_groups: bool,
    /// Execute the file that a path's symbolic links lead to (keepalived's way; it is what was checked), not the path
    /// as written.
    pub resolve_links: bool,
}

static POLICY: RwLock<Policy> =
    RwLock::new(Policy { umask: None, supplementary_groups: false, resolve_links: false });

/// Sets the policy of every program that is started from now on. Called at start and after a reload.
pub fn set_policy(policy: Policy) {
    // A value of plain flags is whole at every unlock.
    *POLICY.write().unwrap_or_else(PoisonError::into_inner) = policy;
}

/// The mask that the policy names, for files that the daemon creates on behalf of programs.
pub fn umask() -> Option<Mode> {
    current().umask
}

pub(super) fn current() -> Policy {
    *POLICY.read().unwrap_or_else(PoisonError::into_inner)
}
