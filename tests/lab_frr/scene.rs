//! Routers of three makes on one LAN, one virtual router, and its referee.

use std::fmt;

use super::lab::frr::Vrrpd;
use super::lab::reign::{Reign, overlaps, reigns};
use super::*;

const VRID: u8 = 51;
const VIP: &str = "10.9.0.100";
const VIP6: &str = "2001:db8::100";

/// What runs on a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Tandem,
    Keepalived,
    Frr,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tandem => "tandem",
            Self::Keepalived => "keepalived",
            Self::Frr => "frr",
        })
    }
}

/// What all routers of a scene have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) version: u8,
    pub(crate) six: bool,
    pub(crate) advert: Duration,
}

impl Mode {
    pub(crate) const V2: Self = Self { version: 2, six: false, advert: s(1) };
    pub(crate) const V3: Self = Self { version: 3, six: false, advert: ms(200) };
    pub(crate) const V3_CENTISECONDS: Self = Self { version: 3, six: false, advert: ms(70) };
    pub(crate) const SIX: Self = Self { version: 3, six: true, advert: ms(200) };
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.six { 6 } else { 4 };
        write!(f, "v{}_ip{family}_{}ms", self.version, self.advert.as_millis())
    }
}

/// One router.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) program: Program,
    pub(crate) priority: u8,
    pub(crate) preempt: bool,
    /// Another interval than the mode's.
    pub(crate) advert: Option<Duration>,
    /// Further lines of the instance, in the program's own language.
    pub(crate) lines: &'static str,
}

impl Spec {
    pub(crate) fn new(program: Program, priority: u8) -> Self {
        Self { program, priority, preempt: true, advert: None, lines: "" }
    }

    pub(crate) fn nopreempt(mut self) -> Self {
        self.preempt = false;
        self
    }

    pub(crate) fn advert(mut self, advert: Duration) -> Self {
        self.advert = Some(advert);
        self
    }

    pub(crate) fn lines(mut self, lines: &'static str) -> Self {
        self.lines = lines;
        self
    }

    /// The file of Tandem and keepalived.
    fn keepalived(&self, mode: Mode) -> String {
        let vip = if mode.six { format!("{VIP6}/64") } else { format!("{VIP}/24") };
        format!(
            "global_defs {{\n    router_id lab\n}}\nvrrp_instance VI_1 {{\n    state BACKUP\n    interface eth0\n    \
             virtual_router_id {VRID}\n    version {}\n    priority {}\n    advert_int {}\n    {}\n    {}\n    \
             virtual_ipaddress {{\n        {vip}\n    }}\n}}\n",
            mode.version,
            self.priority,
            self.advert.unwrap_or(mode.advert).as_secs_f64(),
            if self.preempt { "" } else { "nopreempt" },
            self.lines
        )
    }

    /// The lines of FRR's interface.
    fn frr(&self, mode: Mode) -> String {
        let vip = if mode.six { format!("ipv6 {VIP6}") } else { format!("ip {VIP}") };
        format!(
            " vrrp {VRID} version {}\n vrrp {VRID} priority {}\n vrrp {VRID} advertisement-interval {}\n {}vrrp {VRID} \
             preempt\n vrrp {VRID} {vip}\n{}",
            mode.version,
            self.priority,
            self.advert.unwrap_or(mode.advert).as_millis(),
            if self.preempt { "" } else { "no " },
            self.lines
        )
    }
}

enum Running {
    Director(Director),
    Frr(Vrrpd),
}

/// The routers r1, r2, ... with their programs.
pub(crate) struct Scene {
    pub(crate) mode: Mode,
    pub(crate) specs: Vec<Spec>,
    pub(crate) lab: Lab,
    pub(crate) wire: Wire,
    watch: AddressWatch,
    running: Vec<Option<Running>>,
    /// Parts of the scene in which not all hear each other: two masters are right there.
    apart: Vec<(Instant, Instant)>,
}

fn router(index: usize, spec: &Spec, mode: Mode) -> Host {
    let number = index + 1;
    let mut made = host(&format!("r{number}")).nic("eth0", "lan", &format!("10.9.0.{number}/24"));
    if mode.six {
        // Without duplicate address detection, which would only make the scenes two seconds longer. The link-local
        // addresses are of a known order: they decide between equal priorities.
        for set in ["all", "default"] {
            made = made
                .sysctl(&format!("net/ipv6/conf/{set}/disable_ipv6"), "0")
                .sysctl(&format!("net/ipv6/conf/{set}/accept_dad"), "0")
                .sysctl(&format!("net/ipv6/conf/{set}/addr_gen_mode"), "1");
        }
        if spec.program != Program::Frr {
            made = made.ip(&format!("addr add fe80::{number}/64 dev eth0 nodad"));
        }
    }
    if spec.program == Program::Frr {
        // FRR's manual: a macvlan with the virtual MAC address, the virtual addresses on it, and over IPv6 a link-local
        // address that is not made from that MAC address. It sends from there.
        let (family, vip) = if mode.six { (2, format!("{VIP6}/64")) } else { (1, format!("{VIP}/24")) };
        made = made
            .ip("link add vrrp-51 link eth0 type macvlan mode bridge")
            .ip(&format!("link set vrrp-51 address 00:00:5e:00:0{family}:{VRID:02x}"));
        if mode.six {
            made = made.ip(&format!("addr add fe80::{number}/64 dev vrrp-51 nodad"));
        }
        made = made
            .ip(&format!("addr add {vip} dev vrrp-51{}", if mode.six { " nodad" } else { "" }))
            .ip("link set vrrp-51 up");
    }
    made
}

impl Scene {
    /// The routers' hosts; nothing runs yet.
    pub(crate) fn new(name: &str, mode: Mode, specs: &[Spec]) -> Self {
        let hosts: Vec<Host> =
            specs.iter().enumerate().map(|(index, spec)| router(index, spec, mode)).collect();
        let lab = Lab::build(name, &["lan"], &hosts);
        let names: Vec<String> = (1..=specs.len()).map(|number| format!("r{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let watch = AddressWatch::start(&lab, &names);
        let wire = Wire::start(&lab);
        let running = specs.iter().map(|_| None).collect();
        Self { mode, specs: specs.to_vec(), lab, wire, watch, running, apart: Vec::new() }
    }

    /// All of them are started.
    pub(crate) fn started(name: &str, mode: Mode, specs: &[Spec]) -> Self {
        let mut scene = Self::new(name, mode, specs);
        for index in 0..specs.len() {
            scene.start(index);
        }
        scene
    }

    pub(crate) fn name(index: usize) -> String {
        format!("r{}", index + 1)
    }

    /// Starts a router's program, for the first time or again.
    pub(crate) fn start(&mut self, index: usize) {
        let (host, spec) = (Self::name(index), &self.specs[index]);
        let kind = match spec.program {
            Program::Tandem => Some(Kind::Tandem),
            Program::Keepalived => Some(Kind::Keepalived),
            Program::Frr => None,
        };
        let next = match (self.running[index].take(), kind) {
            (Some(Running::Director(old)), _) => Running::Director(old.again(&self.lab)),
            (Some(Running::Frr(old)), _) => Running::Frr(old.again(&self.lab)),
            (None, Some(kind)) => {
                Running::Director(Director::start_as(&self.lab, &host, kind, &spec.keepalived(self.mode)))
            }
            (None, None) => Running::Frr(Vrrpd::start(&self.lab, &host, &spec.frr(self.mode))),
        };
        self.running[index] = Some(next);
    }

    /// SIGKILL of a router's program.
    pub(crate) fn kill(&mut self, index: usize) {
        match self.running[index].as_mut().expect("it runs") {
            Running::Director(director) => director.kill(),
            Running::Frr(vrrpd) => vrrpd.kill(),
        }
    }

    /// SIGTERM of a router's program; does not wait.
    pub(crate) fn terminate(&self, index: usize) {
        match self.running[index].as_ref().expect("it runs") {
            Running::Director(director) => director.terminate(),
            Running::Frr(vrrpd) => vrrpd.terminate(),
        }
    }

    /// Waits for the end of what was told to end.
    pub(crate) fn ended(&mut self, index: usize) {
        match self.running[index].as_mut().expect("it runs") {
            Running::Director(director) => {
                director.stop();
            }
            Running::Frr(vrrpd) => vrrpd.stop(),
        }
    }

    /// What a Tandem or keepalived has said.
    pub(crate) fn said(&self, index: usize) -> String {
        match self.running[index].as_ref() {
            Some(Running::Director(director)) => director.said(),
            _ => String::new(),
        }
    }

    /// The longest interval of any router: what each may have learned.
    pub(crate) fn advert(&self) -> Duration {
        self.specs.iter().filter_map(|spec| spec.advert).fold(self.mode.advert, Duration::max)
    }

    pub(crate) fn down_interval(&self, index: usize) -> Duration {
        down_interval(self.mode.advert, self.specs[index].priority)
    }

    pub(crate) fn skew(&self, index: usize) -> Duration {
        skew(self.mode.advert, self.specs[index].priority)
    }

    /// All reigns so far. Three silent intervals end one.
    pub(crate) fn reigns(&self) -> Vec<Reign> {
        reigns(&self.wire.frames(), VRID, self.advert() * 3)
    }

    /// Who has spoken in the last two intervals.
    fn speakers(&self) -> Vec<String> {
        let recent = now() - self.advert() * 2 - ms(20);
        let mut names: Vec<String> = Vec::new();
        for index in 0..self.specs.len() {
            let name = Self::name(index);
            let adverts = self.wire.adverts(&name, recent);
            if adverts.last().is_some_and(|(_, priority)| *priority > 0) {
                names.push(name);
            }
        }
        names
    }

    /// Waits until this router alone speaks, for three intervals, and until the others have no address.
    #[track_caller]
    pub(crate) fn master(&self, index: usize) {
        let (name, start) = (Self::name(index), now());
        let mut alone = None;
        loop {
            let speakers = self.speakers();
            let right = speakers == [name.clone()] && self.holders() == [name.clone()];
            alone = if right { alone.or(Some(now())) } else { None };
            if alone.is_some_and(|since| now() - since > self.advert() * 3) {
                return;
            }
            let limit = patience();
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {name} alone is master; {speakers:?} speak, {:?} have the address",
                self.holders()
            );
            pause(ms(10));
        }
    }

    /// Who has the address in use. What a killed program left behind does not count.
    fn holders(&self) -> Vec<String> {
        let vip = if self.mode.six { VIP6 } else { VIP };
        let holds = |index: &usize| match &self.running[*index] {
            // Its devices have the address all the time: the backup's have no carrier.
            Some(Running::Frr(_)) => {
                let link = self.lab.command(&Self::name(*index), &["ip", "link", "show", "vrrp-51"]);
                !link.contains("NO-CARRIER")
            }
            Some(Running::Director(_)) => self.watch.has(&Self::name(*index), vip),
            None => false,
        };
        let alive = |index: &usize| self.lives(*index);
        (0..self.specs.len()).filter(alive).filter(holds).map(Self::name).collect()
    }

    fn lives(&self, index: usize) -> bool {
        match &self.running[index] {
            Some(Running::Frr(vrrpd)) => vrrpd.lives(),
            Some(Running::Director(director)) => director.process.lives(),
            None => false,
        }
    }

    /// Right after an advert of `from`, does `end`, and waits for the first advert of `to`: the time between the last
    /// advert of `from` and that.
    #[track_caller]
    pub(crate) fn takeover(&mut self, from: usize, to: usize, end: impl FnOnce(&mut Self)) -> Duration {
        let (from, to) = (Self::name(from), Self::name(to));
        let since = self.wire.next_advert(&from, patience());
        end(self);
        wait(&format!("{to} takes over"), patience(), || !self.wire.adverts(&to, since).is_empty());
        let (heard, _) = self.wire.last_advert(&from).expect("adverts");
        let (taken, _) = self.wire.adverts(&to, since)[0];
        taken.saturating_duration_since(heard)
    }

    /// A router is cut off while `meanwhile` goes on; its carrier stays.
    pub(crate) fn isolated(&mut self, index: usize, meanwhile: impl FnOnce(&mut Self)) {
        let (name, from) = (Self::name(index), now());
        self.lab.isolate(&name, "eth0");
        meanwhile(self);
        self.lab.rejoin(&name, "eth0", "lan");
        self.apart.push((from, now()));
    }

    /// Nobody was master beside another for longer than it takes both to hear each other: the one that has to yield does so
    /// at the next advert of the other, which comes at the latest one interval after the two can hear each other.
    #[track_caller]
    pub(crate) fn assert_one_at_a_time(&self) {
        let granted = self.advert() + grace(ms(100));
        for overlap in overlaps(&self.reigns()) {
            let length = overlap.undisturbed(self.apart.clone());
            assert!(length <= granted, "two masters for {length:?}, {granted:?} is granted: {overlap:#?}");
        }
    }
}
