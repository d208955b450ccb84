//! One run of a checker, one protocol a file.

pub mod certificate;
pub mod dns;
pub mod dns_message;
pub mod echo;
pub mod grpc;
pub mod grpc_message;
pub mod http;
pub mod http_answer;
pub mod http_expect;
pub mod limit;
pub mod misc;
pub mod ping;
pub mod proxy_header;
pub mod smtp;
pub mod smtp_dialogue;
pub mod socket;
pub mod source;
pub mod stream;
pub mod tcp;
pub mod tls;
pub mod udp;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tcp::Begun;

use super::outcome::{Failure, Outcome, Success, Unreachable};
use super::plan::{CheckerPlan, Kind};
use crate::clock;

/// What checkers share: TLS contexts and patterns, users by their name. Built anew at each reload, so that a
/// changed user database or interface counts.
#[derive(Debug, Default)]
pub struct Tools {
    pages: http::Shared,
    users: misc::Users,
    /// Runs so far.
    number: u64,
    /// Makes of it what nobody outside can guess: keyed by the system's randomness.
    secret: RandomState,
}

impl Tools {
    /// For another configuration.
    pub fn renewed(&self) -> Self {
        Self { users: self.users.renewed(), ..Self::default() }
    }

    /// What is to be said of servers' certificates.
    pub fn certificates(&self) -> certificate::Told {
        self.pages.contexts.told()
    }

    /// Starts one run. The future owns what it needs, and ends within the checker's time limit.
    pub fn start(
        &mut self,
        plan: &Arc<CheckerPlan>,
        url: usize,
    ) -> Started<impl Future<Output = Outcome> + Send + 'static> {
        let began = clock::now();
        let run = match self.prepare(plan, url) {
            Ok(run) => run,
            Err(result) => {
                let took = clock::now().saturating_duration_since(began);
                return Started::Ended(Outcome { result, took });
            }
        };
        Started::Running(async move {
            let result = run.check().await;
            Outcome { result, took: clock::now().saturating_duration_since(began) }
        })
    }

    /// One whole run, for callers that wait for it alone.
    pub fn run(
        &mut self,
        plan: &Arc<CheckerPlan>,
        url: usize,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let started = self.start(plan, url);
        async move {
            match started {
                Started::Ended(outcome) => outcome,
                Started::Running(run) => run.await,
            }
        }
    }

    /// What is left of a run to wait for; `Err`: it has ended with that already.
    fn prepare(&mut self, plan: &Arc<CheckerPlan>, url: usize) -> Result<Run, Result<Success, Failure>> {
        self.number = self.number.wrapping_add(1);
        match &plan.kind {
            Kind::Tcp(target) if target.proxy.is_none() => match tcp::begin(target) {
                Err(failure) => Err(Err(failure)),
                Ok(Begun::Connected(_)) => Err(Ok(Success::default())),
                Ok(Begun::Waiting(socket)) => Ok(Run::Connect(Arc::clone(plan), socket)),
            },
            Kind::Http(_) => http::Request::new(plan, url, &mut self.pages).map(Run::Http).map_err(Err),
            Kind::Grpc(_) => grpc::Request::new(plan, &mut self.pages.contexts).map(Run::Grpc).map_err(Err),
            Kind::Misc(misc) => Ok(Run::Misc(Box::new(self.users.request(misc)))),
            _ => Ok(Run::Probe(Probe {
                plan: Arc::clone(plan),
                number: (self.number & 0xFFFF) as u16,
                token: self.secret.hash_one(self.number),
            })),
        }
    }
}

/// What became of a run when it was started.
pub enum Started<F> {
    /// It has its result already.
    Ended(Outcome),
    /// It is under way.
    Running(F),
}

/// A run, ready to start.
enum Run {
    /// A TCP_CHECK whose connection was asked for.
    Connect(Arc<CheckerPlan>, Socket),
    Probe(Probe),
    Http(http::Request),
    Grpc(grpc::Request),
    Misc(Box<misc::Request>),
}

impl Run {
    async fn check(self) -> Result<Success, Failure> {
        // Each in a box: none decides how much room the others take, and thousands may wait at a time.
        match self {
            Self::Connect(plan, socket) => Box::pin(finish(plan, socket)).await,
            Self::Probe(probe) => Box::pin(probe.check()).await,
            Self::Http(request) => Box::pin(request.check()).await,
            Self::Grpc(request) => Box::pin(request.check()).await,
            Self::Misc(request) => Box::pin(request.check()).await,
        }
    }
}

async fn finish(plan: Arc<CheckerPlan>, socket: Socket) -> Result<Success, Failure> {
    match plan.kind.target() {
        Some(target) => tcp::finish(target, socket).await,
        None => Err(Failure::Broken("a TCP_CHECK without target".to_owned())),
    }
}

/// A run that needs nothing but its plan and numbers of its own.
struct Probe {
    plan: Arc<CheckerPlan>,
    /// Differs from that of the runs before it.
    number: u16,
    /// Nobody outside can guess it.
    token: u64,
}

impl Probe {
    async fn check(self) -> Result<Success, Failure> {
        let [a, b, ..] = self.token.to_be_bytes();
        match &self.plan.kind {
            Kind::Smtp(smtp) => smtp::check(smtp).await,
            Kind::Dns(dns) => dns::check(dns, u16::from_be_bytes([a, b])).await,
            Kind::Udp(udp) => udp::check(udp, self.token.to_be_bytes()).await,
            Kind::Ping(target) => ping::check(target, self.number, self.token).await,
            Kind::Tcp(target) => tcp::check(target).await,
            Kind::Http(_) | Kind::Grpc(_) | Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => {
                Err(Failure::Broken(format!("{} was run as a probe", self.plan.kind.name())))
            }
        }
    }
}

/// The name of an error of the network. `source`: the file names where the check comes from.
fn io_failure(error: &io::Error, limit: Duration, source: bool) -> Failure {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Failure::Refused,
        Kind::TimedOut => Failure::Timeout(limit),
        Kind::HostUnreachable => Failure::Unreachable(Unreachable::Host),
        Kind::NetworkUnreachable | Kind::NetworkDown => Failure::Unreachable(Unreachable::Network),
        Kind::ConnectionReset => Failure::Cut("reset by peer".to_owned()),
        Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            Failure::Cut("closed before the answer was complete".to_owned())
        }
        // Without a source of its own the machine has run out of ports.
        Kind::AddrNotAvailable if source => Failure::Source("that address is not on this machine".to_owned()),
        _ if error.raw_os_error() == Some(libc::ENODEV) => Failure::Source("no such interface".to_owned()),
        _ => Failure::Io(error.to_string()),
    }
}
