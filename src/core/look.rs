//! Reads the kernel once for a plan. Changes nothing, loads no module.

use super::plan::{self, Kernel, Net};
use super::{lock, threads};
use crate::config::model::Config;
use crate::ipvs::kernel;
use crate::net::preview::Actual;
use crate::net::space::{Space, within};
use crate::net::writer;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The kernel, as far as it could be read.
    pub kernel: Kernel,
    /// A Tandem runs in this network namespace.
    pub running: bool,
    /// What could not be read, with the cure.
    pub errors: Vec<String>,
}

/// Looks at the network namespace of this thread, and for IPVS at that of `net_namespace_ipvs` where a file names one. `instance`: name of the Tandem that is looked for. Without
/// `needs_ipvs` a kernel without IPVS, or one that may not be asked, is no error. Of routes and rules those are read that the
/// `files` could concern.
pub fn look(instance: &str, needs_ipvs: bool, files: &[&Config]) -> Found {
    let wish = plan::named(files);
    let mut found = Found { running: lock::is_held(instance), ..Found::default() };
    let read = threads::runtime()
        .map_err(|error| error.to_string())
        .and_then(|runtime| runtime.block_on(writer::read_once(&wish)).map_err(|error| error.to_string()));
    match read {
        Ok((links, actual)) => {
            let Actual { addresses, routes, rules, vrfs } = actual;
            found.kernel.net = Some(Net { links, installed: addresses, routes, rules, vrfs });
        }
        Err(error) => found.errors.push(format!("the addresses of this machine cannot be read: {error}")),
    }
    let space = Space::of_ipvs(files.iter().find_map(|config| config.net_namespace_ipvs.as_deref()));
    let table = within(space.as_ref(), || kernel::read_all().map_err(|error| error.to_string()));
    match table.map_err(|error| error.to_string()).and_then(|read| read) {
        Ok(table) => found.kernel.table = Some(table),
        Err(error) if needs_ipvs => {
            found.errors.push(format!("the IPVS table cannot be read: {error}"));
        }
        Err(_) => {}
    }
    found
}
