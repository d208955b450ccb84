//! The directors, and what can happen to them.

use std::collections::BTreeSet;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// The three virtual routers: VRID, interface and address. The first two are a sync group, with a LAN each.
pub(crate) const ROUTERS: [(u8, &str, &str); 3] =
    [(61, "eth0", "10.9.0.101"), (62, "eth1", "10.8.0.102"), (63, "eth0", "10.9.0.103")];
const PREEMPT: [Preempt; 4] = [Preempt::All, Preempt::All, Preempt::Nobody, Preempt::First];
/// The machines' interfaces and the LANs that they are on.
const LINKS: [(&str, &str); 2] = [("eth0", "lan"), ("eth1", "back")];
/// What a failed script of the third instance takes off its priority.
const WEIGHT: u8 = 40;

/// One machine.
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) director: Director,
    pub(crate) alive: bool,
    /// Priorities of the group and of the third instance.
    pub(crate) priorities: [u8; 2],
    /// The script that holds the group in FAULT succeeds; the one that lowers the third instance's priority does.
    pub(crate) healthy: [bool; 2],
    /// Stands still.
    pub(crate) stopped: bool,
    /// What is wrong with each link.
    pub(crate) broken: [Option<Broken>; 2],
    /// Since when it cannot be expected to hear and be heard.
    pub(crate) disturbed: Option<Instant>,
}

/// What can be wrong with a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// The cable is pulled: the machine sees it.
    Cut,
    /// Somebody has set the interface down.
    Down,
    /// The bridge has lost the port: the machine sees nothing of it.
    Isolated,
}

/// Who preempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preempt {
    All,
    Nobody,
    /// The first machine alone.
    First,
}

/// What all directors have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common {
    /// Of the group, and of the third instance.
    pub(crate) preempt: [Preempt; 2],
    pub(crate) version: u8,
    pub(crate) advert: Duration,
}

/// The whole field.
pub(crate) struct Field {
    pub(crate) lab: Lab,
    pub(crate) watch: AddressWatch,
    pub(crate) wire: Wire,
    pub(crate) machines: Vec<Machine>,
    pub(crate) common: Common,
    /// Times in which a machine could not hear or be heard.
    pub(crate) disturbances: Vec<(String, Instant, Instant)>,
    start: Instant,
    operations: usize,
}

/// A director's file.
fn conf(host: &str, priorities: [u8; 2], common: Common, flags: &std::path::Path) -> String {
    let flag = |name: &str| flags.join(format!("{host}-{name}")).display().to_string();
    let script = |name: &str, more: &str| {
        format!(
            "vrrp_script {name} {{\n    script \"/usr/bin/test -e {}\"\n    interval 1\n    fall 1\n    rise 1\n{more}}}\n",
            flag(name)
        )
    };
    let Common { preempt, version, advert } = common;
    let advert = advert.as_secs_f64();
    let preempts = |who| who == Preempt::All || (who == Preempt::First && host == "h1");
    let instance = |index: usize, priority: u8, preempt: Preempt, track: &str| {
        let (vrid, interface, vip) = ROUTERS[index];
        format!(
            "vrrp_instance VI_{} {{\n    state BACKUP\n    interface {interface}\n    version {version}\n    virtual_router_id {vrid}\n    \
             priority {priority}\n    advert_int {advert}\n{}    track_script {{\n        {track}\n    }}\n    \
             virtual_ipaddress {{\n        {vip}/24\n    }}\n}}\n",
            index + 1,
            if preempts(preempt) { "" } else { "    nopreempt\n" }
        )
    };
    let [group, third] = priorities;
    format!(
        "global_defs {{\n    router_id {}\n    script_user root\n}}\n{}{}vrrp_sync_group VG {{\n    group {{\n        VI_1\n        \
         VI_2\n    }}\n}}\n{}{}{}",
        host,
        script("fault", ""),
        script("weight", &format!("    weight -{WEIGHT}\n")),
        instance(0, group, preempt[0], "fault"),
        instance(1, group, preempt[0], "fault"),
        instance(2, third, preempt[1], "weight"),
    )
}

impl Machine {
    fn text(&self, common: Common, lab: &Lab) -> String {
        conf(&self.name, self.priorities, common, lab.work())
    }

    /// What it says in its adverts for the third instance, or for the group.
    pub(crate) fn effective(&self, group: bool) -> u8 {
        if group { self.priorities[0] } else { self.priorities[1] - if self.healthy[1] { 0 } else { WEIGHT } }
    }

    /// Nothing forbids it to be master.
    pub(crate) fn able(&self, group: bool) -> bool {
        self.alive && (self.healthy[0] || !group)
    }

    fn signal_all(&self, signal: Signal) {
        let pid = self.director.process.pid();
        for pid in process::descendants(pid).into_iter().chain([pid]) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Field {
    /// Three machines on a LAN, started.
    pub(crate) fn new(name: &str, programs: &str, rng: &mut Pcg) -> Self {
        let hosts: Vec<Host> = (1..=programs.len())
            .map(|number| {
                host(&format!("h{number}")).nic("eth0", "lan", &format!("10.9.0.{number}/24")).nic(
                    "eth1",
                    "back",
                    &format!("10.8.0.{number}/24"),
                )
            })
            .collect();
        let lab = Lab::build(name, &["lan", "back"], &hosts);
        let names: Vec<String> = (1..=programs.len()).map(|number| format!("h{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (watch, wire) = (AddressWatch::start(&lab, &names), Wire::start(&lab));
        let (version, advert) = if rng.chance(20) { (2, s(1)) } else { (3, ms(200)) };
        let common = Common { preempt: [0, 1].map(|_| *rng.pick(&PREEMPT)), version, advert };
        let mut field = Self {
            lab,
            watch,
            wire,
            machines: Vec::new(),
            common,
            disturbances: Vec::new(),
            start: now(),
            operations: 0,
        };
        field.say(&format!("{common:?}"));
        for (index, letter) in programs.chars().enumerate() {
            let kind = if letter == 'k' { Kind::Keepalived } else { Kind::Tandem };
            field.add(index, kind, rng);
        }
        field
    }

    fn add(&mut self, index: usize, kind: Kind, rng: &mut Pcg) {
        let name = format!("h{}", index + 1);
        for flag in ["fault", "weight"] {
            self.lab.file(&format!("{name}-{flag}"), "");
        }
        let priorities = [priority(index, rng), priority(index, rng)];
        self.say(&format!("{name} is {kind}, priorities {priorities:?}"));
        let text = conf(&name, priorities, self.common, self.lab.work());
        self.machines.push(Machine {
            director: Director::start_as(&self.lab, &name, kind, &text),
            name,
            alive: true,
            priorities,
            healthy: [true, true],
            stopped: false,
            broken: [None, None],
            disturbed: None,
        });
    }

    pub(crate) fn say(&self, text: &str) {
        println!("{:8.3} {text}", self.start.elapsed().as_secs_f64());
    }

    pub(crate) fn operations(&self) -> usize {
        self.operations
    }

    /// Seconds since the start, for messages.
    pub(crate) fn at(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.start).as_secs_f64()
    }

    /// One operation on one machine.
    pub(crate) fn something(&mut self, rng: &mut Pcg) {
        self.operations += 1;
        let index = rng.below(self.machines.len() as u64) as usize;
        match rng.below(13) {
            0 => self.end(index, true),
            1 => self.end(index, false),
            2 | 3 => self.begin(index),
            4 => self.stand_still(index),
            5 => self.go_on(index),
            6 | 7 => self.link(index, rng),
            8 => self.reload(index, rng),
            9 => self.links_back(index),
            10 => self.delete(rng.below(3) as usize),
            _ => self.flip(index, rng.below(2) as usize),
        }
    }

    /// Everything that is only for a while ends: whoever stands still goes on, links are mended. Most of the dead rise.
    pub(crate) fn repair(&mut self, rng: &mut Pcg) {
        for index in 0..self.machines.len() {
            self.go_on(index);
            self.links_back(index);
            if rng.chance(70) || self.machines.iter().all(|machine| !machine.alive) {
                self.begin(index);
            }
        }
    }

    fn end(&mut self, index: usize, killed: bool) {
        self.go_on(index);
        let machine = &mut self.machines[index];
        if !machine.alive {
            return;
        }
        let word = if killed { "is killed" } else { "is stopped" };
        machine.alive = false;
        let line = format!("{} {word}", machine.name);
        self.disturb(index);
        self.say(&line);
        let director = &mut self.machines[index].director;
        if killed {
            director.kill();
        } else {
            director.stop();
        }
    }

    fn begin(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if machine.alive {
            return;
        }
        machine.director = machine.director.again(&self.lab);
        machine.alive = true;
        let line = format!("{} is started", machine.name);
        self.say(&line);
        self.calm(index);
    }

    fn stand_still(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if !machine.alive || machine.stopped {
            return;
        }
        machine.stopped = true;
        let line = format!("{} stands still", machine.name);
        self.disturb(index);
        self.say(&line);
        self.machines[index].signal_all(Signal::SIGSTOP);
    }

    fn go_on(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        if !std::mem::take(&mut machine.stopped) {
            return;
        }
        machine.signal_all(Signal::SIGCONT);
        let line = format!("{} goes on", machine.name);
        self.say(&line);
        self.calm(index);
    }

    fn link(&mut self, index: usize, rng: &mut Pcg) {
        let which = rng.below(2) as usize;
        let how = *rng.pick(&[Broken::Cut, Broken::Down, Broken::Isolated]);
        if self.machines[index].broken[which].is_some() {
            return;
        }
        self.disturb(index);
        let machine = &mut self.machines[index];
        machine.broken[which] = Some(how);
        let (name, (interface, _)) = (machine.name.clone(), LINKS[which]);
        match how {
            Broken::Cut => self.lab.cut(&name, interface),
            Broken::Down => self.lab.ip(&name, &format!("link set {interface} down")),
            Broken::Isolated => self.lab.isolate(&name, interface),
        }
        self.say(&format!("{name}: {interface} is broken: {how:?}"));
    }

    fn links_back(&mut self, index: usize) {
        for (which, (interface, lan)) in LINKS.into_iter().enumerate() {
            let machine = &mut self.machines[index];
            let Some(how) = machine.broken[which].take() else { continue };
            let name = machine.name.clone();
            match how {
                Broken::Cut => self.lab.plug(&name, interface),
                Broken::Down => self.lab.ip(&name, &format!("link set {interface} up")),
                Broken::Isolated => self.lab.rejoin(&name, interface, lan),
            }
            self.say(&format!("{name}: {interface} is mended"));
        }
        self.calm(index);
    }

    fn reload(&mut self, index: usize, rng: &mut Pcg) {
        let machine = &mut self.machines[index];
        machine.priorities[rng.below(2) as usize] = priority(index, rng);
        let text = machine.text(self.common, &self.lab);
        let line = format!("{}: priorities {:?}", machine.name, machine.priorities);
        // A dead one reads it when it comes back.
        machine.director.reload(&text);
        self.say(&line);
    }

    /// Somebody deletes a virtual address wherever it is.
    fn delete(&mut self, router: usize) {
        let (_, interface, address) = ROUTERS[router];
        let living: Vec<String> = self.machines.iter().filter(|m| m.alive).map(|m| m.name.clone()).collect();
        for name in self.watch.holders(address).into_iter().filter(|name| living.contains(name)) {
            let argv = ["ip", "addr", "del", &format!("{address}/24"), "dev", interface].map(str::to_owned);
            // It may have gone by itself in this moment.
            let gone =
                self.lab.inside(&name, || std::process::Command::new(&argv[0]).args(&argv[1..]).output());
            let gone = gone.is_ok_and(|out| out.status.success());
            self.say(&format!("{name}: {address} is deleted{}", if gone { "" } else { ", but was gone" }));
        }
    }

    fn flip(&mut self, index: usize, which: usize) {
        let machine = &mut self.machines[index];
        let word = ["fault", "weight"][which];
        let flag = self.lab.work().join(format!("{}-{word}", machine.name));
        machine.healthy[which] ^= true;
        if machine.healthy[which] {
            std::fs::write(&flag, "").expect("a flag");
        } else {
            std::fs::remove_file(&flag).expect("a flag");
        }
        let line = format!("{}: script {word} succeeds: {}", machine.name, machine.healthy[which]);
        self.say(&line);
    }

    /// From now on this machine need not hear or be heard.
    fn disturb(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        machine.disturbed = machine.disturbed.or(Some(now()));
    }

    /// Nothing holds this machine off any more: the disturbance is over.
    fn calm(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        let held = machine.stopped || machine.broken.iter().any(Option::is_some) || !machine.alive;
        if !held && let Some(from) = machine.disturbed.take() {
            self.disturbances.push((machine.name.clone(), from, now()));
        }
    }

    /// Names of the machines that run.
    pub(crate) fn living(&self) -> BTreeSet<String> {
        self.machines.iter().filter(|machine| machine.alive).map(|machine| machine.name.clone()).collect()
    }
}

/// A priority that no other machine has.
fn priority(index: usize, rng: &mut Pcg) -> u8 {
    let ten = rng.below(10) as u8 * 10;
    // 60 to 151, and never within a script's weight of another's: the last digit tells the machine.
    60 + ten + index as u8
}
