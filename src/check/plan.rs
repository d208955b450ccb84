//! What check works by: services, real servers and checkers with every value resolved.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::common::Common;
use super::damping;
use super::health;
use super::identity::Identity;
use super::members::{self, Member};
use super::quorum;
use super::tiers;
use crate::config::model::{AdminState, Command};
use crate::ipvs::table::{DestinationKey, Forward, ServiceKey};

mod kind;

pub use kind::{
    Authority, ClientCertificate, DnsPlan, FilePlan, GrpcPlan, HeaderPlan, HeaderValue, HttpPlan, JsonPlan,
    Kind, MiscPlan, RegexPlan, ReplyPlan, SmtpPlan, Target, TlsPlan, UdpPlan, UrlPlan, Way,
};

/// Everything that check works by, virtual servers in file order, their names and the keys of their members unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The virtual servers; what a reload leaves as it is is the same object before and after.
    pub services: Vec<Arc<VirtualPlan>>,
    /// `rs_init_notifies`: tell how each real server begins.
    pub init_notifies: bool,
}

impl Plan {
    /// Number of checkers.
    pub fn checkers(&self) -> usize {
        self.services.iter().flat_map(|s| &s.reals).map(|r| r.checkers.len()).sum()
    }
}

/// One virtual server.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualPlan {
    /// What it is called, everywhere.
    pub name: Identity,
    /// How many virtual servers of the same group stand before it in the file.
    pub number: usize,
    /// Its services in the kernel, never empty.
    pub members: Vec<Member>,
    /// `ha_suspend`: its checks run only while this address is on this host.
    pub suspend: Option<IpAddr>,
    /// Its quorum.
    pub quorum: quorum::Rules,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Command>,
    /// Run when the quorum is lost.
    pub quorum_down: Option<Command>,
    /// Run the down programs at stop.
    pub omega: bool,
    /// Mail when the quorum changes.
    pub smtp_alert: bool,
    /// Stands in while the quorum is lost, where no sorry server with checks of its own is up.
    pub sorry: Option<SorryPlan>,
    /// How many priority tiers the real servers have; at least 1.
    pub tier_count: usize,
    /// When the next one serves.
    pub tiers: tiers::Rules,
    /// `drain_on_removal`: a real server that a reload takes away stays with weight 0 for so long, or until it has no
    /// connections.
    pub drain: Option<Duration>,
    /// The farm, keys unique, never empty.
    pub reals: Vec<RealPlan>,
}

/// A sorry server. Its weight is 1, it is never checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SorryPlan {
    /// Its key in the virtual server.
    pub key: DestinationKey,
    /// The port of its destinations, as a real server's.
    pub port: Option<u16>,
    /// How packets reach it.
    pub forward: Forward,
    /// In the table with weight 0 while it is not in use.
    pub inhibit: bool,
}

/// One real server: what is its own, and its rules, which read as if they were its own, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealPlan {
    /// Its key in the virtual server. With DR and TUN the port is the service's (0 with a mark), whatever the file says;
    /// in a group it is the one of the file, 0 where it names none ([`RealPlan::at`] has the kernel's).
    pub key: DestinationKey,
    /// The port of its destinations, where the method maps ports: `None` = the service's, 0 = the packet's own.
    pub port: Option<u16>,
    /// The port that the file names it by, the service's where it names none.
    pub named: u16,
    /// What most of a farm have alike.
    pub rules: Common<RealRules>,
    /// Its checkers; none = always up. Nearly all have one.
    pub checkers: SmallVec<[Arc<CheckerPlan>; 1]>,
}

/// What the file says of a real server, but for its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealRules {
    /// How packets reach it.
    pub forward: Forward,
    /// Configured weight, 0..=65535.
    pub weight: u32,
    /// Upper connection threshold; 0 = none.
    pub upper_threshold: u32,
    /// Lower connection threshold.
    pub lower_threshold: u32,
    /// Weight 0 rather than removal while it is down.
    pub inhibit: bool,
    /// Its tier, 0 = the first one.
    pub tier: usize,
    /// It serves only while the quorum is lost, and does not count for it.
    pub sorry: bool,
    /// What people want of it, whatever its checks say.
    pub state: AdminState,
    /// Its weight grows over this time when it comes back.
    pub slow_start: Option<Duration>,
    /// It is held down when it flaps.
    pub damping: Option<damping::Rules>,
    /// Run when it comes up.
    pub notify_up: Option<Command>,
    /// Run when it goes down.
    pub notify_down: Option<Command>,
    /// Mail when it goes or comes.
    pub smtp_alert: bool,
}

impl SorryPlan {
    /// Its key in one of the services.
    pub fn at(&self, service: &ServiceKey) -> DestinationKey {
        members::destination_key(service, self.forward, self.key.address, self.port)
    }
}

impl RealPlan {
    /// Its key in one of the services.
    pub fn at(&self, service: &ServiceKey) -> DestinationKey {
        members::destination_key(service, self.forward, self.key.address, self.port)
    }

    /// Address and port as the file names it, the service's port where it names none: what people know it by.
    pub const fn name(&self) -> SocketAddr {
        SocketAddr::new(self.key.address, self.named)
    }
}

impl Deref for RealPlan {
    type Target = RealRules;

    fn deref(&self) -> &RealRules {
        &self.rules
    }
}

impl DerefMut for RealPlan {
    fn deref_mut(&mut self) -> &mut RealRules {
        &mut self.rules
    }
}

/// One checker: what it does, and its manner, which reads as if it were its own, too. Equal plans keep their state over a
/// reload, and share one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckerPlan {
    /// What it does.
    pub kind: Kind,
    /// What most checkers of a file have alike.
    pub manner: Common<Manner>,
}

impl Deref for CheckerPlan {
    type Target = Manner;

    fn deref(&self) -> &Manner {
        &self.manner
    }
}

impl DerefMut for CheckerPlan {
    fn deref_mut(&mut self) -> &mut Manner {
        &mut self.manner
    }
}

/// How a checker is run, and what becomes of its results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// Its numbers.
    pub rules: health::Rules,
    /// Greatest random delay of the first check, when the file asks for one.
    pub warmup: Option<Duration>,
    /// Down until the first success.
    pub alpha: bool,
    /// Log every failure, not only transitions.
    pub log_all_failures: bool,
    /// Its runs count for all checkers with an equal plan.
    pub share: bool,
}

/// By what tells most checkers of a configuration apart. Whatever else there is to a plan, equal ones agree in this.
impl Hash for CheckerPlan {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind.name().hash(state);
        self.kind.target().map(|target| target.address).hash(state);
        match &self.kind {
            Kind::Http(http) => {
                for url in http.urls.iter() {
                    (&url.path, &url.host).hash(state);
                }
            }
            Kind::Misc(misc) => misc.argv.hash(state),
            Kind::File(file) => file.name.hash(state),
            Kind::Bfd(name) => name.hash(state),
            Kind::Grpc(grpc) => grpc.service.hash(state),
            Kind::Tcp(_) | Kind::Ping(_) | Kind::Smtp(_) | Kind::Dns(_) | Kind::Udp(_) => {}
        }
    }
}
