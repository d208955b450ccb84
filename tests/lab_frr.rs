//! Tandem beside FRR's vrrpd, and beside FRR and Debian's keepalived at once, in network namespaces, as root. Who is master
//! is read from the wire, which is the same for all three.

mod lab;

#[path = "lab_frr/pair.rs"]
mod pair;
#[path = "lab_frr/reigns.rs"]
mod reigns;
#[path = "lab_frr/rules.rs"]
mod rules;
#[path = "lab_frr/scene.rs"]
mod scene;
#[path = "lab_frr/triple.rs"]
mod triple;

use std::time::{Duration, Instant};

use lab::director::tandem_only;
use lab::*;
use scene::{Mode, Program, Scene, Spec};

/// True when the scene cannot be played here; then it prints why.
fn left_out() -> bool {
    tandem_only("FRR is the other side") || frr::absent(&["zebra", "vrrpd"])
}
