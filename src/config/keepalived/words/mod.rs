//! The words of keepalived.conf, block by block, and those at the root of a file.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::Level;
use crate::config::marks::Mark;
use crate::config::model::{Config, Linkbeat, LinkbeatMethod, Origin, Ssl, UpDownDelay};
use crate::config::units::Secs;

use super::blocks::{Blocks, Merged, OneBlock};
use super::form::{DAY, Flag, Seconds, Text, TextOr};
use super::keyword::{Block, Form, Inspection, Table, keywords, origin};
use super::reader::Reader;
use super::shared_blocks::SharedBlocks;
use super::tree::Node;
use super::writer::Writer;

#[cfg(test)]
use super::sample::Sampler;

mod auth;
mod check;
mod elements;
mod expect;
mod global;
mod global_forms;
mod group;
mod health;
mod instance;
mod instance_forms;
mod overrides;
mod page;
mod pair_forms;
mod pattern;
mod server;
mod service;
mod status_forms;
mod told;
mod tracked_service;
mod tracker;

const ROOT: Table<Config> = keywords! { Config:
    "net_namespace" => { net_namespace: Text };
    "net_namespace_ipvs" => { net_namespace_ipvs: TextOr("") };
    "namespace_with_ipsets" => { namespace_with_ipsets: Flag };
    "instance" => { instance: Text };
    "use_pid_dir" => { use_pid_dir: Flag };
    "child_wait_time" => { child_wait_time: Seconds(0.0, DAY) };
    "linkbeat_use_polling" => { linkbeat_use_polling: Flag };
    "linkbeat_interfaces" => { linkbeat_interfaces: Linkbeats };
    "interface_up_down_delays" => { interface_up_down_delays: Delays };
    "global_defs" => { global_defs: Merged::<crate::config::model::Global>::of() };
    "SSL" => { ssl: OneBlock::<Ssl>::of() };
    "track_group" => { track_group: Blocks::<crate::config::model::TrackGroup>::all() };
    "static_ipaddress" => { static_ipaddress: elements::StaticAddresses };
    "static_routes" => { static_routes: elements::StaticRoutes };
    "static_rules" => { static_rules: elements::StaticRules };
    "garp_group" => { garp_group: tracker::GarpGroups };
    "bfd_instance" => { bfd_instance: Blocks::<crate::config::model::BfdInstance>::all() };
    "vrrp_script" => { vrrp_script: Blocks::<crate::config::model::VrrpScript>::all() };
    "track_file" ~ "vrrp_track_file" => { track_file: Blocks::<crate::config::model::TrackFile>::all() };
    "vrrp_track_process" => { vrrp_track_process: Blocks::<crate::config::model::TrackProcess>::all() };
    "vrrp_sync_group" => { vrrp_sync_group: Blocks::<crate::config::model::SyncGroup>::all() };
    "vrrp_instance" => { vrrp_instance: Blocks::<crate::config::model::Instance>::all() };
    "virtual_server_group" => { virtual_server_group: Blocks::<crate::config::model::VirtualServerGroup>::all() };
    "virtual_server" => { virtual_server: SharedBlocks };
    "real_server_override" => { real_server_override: overrides::Overrides };
};

impl Block for Config {
    const WHAT: &'static str = "the file";
    origin!();

    fn table() -> Table<Self> {
        ROOT
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    #[cfg(test)]
    fn blank(_: &mut Sampler) -> Self {
        Self::default()
    }
}

const SSL: Table<Ssl> = keywords! { Ssl:
    "password" => { password: global_forms::SecretText };
    "ca" => { ca: Text };
    "certificate" => { certificate: Text };
    "key" => { key: Text };
};

impl Block for Ssl {
    const WHAT: &'static str = "SSL";
    origin!();

    fn table() -> Table<Self> {
        SSL
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    #[cfg(test)]
    fn blank(_: &mut Sampler) -> Self {
        Self::default()
    }
}

/// Lines `IF [MII|ETHTOOL|IOCTL]`.
struct Linkbeats;

const METHODS: [(&str, LinkbeatMethod); 3] =
    [("MII", LinkbeatMethod::Mii), ("ETHTOOL", LinkbeatMethod::Ethtool), ("IOCTL", LinkbeatMethod::Ioctl)];

impl Form for Linkbeats {
    type Slot = Vec<Linkbeat>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        for child in node.children() {
            let mut linkbeat = Linkbeat::new(child.key().to_owned());
            linkbeat.origin = Origin::at(child.place(0));
            if let Some(word) = child.argument(0) {
                linkbeat.method = METHODS.iter().find(|(name, _)| *name == word).map(|(_, method)| *method);
                if linkbeat.method.is_none() {
                    let word = word.to_owned();
                    r.bad_word(&child, 1, &word, "MII, ETHTOOL or IOCTL", "it is chosen automatically");
                }
            }
            slot.push(linkbeat);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        w.open::<&str>(word, &[]);
        for linkbeat in slot {
            let mut words = vec![w.quote(&linkbeat.interface)];
            words.extend(
                METHODS.iter().find(|(_, m)| Some(*m) == linkbeat.method).map(|(name, _)| (*name).to_owned()),
            );
            w.element(&words.join(" "));
        }
        w.close();
    }

    fn says(&self) -> String {
        "{ INTERFACE [MII|ETHTOOL|IOCTL] … }".to_owned()
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        for (linkbeat, mark) in slot.iter_mut().zip(mark.elements()) {
            linkbeat.origin = Origin::at(mark.place(file));
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let mut linkbeat = Linkbeat::new(s.interface());
        linkbeat.method = s.pick(&METHODS).map(|(_, method)| method).filter(|_| s.flip());
        slot.push(linkbeat);
    }
}

/// Lines `IF DOWN [UP]`.
struct Delays;

impl Form for Delays {
    type Slot = Vec<UpDownDelay>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        for child in node.children() {
            let secs =
                |n: usize| child.argument(n).and_then(Secs::parse_decimal).filter(|s| s.0.as_secs() <= 255);
            let Some(down) = secs(0) else {
                let text = child.argument(0).unwrap_or_default().to_owned();
                r.bad_word(
                    &child,
                    1,
                    &text,
                    "INTERFACE DOWN [UP], each from 0 to 255 s",
                    "the line is passed over",
                );
                continue;
            };
            let mut delay = UpDownDelay::new(child.key().to_owned(), down);
            delay.up = secs(1);
            if delay.up.is_none() && child.argument(1).is_some() {
                let problem = "the delay of coming up is no number of seconds from 0 to 255";
                r.find(
                    Level::Warning,
                    &child,
                    2,
                    "bad-value",
                    problem,
                    "it is passed over",
                    "write 0 to 255",
                );
            }
            slot.push(delay);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        w.open::<&str>(word, &[]);
        for delay in slot {
            let up = delay.up.map(|up| format!(" {up}")).unwrap_or_default();
            let interface = w.quote(&delay.interface);
            w.element(&format!("{interface} {}{up}", delay.down));
        }
        w.close();
    }

    fn says(&self) -> String {
        "{ INTERFACE DOWN [UP] … }".to_owned()
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        for (delay, mark) in slot.iter_mut().zip(mark.elements()) {
            delay.origin = Origin::at(mark.place(file));
        }
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        for delay in slot {
            if delay.down.0.as_secs() > 255 {
                i.out_of_range(delay.down, "0 to 255 s");
                delay.down = Secs::from_secs(0);
            }
            if let Some(up) = delay.up.take_if(|up| up.0.as_secs() > 255) {
                i.out_of_range(up, "0 to 255 s");
            }
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let mut delay = UpDownDelay::new(s.interface(), Secs::from_secs(s.below(256)));
        delay.up = s.flip().then(|| Secs::from_secs(3));
        slot.push(delay);
    }
}

/// Every word of every block.
pub(in crate::config) fn catalogue() -> Vec<super::WordEntry> {
    use crate::config::model as m;
    let mut all = Vec::new();
    super::entries::<Config>(&mut all);
    super::entries::<m::Global>(&mut all);
    super::entries::<Ssl>(&mut all);
    super::entries::<m::TrackGroup>(&mut all);
    super::entries::<m::GarpGroup>(&mut all);
    super::entries::<m::BfdInstance>(&mut all);
    super::entries::<m::VrrpScript>(&mut all);
    super::entries::<m::TrackFile>(&mut all);
    super::entries::<m::TrackProcess>(&mut all);
    super::entries::<m::SyncGroup>(&mut all);
    super::entries::<m::Instance>(&mut all);
    super::entries::<m::Authentication>(&mut all);
    super::entries::<m::AuthHmac>(&mut all);
    super::entries::<m::VirtualServerGroup>(&mut all);
    super::entries::<m::VirtualServer>(&mut all);
    super::entries::<m::RealServer>(&mut all);
    super::entries::<m::TcpCheck>(&mut all);
    super::entries::<m::HttpGet>(&mut all);
    super::entries::<m::Url>(&mut all);
    super::entries::<m::SmtpCheck>(&mut all);
    super::entries::<m::SmtpHost>(&mut all);
    super::entries::<m::DnsCheck>(&mut all);
    super::entries::<m::MiscCheck>(&mut all);
    super::entries::<m::UdpCheck>(&mut all);
    super::entries::<m::PingCheck>(&mut all);
    super::entries::<m::GrpcCheck>(&mut all);
    super::entries::<m::FileCheck>(&mut all);
    super::entries::<m::BfdCheck>(&mut all);
    all
}
