//! A client: steady HTTP requests, each on a new connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use super::{Lab, now, pause};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    pub asked: Instant,
    pub ended: Instant,
    /// The real server's name, or why there was no good answer.
    pub result: Result<String, String>,
}

/// GETs a page by HTTP/1.0 from the calling thread's network namespace; its body without blanks at the ends.
pub fn get(target: SocketAddr, path: &str, limit: Duration) -> Result<String, String> {
    let text = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => "timeout".to_owned(),
        std::io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        std::io::ErrorKind::ConnectionReset => "reset".to_owned(),
        _ => error.to_string(),
    };
    let mut stream = TcpStream::connect_timeout(&target, limit).map_err(text)?;
    stream.set_read_timeout(Some(limit)).map_err(text)?;
    stream.set_write_timeout(Some(limit)).map_err(text)?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {target}\r\n\r\n").as_bytes()).map_err(text)?;
    let mut page = String::new();
    stream.read_to_string(&mut page).map_err(text)?;
    let (head, body) = page.split_once("\r\n\r\n").ok_or("no page")?;
    let status = head.split_whitespace().nth(1).unwrap_or("nothing");
    if status == "200" { Ok(body.trim().to_owned()) } else { Err(format!("status {status}")) }
}

/// Steady traffic from a host. Ends when dropped.
pub struct Traffic {
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// One request each `every`, whether or not the former ones were answered (by four workers in turn), each given up
    /// after `limit`.
    pub fn start(lab: &Lab, host: &str, target: &str, every: Duration, limit: Duration) -> Self {
        const WORKERS: u32 = 4;
        let target: SocketAddr = target.parse().expect("ADDRESS:PORT");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let begin = now();
        let worker = |number: u32| {
            let (space, requests, stop) = (lab.handle(host), Arc::clone(&requests), Arc::clone(&stop));
            thread::spawn(move || {
                setns(&*space, CloneFlags::CLONE_NEWNET).expect("setns");
                let mut due = begin + every * number;
                while !stop.load(Ordering::Relaxed) {
                    pause(due.saturating_duration_since(now()));
                    let asked = now();
                    let result = get(target, "/", limit);
                    requests.lock().expect("requests").push(Request { asked, ended: now(), result });
                    // A worker that waited for its limit goes on at its own beat and asks nothing twice.
                    while due <= now() {
                        due += every * WORKERS;
                    }
                }
            })
        };
        let threads = (0..WORKERS).map(worker).collect();
        Self { requests, stop, threads }
    }

    /// All requests so far, by the time of their end.
    pub fn requests(&self) -> Vec<Request> {
        let mut all = self.requests.lock().expect("requests").clone();
        all.sort_by_key(|request| request.ended);
        all
    }

    /// (good, bad) requests that ended in this span.
    pub fn count(&self, from: Instant, to: Instant) -> (usize, usize) {
        let all = self.requests();
        let (good, bad): (Vec<_>, Vec<_>) = all
            .iter()
            .filter(|request| request.ended >= from && request.ended < to)
            .partition(|request| request.result.is_ok());
        (good.len(), bad.len())
    }

    /// The longest time between two good answers (or an end of the span) within the span: the outage.
    pub fn outage(&self, from: Instant, to: Instant) -> Duration {
        let mut last = from;
        let mut worst = Duration::ZERO;
        let all = self.requests();
        let good = all.iter().filter(|request| request.result.is_ok()).map(|request| request.ended);
        for at in good.filter(|at| *at >= from && *at <= to).chain([to]) {
            worst = worst.max(at.saturating_duration_since(last));
            last = at;
        }
        worst
    }

    /// Names of the servers that answered requests asked in this span.
    pub fn servers(&self, from: Instant, to: Instant) -> std::collections::BTreeMap<String, usize> {
        let mut found = std::collections::BTreeMap::new();
        for request in self.requests() {
            if let (Ok(name), true) = (&request.result, request.asked >= from && request.asked < to) {
                *found.entry(name.clone()).or_default() += 1;
            }
        }
        found
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
