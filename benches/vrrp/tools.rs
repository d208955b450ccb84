//! Contenders, configuration texts, statistics, and what a process has cost.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::director::tandem;
use crate::lab::process::{Process, descendants};

/// A program as it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Tandem,
    /// `vrrp_priority 0`: a nice value, which means no real-time priority.
    TandemPlain,
    Keepalived,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tandem => "Tandem",
            Self::TandemPlain => "Tandem, no real-time priority",
            Self::Keepalived => "keepalived",
        }
    }

    /// `global_defs` with further lines.
    pub fn globals(self, more: &str) -> String {
        let plain = if self == Self::TandemPlain { "    vrrp_priority 0\n" } else { "" };
        format!("global_defs {{\n    router_id bench\n    script_user root\n{plain}{more}}}\n")
    }
}

/// Those of the programs that `WHO=tandem|keepalived` asks for; all of them without it.
pub fn contenders(all: &[Who]) -> Vec<Who> {
    let only = std::env::var("WHO").unwrap_or_default();
    all.iter().copied().filter(|who| who.name().to_lowercase().contains(&only)).collect()
}

/// An instance.
pub struct Instance<'a> {
    pub name: String,
    pub nic: &'a str,
    pub vrid: u32,
    pub priority: u8,
    pub version: u8,
    pub advert: &'a str,
    pub vip: String,
    /// Lines of `virtual_ipaddress_excluded`.
    pub more: Vec<String>,
    /// Further lines.
    pub lines: String,
}

impl Instance<'_> {
    pub fn text(&self) -> String {
        let mut text = format!(
            "vrrp_instance {} {{\n    state BACKUP\n    interface {}\n    virtual_router_id {}\n    priority {}\n    \
             version {}\n    advert_int {}\n    virtual_ipaddress {{\n        {}\n    }}\n{}",
            self.name, self.nic, self.vrid, self.priority, self.version, self.advert, self.vip, self.lines
        );
        if !self.more.is_empty() {
            text += "    virtual_ipaddress_excluded {\n";
            for address in &self.more {
                let _ = writeln!(text, "        {address}");
            }
            text += "    }\n";
        }
        text + "}\n"
    }
}

/// The single instance of the small scenarios: VRID 51 and 10.9.0.100.
pub fn single(priority: u8, version: u8, advert: &str) -> Instance<'_> {
    Instance {
        name: "VI_1".to_owned(),
        nic: "eth0",
        vrid: 51,
        priority,
        version,
        advert,
        vip: "10.9.0.100/24".to_owned(),
        more: Vec::new(),
        lines: String::new(),
    }
}

/// Starts a program in a host, as its package's service does: keepalived without its detailed log.
pub fn start(lab: &Lab, host: &str, who: Who, text: &str) -> Process {
    let config = lab.file(&format!("{host}/director.conf"), text).display().to_string();
    let path = |name: &str| lab.work().join(host).join(name).display().to_string();
    let mut argv: Vec<String> = Vec::new();
    if who == Who::Keepalived {
        argv.extend(["keepalived", "-n", "-l", "-f", &config].map(str::to_owned));
        for name in ["p", "r", "c", "b"] {
            // A killed one leaves them, and a new one believes them while the number lives again.
            let _ = fs::remove_file(path(name));
            argv.extend([format!("-{name}"), path(name)]);
        }
    } else {
        let program = tandem().display().to_string();
        argv.extend([program, "run".into(), "--config".into(), config, "--pid".into(), path("pid")]);
        argv.extend(["--run-dir".into(), path("run")]);
    }
    let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
    Process::start(lab, host, &format!("{} on {host}", who.name()), &argv, &[])
}

/// Nanoseconds as milliseconds.
pub fn millis(nanos: i64) -> f64 {
    nanos as f64 / 1e6
}

/// A duration in nanoseconds.
pub fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).expect("a short time")
}

/// The value at this part (0.0 ..= 1.0) of the sorted values that are numbers; not a number when there are none.
pub fn part(values: &[f64], part: f64) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    if values.is_empty() {
        return f64::NAN;
    }
    let at = ((values.len() as f64 * part).ceil() as usize).clamp(1, values.len());
    values[at - 1]
}

/// The median and the worst, with a number of decimals: `1.23 (4.56)`; `-` when there are none.
pub fn shown(values: &[f64], decimals: usize) -> String {
    if !values.iter().any(|value| value.is_finite()) {
        return "-".to_owned();
    }
    format!("{:.decimals$} ({:.decimals$})", part(values, 0.5), part(values, 1.0))
}

/// How far the gaps between adverts are from the interval, in milliseconds.
pub fn jitter(adverts: &[i64], interval: Duration) -> Vec<f64> {
    adverts.windows(2).map(|two| millis(two[1] - two[0] - nanos(interval)).abs()).collect()
}

/// The longest gap, in milliseconds.
pub fn longest(adverts: &[i64]) -> f64 {
    adverts.windows(2).map(|two| millis(two[1] - two[0])).fold(f64::NAN, f64::max)
}

/// A process and all that it started.
pub fn family(pid: i32) -> Vec<i32> {
    let mut found = descendants(pid);
    found.push(pid);
    found
}

/// Seconds that the processes have run so far, by the scheduler's own count.
pub fn cpu(family: &[i32]) -> f64 {
    let mut total = 0.0;
    for pid in family {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            let ran: f64 = text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0);
            total += ran / 1e9;
        }
    }
    total
}

/// Megabytes of memory, what is shared counted by its share.
pub fn pss(family: &[i32]) -> f64 {
    let of = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    family.iter().map(of).sum()
}
