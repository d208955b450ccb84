//! The checkers of a real server that connect, but for pages.

use crate::config::keepalived::blocks::Blocks;
use crate::config::keepalived::form::{
    Address, Choice, FlagSwitch, LONGEST, Number, Seconds, Short, Switch, Text, TextOr,
};
use crate::config::keepalived::keyword::{Block, Form, Table, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{
    DnsCheck, DnsType, GrpcCheck, PingCheck, SmtpCheck, SmtpHost, TcpCheck, UdpCheck,
};

use super::expect::Proxy;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

/// A block without words on its own line, which may be empty.
macro_rules! plain_block {
    ($type:ty, $what:literal, $table:ident $(, $complete:item)?) => {
        impl Block for $type {
            const WHAT: &'static str = $what;
            origin!();

            fn table() -> Table<Self> {
                $table
            }

            fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
                Some(Self::default())
            }

            $($complete)?

            #[cfg(test)]
            fn blank(_: &mut Sampler) -> Self {
                Self::default()
            }
        }
    };
}

/// The words of a checker that is run, with those that all of these share.
macro_rules! paced {
    ($type:ty: $($own:tt)*) => {
        keywords! { $type:
            $($own)*
            "delay_loop" => { pace.delay_loop: Seconds(0.000_001, LONGEST) };
            "retry" => { pace.retry: Number(0, u32::MAX) };
            "delay_before_retry" => { pace.delay_before_retry: Seconds(0.0, LONGEST) };
            "fall" => { pace.fall: Number(1, 1000) };
            "rise" => { pace.rise: Number(1, 1000) };
            "fast_interval" => { pace.fast_interval: Seconds(0.001, LONGEST) };
            "timeout_retry" => { pace.timeout_retry: Number(0, 1000) };
            "share" => { pace.share: Switch };
            "warmup" => { pace.warmup: Seconds(0.0, LONGEST) };
            "alpha" => { pace.alpha: Switch };
            "log_all_failures" => { pace.log_all_failures: Switch };
        }
    };
}

/// The words of a checker that connects, with those that all of these share.
macro_rules! connecting {
    ($type:ty: $($own:tt)*) => {
        $crate::config::keepalived::words::check::paced! { $type:
            $($own)*
            "connect_ip" => { connection.connect_ip: Address };
            "connect_port" => { connection.connect_port: Number(1, u16::MAX) };
            "bindto" => { connection.bindto: Address };
            "bind_if" => { connection.bind_if: Short(15) };
            "bind_port" => { connection.bind_port: Number(1, u16::MAX) };
            "fwmark" => { connection.fwmark: Number(0, u32::MAX) };
            "connect_timeout" => { connection.connect_timeout: Seconds(0.000_001, LONGEST) };
        }
    };
}

pub(super) use {connecting, paced, plain_block};

/// `tls_verify` without the name of a file: the machine's authorities.
pub(super) const SYSTEM: &str = "system";
/// The most of `tls_expiry`, days.
pub(super) const YEARS: u32 = 3650;

const TCP: Table<TcpCheck> = connecting! { TcpCheck:
    "send_proxy" => { send_proxy: Proxy };
};
plain_block!(TcpCheck, "TCP_CHECK", TCP);

const PING: Table<PingCheck> = connecting! { PingCheck: };
plain_block!(PingCheck, "PING_CHECK", PING);

const SMTP: Table<SmtpCheck> = connecting! { SmtpCheck:
    "helo_name" => { helo_name: Text };
    "host" => { host: Blocks::<SmtpHost>::all() };
    "send_proxy" => { send_proxy: Proxy };
};
plain_block!(SmtpCheck, "SMTP_CHECK", SMTP);

const HOST: Table<SmtpHost> = keywords! { SmtpHost:
    "connect_ip" => { connection.connect_ip: Address };
    "connect_port" => { connection.connect_port: Number(1, u16::MAX) };
    "bindto" => { connection.bindto: Address };
    "bind_if" => { connection.bind_if: Short(15) };
    "bind_port" => { connection.bind_port: Number(1, u16::MAX) };
    "fwmark" => { connection.fwmark: Number(0, u32::MAX) };
    "connect_timeout" => { connection.connect_timeout: Seconds(0.000_001, LONGEST) };
};
plain_block!(SmtpHost, "host", HOST);

const GRPC: Table<GrpcCheck> = connecting! { GrpcCheck:
    "service" => { service: Text };
    "virtualhost" => { virtualhost: Text };
    "tls" => { tls: FlagSwitch };
    "sni_name" => { sni_name: Text };
    "tls_verify" => { server_certificate.tls_verify: TextOr(SYSTEM) };
    "tls_verify_name" => { server_certificate.tls_verify_name: Text };
    "tls_expiry" => { server_certificate.tls_expiry: Number(0, YEARS) };
    "tls_expiry_warn" => { server_certificate.tls_expiry_warn: Number(1, YEARS) };
    "send_proxy" => { send_proxy: Proxy };
};
plain_block!(GrpcCheck, "GRPC_CHECK", GRPC);

const DNS: Table<DnsCheck> = connecting! { DnsCheck:
    "type" => { kind: Choice(&[
        ("A", DnsType::A), ("NS", DnsType::Ns), ("CNAME", DnsType::Cname), ("SOA", DnsType::Soa), ("MX", DnsType::Mx),
        ("TXT", DnsType::Txt), ("AAAA", DnsType::Aaaa), ("RRSIG", DnsType::Rrsig), ("DNSKEY", DnsType::Dnskey),
    ], "SOA is asked for") };
    "name" => { name: Text };
};
plain_block!(DnsCheck, "DNS_CHECK", DNS);

const UDP: Table<UdpCheck> = connecting! { UdpCheck:
    "payload" => { payload: Hex { bare: false } };
    "require_reply" => { require_reply: Hex { bare: true } };
    "min_reply_length" => { min_reply_length: Number(0, u16::MAX) };
    "max_reply_length" => { max_reply_length: Number(0, u16::MAX) };
};
plain_block!(UdpCheck, "UDP_CHECK", UDP);

/// Hexadecimal bytes in groups as one likes; what is none of them is found when all is read. `bare`: the word alone says
/// something, too.
struct Hex {
    bare: bool,
}

impl Form for Hex {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let text = node.arguments().join(" ");
        if text.is_empty() && !self.bare {
            r.missing(node);
        } else {
            *slot = Some(text);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(text) = slot {
            let groups: Vec<String> = text.split_ascii_whitespace().map(|group| w.quote(group)).collect();
            w.line(word, &groups);
        }
    }

    fn says(&self) -> String {
        if self.bare { "[hexadecimal digits, X for any]" } else { "hexadecimal digits" }.to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let text = if s.flip() { "0aF 12 3" } else { "deadbeef" };
        *slot = Some(if self.bare && s.flip() { String::new() } else { text.to_owned() });
    }
}
