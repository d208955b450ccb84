//! A host's IPVS table, read in process from `/proc/net/ip_vs` (a start of `ipvsadm` costs too much to poll with).

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use super::{Lab, ms, now, pause, slow};

/// Services (`TCP 10.0.0.100:80 rr`) with their destinations: address -> (method, weight).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(pub BTreeMap<String, BTreeMap<String, (String, i32)>>);

fn endpoint(hex: &str) -> Option<String> {
    let (address, port) = hex.split_once(':')?;
    let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?);
    Some(format!("{address}:{}", u16::from_str_radix(port, 16).ok()?))
}

impl Table {
    fn parse(text: &str) -> Self {
        let mut table = BTreeMap::<String, BTreeMap<String, (String, i32)>>::new();
        let mut service = None;
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["->", hex, method, weight, ..] => {
                    if let (Some(at), Some(service), Ok(weight)) = (endpoint(hex), &service, weight.parse()) {
                        let of: &mut BTreeMap<_, _> = table.entry(String::clone(service)).or_default();
                        of.insert(at, ((*method).to_owned(), weight));
                    }
                }
                [protocol @ ("TCP" | "UDP" | "SCTP"), hex, scheduler, ..] => {
                    let name = format!("{protocol} {} {scheduler}", endpoint(hex).unwrap_or_default());
                    table.entry(name.clone()).or_default();
                    service = Some(name);
                }
                ["FWM", mark, scheduler, ..] => {
                    let name = format!("FWM {} {scheduler}", u32::from_str_radix(mark, 16).unwrap_or(0));
                    table.entry(name.clone()).or_default();
                    service = Some(name);
                }
                _ => {}
            }
        }
        Self(table)
    }

    /// Reads a host's table.
    pub fn read(lab: &Lab, host: &str) -> Self {
        lab.inside(host, Self::read_here)
    }

    fn read_here() -> Self {
        Self::parse(&fs::read_to_string("/proc/thread-self/net/ip_vs").unwrap_or_default())
    }

    /// Destinations of the service whose name begins so (`TCP 10.0.0.100:80`): (address, method, weight).
    pub fn of(&self, service: &str) -> Vec<(&str, &str, i32)> {
        let mut found = Vec::new();
        for (_, destinations) in self.0.iter().filter(|(name, _)| name.starts_with(service)) {
            found.extend(
                destinations.iter().map(|(at, (method, weight))| (at.as_str(), method.as_str(), *weight)),
            );
        }
        found
    }

    /// True when the service is there with exactly these destinations.
    pub fn is(&self, service: &str, destinations: &[&str]) -> bool {
        self.0.keys().any(|name| name.starts_with(service))
            && self.of(service).iter().map(|(at, ..)| *at).eq(destinations.iter().copied())
    }
}

/// Follows a host's table. Ends when dropped.
pub struct TableWatch {
    seen: Arc<Mutex<Vec<(Instant, Table)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TableWatch {
    /// Follows from now on.
    pub fn start(lab: &Lab, host: &str) -> Self {
        let seen = Arc::new(Mutex::new(vec![(now(), Table::read(lab, host))]));
        let stop = Arc::new(AtomicBool::new(false));
        let (space, into, until) = (lab.handle(host), Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
            while !until.load(Ordering::Relaxed) {
                let table = Table::read_here();
                let mut all = into.lock().expect("tables");
                if all.last().is_none_or(|(_, last)| *last != table) {
                    all.push((now(), table));
                }
                drop(all);
                pause(ms(5) * slow().min(5));
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// The table now.
    pub fn now(&self) -> Table {
        self.seen.lock().expect("tables").last().map(|(_, table)| table.clone()).unwrap_or_default()
    }

    /// Every value it had, with the moment since when.
    pub fn all(&self) -> Vec<(Instant, Table)> {
        self.seen.lock().expect("tables").clone()
    }

    /// Waits until the table is so; since when it is.
    #[track_caller]
    pub fn wait(&self, what: &str, limit: Duration, right: impl Fn(&Table) -> bool) -> Instant {
        let start = now();
        loop {
            if let Some((at, _)) = self.seen.lock().expect("tables").last().filter(|(_, table)| right(table))
            {
                return *at;
            }
            assert!(start.elapsed() < limit, "not within {limit:?}: {what}; the table is {:#?}", self.now());
            pause(ms(5) * slow().min(5));
        }
    }
}

impl Drop for TableWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
