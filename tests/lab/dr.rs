//! The most frequent set-up: client, two directors, three real servers of direct routing on one LAN.

use super::{Lab, host};

/// The virtual address.
pub const VIP: &str = "10.0.0.100";

/// All three real servers, as the table names them.
pub const ALL: [&str; 3] = ["10.0.0.11:80", "10.0.0.12:80", "10.0.0.13:80"];

/// The hosts `client` (10.0.0.200), `d1`, `d2` (10.0.0.1, .2), `rs1` to `rs3` (10.0.0.11 to .13), the last ones with
/// the VIP on `lo`, silent about it on the LAN. The addresses are those of `config/examples/lvs-dr-pair`.
pub fn lab(name: &str) -> Lab {
    super::need_ipvs();
    let mut hosts = vec![
        host("client").nic("eth0", "lan", "10.0.0.200/24"),
        host("d1").nic("eth0", "lan", "10.0.0.1/24"),
        host("d2").nic("eth0", "lan", "10.0.0.2/24"),
    ];
    for number in 1..=3 {
        let address = format!("10.0.0.1{number}/24");
        hosts.push(host(&format!("rs{number}")).nic("eth0", "lan", &address).real_server_of(VIP));
    }
    Lab::build(name, &["lan"], &hosts)
}
