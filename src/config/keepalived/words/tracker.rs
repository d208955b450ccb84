//! Trackers, sync groups, track groups, BFD instances, garp groups.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::Level;
use crate::config::keepalived::blocks::Blocks;
use crate::config::keepalived::form::{Address, Choice, DAY, Flag, Number, Seconds, Short, Switch};
use crate::config::keepalived::forms::{Cmd, List, Millis, Names, Script, ScriptUserOf, Tracked, Tracks};
use crate::config::keepalived::keyword::{Block, Form, Inspection, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::marks::Mark;
use crate::config::model::{
    BfdInstance, Command, GarpGroup, InitFile, ParamMatch, SyncGroup, TrackFile, TrackGroup, TrackProcess,
    VrrpScript,
};
use crate::config::units::Secs;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// An object with `weight N [reverse]`.
pub(super) trait Weighted {
    fn weight(&mut self) -> (&mut Option<i16>, &mut bool);
    fn weight_now(&self) -> (Option<i16>, bool);
}

macro_rules! weighted {
    ($($type:ty),*) => { $(
        impl Weighted for $type {
            fn weight(&mut self) -> (&mut Option<i16>, &mut bool) {
                (&mut self.weight, &mut self.reverse)
            }
            fn weight_now(&self) -> (Option<i16>, bool) {
                (self.weight, self.reverse)
            }
        }
    )* };
}
weighted!(VrrpScript, TrackFile, TrackProcess, BfdInstance, crate::config::model::FileCheck);

/// `weight N [reverse]`, from `-.0` to `.0`.
pub(super) struct Weight(pub(super) i16);

impl<T: Weighted> WholeForm<T> for Weight {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut T) {
        let (weight, reverse) = object.weight();
        if let Some(number) = r.number(node, -self.0..=self.0) {
            *weight = Some(number);
        }
        match r.argument(node, 1).map(str::to_owned) {
            None => {}
            Some(word) if word == "reverse" => *reverse = true,
            Some(word) => {
                r.bad_word(node, 2, &word, "reverse, or nothing, behind the weight", "it is passed over");
            }
        }
    }
    fn write(&self, word: &str, object: &T, w: &mut Writer) {
        let (weight, reverse) = object.weight_now();
        let number = weight.unwrap_or(0).to_string();
        if weight.is_none() {
            w.impossible.push("reverse without a weight".to_owned());
        }
        if reverse { w.line(word, &[number.as_str(), "reverse"]) } else { w.line(word, &[number]) }
    }
    fn is_set(&self, object: &T) -> bool {
        object.weight_now() != (None, false)
    }
    fn says(&self) -> String {
        format!("a number from -{0} to {0} [reverse]", self.0)
    }
    fn inspect(&self, object: &mut T, i: &mut Inspection) {
        if let Some(weight) = object.weight().0.take_if(|w| !(-self.0..=self.0).contains(w)) {
            i.out_of_range(weight, WholeForm::<T>::says(self));
        }
    }
    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, object: &mut T) {
        let (weight, reverse) = object.weight();
        *weight = i16::try_from(s.number(i64::from(-self.0), i64::from(self.0))).ok();
        *reverse = s.flip();
    }
}

/// The name behind a keyword; its lack drops the block.
pub(super) fn named(r: &mut Reader, node: &Node<'_>) -> Option<String> {
    r.text(node)
}

macro_rules! named_block {
    ($type:ty, $what:literal, $table:ident, |$r:ident, $n:ident, $name:ident| $open:expr, |$s:ident| $blank:expr $(, $complete:item)?) => {
        impl Block for $type {
            const WHAT: &'static str = $what;
            origin!();

            fn table() -> Table<Self> {
                $table
            }

            fn open($r: &mut Reader, $n: &Node<'_>) -> Option<Self> {
                let $name = named($r, $n)?;
                Some($open)
            }

            fn header(&self, w: &mut Writer) -> Vec<String> {
                vec![w.quote(&self.name)]
            }

            fn name(&self) -> Option<&str> {
                Some(&self.name)
            }

            $($complete)?

            #[cfg(test)]
            fn blank($s: &mut Sampler) -> Self {
                $blank
            }
        }
    };
}
pub(super) use named_block;

const SCRIPT: Table<VrrpScript> = keywords! { VrrpScript:
    "script" => { script: Script };
    "interval" => { interval: Interval };
    "timeout" => { timeout: Timeout };
    "weight" => { * Weight(253) };
    "rise" => { rise: Number(1, u32::MAX) };
    "fall" => { fall: Number(1, u32::MAX) };
    "user" => { script.user: ScriptUserOf };
    "init_fail" => { init_fail: Flag };
};

named_block!(
    VrrpScript,
    "vrrp_script",
    SCRIPT,
    |r, n, name| Self::new(name, Command::default()),
    |s| {
        let name = s.name();
        s.scripts.push(name.clone());
        Self::new(name, Command { argv: s.argv(), user: None })
    },
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.script.argv.is_empty();
        if !good {
            let problem = format!("vrrp_script {} has no script", self.name);
            let consequence = "it is dropped, and whoever tracks it goes on without it";
            let fix = "write script \"/path/to/program\" into it";
            r.find(Level::Error, node, 1, "no-command", problem, consequence, fix);
        }
        good
    }
);

/// Seconds; keepalived makes 1 of 0.
struct Interval;

impl Form for Interval {
    type Slot = Option<Secs>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        Seconds(0.0, DAY).read(r, node, slot);
        if let Some(secs) = slot
            && secs.0.is_zero()
        {
            *slot = Some(Secs::from_secs(1));
            r.bad(node, "0", "at least 0.001", "1 s is taken");
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Seconds(0.001, DAY).write(word, slot, w);
    }

    fn says(&self) -> String {
        Seconds(0.001, DAY).says()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Seconds(0.001, DAY).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Seconds(0.001, DAY).sample(s, slot);
    }
}

/// Seconds; 0 is no time limit that anything could keep.
struct Timeout;

impl Form for Timeout {
    type Slot = Option<Secs>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        Seconds(0.0, DAY).read(r, node, slot);
        *slot = slot.filter(|secs| !secs.0.is_zero());
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Interval.write(word, slot, w);
    }

    fn says(&self) -> String {
        Interval.says()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Interval.inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Interval.sample(s, slot);
    }
}

const FILE: Table<TrackFile> = keywords! { TrackFile:
    "file" => { * FilePath };
    "weight" => { * Weight(254) };
    "init_file" => { init_file: Init };
};

named_block!(
    TrackFile,
    "track_file",
    FILE,
    |r, n, name| Self::new(name, String::new()),
    |s| {
        let name = s.name();
        s.files.push(name.clone());
        Self::new(name, s.text())
    },
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.file.is_empty();
        if !good {
            let problem = format!("track_file {} has no file", self.name);
            r.find(
                Level::Error,
                node,
                1,
                "no-file",
                problem,
                "it is dropped",
                "write file \"/path\" into it",
            );
        }
        good
    }
);

struct FilePath;

impl WholeForm<TrackFile> for FilePath {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut TrackFile) {
        if let Some(text) = r.text(node) {
            object.file = text;
        }
    }
    fn write(&self, word: &str, object: &TrackFile, w: &mut Writer) {
        let text = w.quote(&object.file);
        w.line(word, &[text]);
    }
    fn is_set(&self, object: &TrackFile) -> bool {
        !object.file.is_empty()
    }
    fn says(&self) -> String {
        "PATH".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut TrackFile) {}
}

/// `[VALUE] [overwrite]`.
struct Init;

impl Form for Init {
    type Slot = Option<InitFile>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let mut init = InitFile::default();
        for (at, word) in node.arguments().into_iter().enumerate() {
            match word.parse() {
                Ok(number) => init.value = Some(number),
                Err(_) if word == "overwrite" => init.overwrite = true,
                Err(_) => r.bad_word(node, at + 1, word, "a number, overwrite, or both", "it is passed over"),
            }
        }
        *slot = Some(init);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(init) = slot {
            let mut words: Vec<String> = init.value.iter().map(ToString::to_string).collect();
            words.extend(init.overwrite.then(|| "overwrite".to_owned()));
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "[NUMBER] [overwrite]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let value = s.flip().then(|| s.number(-300, 300));
        *slot = Some(InitFile { value, overwrite: s.flip() });
    }
}

const PROCESS: Table<TrackProcess> = keywords! { TrackProcess:
    "process" => { process: List };
    "param_match" => { param_match: Choice(
        &[("initial", ParamMatch::Initial), ("partial", ParamMatch::Partial)], "the line is passed over") };
    "full_command" => { full_command: Flag };
    "weight" => { * Weight(254) };
    "quorum" => { quorum: Number(1, u16::MAX) };
    "quorum_max" => { quorum_max: Number(0, u16::MAX) };
    "delay" => { * BothDelays };
    "terminate_delay" => { terminate_delay: Seconds(0.000_001, 3600.0) };
    "fork_delay" => { fork_delay: Seconds(0.000_001, 3600.0) };
};

/// `delay`: both at once.
struct BothDelays;

impl WholeForm<TrackProcess> for BothDelays {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut TrackProcess) {
        Seconds(0.000_001, 3600.0).read(r, node, &mut object.terminate_delay);
        object.fork_delay = object.terminate_delay;
    }
    fn write(&self, _: &str, _: &TrackProcess, _: &mut Writer) {}
    fn is_set(&self, _: &TrackProcess) -> bool {
        false
    }
    fn says(&self) -> String {
        Seconds(0.000_001, 3600.0).says()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut TrackProcess) {}
}

named_block!(
    TrackProcess,
    "vrrp_track_process",
    PROCESS,
    |r, n, name| Self::new(name, Vec::new()),
    |s| {
        let name = s.name();
        s.processes.push(name.clone());
        Self::new(name, vec!["nginx".to_owned()])
    },
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.process.is_empty();
        if !good {
            let problem = format!("vrrp_track_process {} has no process", self.name);
            r.find(
                Level::Error,
                node,
                1,
                "no-command",
                problem,
                "it is dropped",
                "write process NAME into it",
            );
        }
        good
    }
);

const BFD: Table<BfdInstance> = keywords! { BfdInstance:
    "neighbor_ip" | "neighbour_ip" => { * Neighbour };
    "source_ip" => { source_ip: Address };
    "min_rx" => { min_rx: Millis(1, u32::MAX / 1000) };
    "min_tx" => { min_tx: Millis(1, u32::MAX / 1000) };
    "idle_tx" => { idle_tx: Millis(1000, u32::MAX / 1000) };
    "multiplier" => { multiplier: Number(1, 255) };
    "passive" => { passive: Flag };
    "ttl" | "hoplimit" => { ttl: Number(1, 255) };
    "max_hops" => { max_hops: Number(-1, 255) };
    "multihop" => { multihop: Switch };
    "weight" => { * Weight(253) };
    "vrrp" => { vrrp: Flag };
    "checker" => { checker: Flag };
};

/// `neighbor_ip`: the address that a BFD instance cannot be without.
struct Neighbour;

impl WholeForm<BfdInstance> for Neighbour {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut BfdInstance) {
        if let Some(address) = r.address(node) {
            object.neighbor_ip = address;
        }
    }
    fn write(&self, word: &str, object: &BfdInstance, w: &mut Writer) {
        w.line(word, &[object.neighbor_ip.to_string()]);
    }
    fn is_set(&self, object: &BfdInstance) -> bool {
        !object.neighbor_ip.is_unspecified()
    }
    fn says(&self) -> String {
        "an IP address".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut BfdInstance) {}
}

named_block!(
    BfdInstance,
    "bfd_instance",
    BFD,
    |r, n, name| {
        if name.len() > 32 {
            r.bad(n, &name, "a name of at most 32 characters", "it is kept as it is");
        }
        Self::new(name, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    },
    |s| {
        let name = s.name();
        s.bfds.push(name.clone());
        Self::new(name, IpAddr::V6(s.ipv6()))
    },
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.neighbor_ip.is_unspecified();
        if !good {
            let problem = format!("bfd_instance {} has no neighbor_ip", self.name);
            r.find(
                Level::Error,
                node,
                1,
                "no-neighbour",
                problem,
                "it is dropped",
                "write neighbor_ip ADDRESS into it",
            );
        }
        good
    }
);

const GROUP: Table<SyncGroup> = keywords! { SyncGroup:
    "group" => { group: Names };
    "track_script" => { track_script: Tracks(Tracked::Script, 253) };
    "track_interface" => { track_interface: Tracks(Tracked::Interface, 253) };
    "track_file" => { track_file: Tracks(Tracked::File, 254) };
    "track_process" => { track_process: Tracks(Tracked::Process, 254) };
    "track_bfd" => { track_bfd: Tracks(Tracked::Bfd, 253) };
    "track_virtual_server" => { track_virtual_server: super::tracked_service::TrackedServices };
    "notify_master" => { notify_master: Cmd };
    "notify_backup" => { notify_backup: Cmd };
    "notify_fault" => { notify_fault: Cmd };
    "notify_stop" => { notify_stop: Cmd };
    "notify" => { notify: Cmd };
    "notify_priority_changes" => { notify_priority_changes: Switch };
    "smtp_alert" => { smtp_alert: Switch };
    never "global_tracking" => { global_tracking: Flag };
    "sync_group_tracking_weight" => { sync_group_tracking_weight: Flag };
};

named_block!(
    SyncGroup,
    "vrrp_sync_group",
    GROUP,
    |r, n, name| Self::new(name, Vec::new()),
    |s| Self::new(s.name(), vec!["VI_1".to_owned(), s.name()]),
    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.group.is_empty();
        if !good {
            let problem = format!("vrrp_sync_group {} names no instances", self.name);
            let fix = "write group { INSTANCE … } into it";
            r.find(Level::Error, node, 1, "empty-group", problem, "it is dropped", fix);
        }
        good
    }
);

const TRACK_GROUP: Table<TrackGroup> = keywords! { TrackGroup:
    "group" => { group: Names };
};

named_block!(TrackGroup, "track_group", TRACK_GROUP, |r, n, name| Self::new(name, Vec::new()), |s| {
    Self::new(s.name(), vec!["VI_1".to_owned()])
});

const GARP: Table<GarpGroup> = keywords! { GarpGroup:
    "garp_interval" => { garp_interval: super::global_forms::Spacing };
    "gna_interval" => { gna_interval: super::global_forms::Spacing };
    "interface" => { interface: Short(15) };
    "interfaces" => { interfaces: Names };
};

impl Block for GarpGroup {
    const WHAT: &'static str = "garp_group";
    origin!();

    fn table() -> Table<Self> {
        GARP
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self { interfaces: vec![s.name()], gna_interval: Some(Secs::from_secs(1)), ..Self::default() }
    }
}

/// `garp_group` blocks: an interface can be in one of them only.
pub(super) struct GarpGroups;

impl Form for GarpGroups {
    type Slot = Vec<GarpGroup>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let mut group = None;
        Blocks::<GarpGroup>::all().read(r, node, group.get_or_insert_default());
        for mut group in group.into_iter().flatten() {
            if group.garp_interval.is_none() && group.gna_interval.is_none() {
                let problem = "this garp_group has no interval";
                let fix = "write garp_interval or gna_interval into it";
                r.find(Level::Warning, node, 0, "incomplete-group", problem, "it is dropped", fix);
                continue;
            }
            let taken = |name: &String| {
                slot.iter()
                    .any(|other| other.interface.as_ref() == Some(name) || other.interfaces.contains(name))
            };
            let twice = group.interface.iter().filter(|name| group.interfaces.contains(name)).cloned();
            let all = group.interface.iter().chain(&group.interfaces);
            let doubles: Vec<String> = all.filter(|name| taken(name)).cloned().chain(twice).collect();
            for name in &doubles {
                let problem = format!("{name} is in a garp_group already");
                let fix = "remove it from one of them";
                r.find(Level::Warning, node, 0, "duplicate-name", problem, "it stays in the first one", fix);
            }
            let own = group.interface.clone();
            group.interface = group.interface.filter(|name| !taken(name));
            group.interfaces.retain(|name| !doubles.contains(name) || (own.is_none() && !taken(name)));
            slot.push(group);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Blocks::<GarpGroup>::all().write(word, slot, w);
    }

    fn says(&self) -> String {
        "{ … }".to_owned()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Blocks::<GarpGroup>::all().inspect(slot, i);
    }

    fn locate(&self, slot: &mut Self::Slot, mark: &Mark, file: &Arc<PathBuf>) {
        Blocks::<GarpGroup>::all().locate(slot, mark, file);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Blocks::<GarpGroup>::all().sample(s, slot);
        // An interface is in one group only.
        for group in slot.iter_mut().skip(1) {
            group.interface = None;
        }
    }
}
