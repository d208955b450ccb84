//! Every checker but HTTP_GET.

use super::super::plan::{
    CheckerPlan, DnsPlan, FilePlan, GrpcPlan, Kind, MiscPlan, ReplyPlan, SmtpPlan, Target, UdpPlan,
};
use super::http::{certified, server_name, tls_plan};
use super::inherit::{Before, Inherit, first_limit};
use crate::config::model::{
    BfdCheck, Connection, DnsCheck, DnsType, FileCheck, GrpcCheck, MiscCheck, Pace, PingCheck, SmtpCheck,
    TcpCheck, UdpCheck,
};
use crate::config::text::hex::{self, Pattern};

/// What keepalived says in HELO where the file names nothing.
const HELO: &str = "smtpchecker.keepalived.org";
/// keepalived's `max_reply_length` where the file has none, bytes.
const MAX_REPLY: u16 = 255;
/// keepalived's weight of a `track_file` where the file has none.
const FILE_WEIGHT: i16 = 1;

impl Inherit<'_> {
    pub(super) fn tcp(&self, check: &TcpCheck) -> CheckerPlan {
        let target = self.target(&check.connection, check.send_proxy);
        self.checker(Kind::Tcp(target), &check.pace, 1, Before::Secs(1))
    }

    /// One checker a `host`; what a `host` does not write comes from the checker. Without any `host` the checker's own
    /// words are the one.
    pub(super) fn smtp(&self, check: &SmtpCheck) -> Vec<CheckerPlan> {
        let one = |target: Target| {
            let helo = check.helo_name.clone().unwrap_or_else(|| HELO.to_owned());
            self.checker(Kind::Smtp(Box::new(SmtpPlan { target, helo })), &check.pace, 1, Before::Secs(1))
        };
        if check.host.is_empty() {
            return vec![one(self.target(&check.connection, check.send_proxy))];
        }
        let of = |host: &Connection| self.target_of([host, &check.connection], check.send_proxy);
        check.host.iter().map(|host| one(of(&host.connection))).collect()
    }

    pub(super) fn dns(&self, check: &DnsCheck) -> CheckerPlan {
        let kind = Kind::Dns(Box::new(DnsPlan {
            target: self.target(&check.connection, None),
            kind: check.kind.unwrap_or(DnsType::Soa),
            name: check.name.clone().unwrap_or_else(|| ".".to_owned()),
        }));
        self.checker(kind, &check.pace, 3, Before::Loop)
    }

    pub(super) fn misc(&self, check: &MiscCheck) -> CheckerPlan {
        let user = check.misc_path.user.clone();
        let manner = self.manner(&check.pace, 0, Before::Secs(1));
        let kind = Kind::Misc(Box::new(MiscPlan {
            argv: check.misc_path.argv.clone(),
            user: user.or_else(|| self.config.global_defs.script_user.clone()),
            timeout: first_limit([check.misc_timeout]).unwrap_or(manner.rules.delay_loop),
            dynamic: check.misc_dynamic,
        }));
        CheckerPlan { kind, manner: self.pools.manners.keep(manner) }
    }

    /// Texts that are no hexadecimal bytes were refused when the file was read, and count as not written.
    pub(super) fn udp(&self, check: &UdpCheck) -> CheckerPlan {
        let payload = check.payload.as_deref().and_then(|text| hex::bytes(text).ok());
        let reply = check.require_reply.as_deref().map(|text| ReplyPlan {
            pattern: Pattern::parse(text).unwrap_or_default(),
            min: check.min_reply_length.unwrap_or(0),
            max: check.max_reply_length.unwrap_or(MAX_REPLY),
        });
        let kind =
            Kind::Udp(Box::new(UdpPlan { target: self.target(&check.connection, None), payload, reply }));
        self.checker(kind, &check.pace, 1, Before::Secs(1))
    }

    pub(super) fn grpc(&self, check: &GrpcCheck) -> CheckerPlan {
        let target = self.target(&check.connection, check.send_proxy);
        let virtualhost = check
            .virtualhost
            .as_ref()
            .or(self.real.virtualhost.as_ref())
            .or(self.server.virtualhost.as_ref());
        let named = check.sni_name.as_ref();
        let kind = Kind::Grpc(Box::new(GrpcPlan {
            tls: check.tls.then(|| tls_plan(self.config.ssl.as_ref(), &check.server_certificate)),
            // Unlike old web servers a gRPC server knows the name: it is always said.
            server_name: named.or(virtualhost).and_then(|name| server_name(name)),
            certified: certified(&check.server_certificate, named, virtualhost)
                .unwrap_or_else(|| target.address.ip().to_string()),
            authority: virtualhost.cloned().unwrap_or_else(|| target.address.to_string()),
            service: check.service.clone().unwrap_or_default(),
            target,
        }));
        self.checker(kind, &check.pace, 1, Before::Secs(1))
    }

    pub(super) fn ping(&self, check: &PingCheck) -> CheckerPlan {
        self.checker(Kind::Ping(self.target(&check.connection, None)), &check.pace, 1, Before::Secs(1))
    }

    /// `None` where no such `track_file` is defined.
    pub(super) fn file(&self, check: &FileCheck) -> Option<CheckerPlan> {
        let file = self.config.track_file.iter().find(|file| file.name == check.track_file)?;
        // The sense belongs to the weight: a check with a weight of its own has its own sense.
        let (weight, reverse) = match check.weight {
            Some(weight) => (weight, check.reverse),
            None => (file.weight.unwrap_or(FILE_WEIGHT), file.reverse || check.reverse),
        };
        let plan = FilePlan { name: file.name.clone(), weight: i64::from(weight), reverse };
        let kind = Kind::File(Box::new(plan));
        Some(self.told(kind, &check.pace))
    }

    pub(super) fn bfd(&self, check: &BfdCheck) -> CheckerPlan {
        let pace = Pace { alpha: check.alpha, ..Pace::default() };
        self.told(Kind::Bfd(check.name.clone()), &pace)
    }

    /// A checker that is told and never run: what it hears counts at once.
    fn told(&self, kind: Kind, pace: &Pace) -> CheckerPlan {
        let mut manner = self.manner(pace, 0, Before::Secs(1));
        manner.rules.retry = 0;
        manner.rules.rise = 1;
        manner.rules.timeout_retry = None;
        CheckerPlan { kind, manner: self.pools.manners.keep(manner) }
    }
}
