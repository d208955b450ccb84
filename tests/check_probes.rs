//! Checkers against real peers: an SMTP server, a DNS server, ICMP of another host, UDP services, TLS old and new; and against peers that
//! answer what nobody should. Every test has a network of its own.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test is a driver: it reads clocks and sleeps"
)]

#[path = "check_probes/certificates.rs"]
mod certificates;
#[path = "check_probes/datagrams.rs"]
mod datagrams;
#[path = "check_probes/expect.rs"]
mod expect;
#[path = "check_probes/grpc.rs"]
mod grpc;
#[path = "check_probes/hostile.rs"]
mod hostile;
#[path = "check_probes/ping.rs"]
mod ping;
#[path = "check_probes/services.rs"]
mod services;
#[path = "check_probes/smtp.rs"]
mod smtp;
#[path = "check_probes/source.rs"]
mod source;
#[path = "check_probes/tls.rs"]
mod tls;
#[path = "check_probes/told.rs"]
mod told;
#[path = "check_probes/world.rs"]
mod world;
