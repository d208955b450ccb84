//! Who is told what: one event in, the programs, the pipe's line and the mail that follow from it out. The words are
//! keepalived's to the letter (lines and subjects were compared with Debian's 2.2.7); the environment of the programs
//! is Tandem's own.

use crate::check;
use crate::check::Identity;
use crate::config::model::{Command, Config, Instance, SyncGroup};
use crate::ipvs::table::{Protocol, ServiceKey};
use crate::vrrp::machine::StateName;

/// One event that somebody may want to know of.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// An instance changed its state; `Stopped` is the daemon's orderly end.
    Instance {
        /// Its name.
        name: &'a str,
        /// The new state.
        state: StateName,
        /// The one before.
        previous: StateName,
        /// Why, in words.
        cause: &'a str,
        /// Effective priority.
        priority: u8,
    },
    /// All members of a sync group reached a state.
    Group {
        /// Its name.
        name: &'a str,
        /// The new state.
        state: StateName,
        /// The one before.
        previous: StateName,
        /// Why, in words.
        cause: &'a str,
    },
    /// Trackers changed the effective priority of an instance, its state stayed.
    PriorityChanged {
        /// Its name.
        name: &'a str,
        /// The state it is in.
        state: StateName,
        /// The new effective priority.
        priority: u8,
    },
    /// A master heard a master of lower priority.
    LowerPriorityHeard {
        /// Its name.
        name: &'a str,
        /// Its own priority.
        priority: u8,
    },
    /// A reload took the instance away: `config` of [`tell`] is the one before the reload.
    Deleted {
        /// Its name.
        name: &'a str,
        /// The state it was in.
        previous: StateName,
        /// The priority it had.
        priority: u8,
    },
    /// A real server or a quorum went up or down.
    Checked(&'a check::Event),
}

/// Which pipes a line belongs to: `notify_fifo` gets both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// `vrrp_notify_fifo`.
    Vrrp,
    /// `lvs_notify_fifo`.
    Lvs,
}

/// A line for pipes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which pipes.
    pub stream: Stream,
    /// Whom it is about: of lines that a full pipe refused, the newest one of each subject is told later.
    pub subject: String,
    /// Its words, without the newline.
    pub text: String,
}

/// A program and the words that are appended to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// As the file names it.
    pub command: Command,
    /// Arguments behind the configured ones.
    pub extra: Vec<String>,
}

/// A mail, without `[router_id]` in its subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Subject.
    pub subject: String,
    /// Plain text, lines ended by `\n`.
    pub body: String,
}

/// All that follows from one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Telling {
    /// Programs of one queue run one after the other.
    pub queue: String,
    /// The programs tell a state: older ones of the queue that still wait are not worth running any more.
    pub supersedes: bool,
    /// The programs, in this order: the specific one, then the generic one.
    pub runs: Vec<Run>,
    /// Variables of the programs.
    pub env: Vec<(String, String)>,
    /// The line.
    pub line: Option<Line>,
    /// The mail.
    pub mail: Option<Letter>,
    /// The event in words, for the log.
    pub why: String,
}

/// What follows from an event under a configuration. An event of an object that the configuration does not have is
/// told to nobody (`None`), and so is INIT.
pub fn tell(happening: Happening<'_>, config: &Config) -> Option<Telling> {
    match happening {
        Happening::Instance { name, state, previous, cause, priority } => {
            let instance = instance(config, name)?;
            let (word, specific) = match state {
                StateName::Master => ("MASTER", &instance.notify_master),
                StateName::Backup => ("BACKUP", &instance.notify_backup),
                StateName::Fault => ("FAULT", &instance.notify_fault),
                StateName::Stopped => ("STOP", &instance.notify_stop),
                StateName::Init => return None,
            };
            let story = Story { config, instance, word, previous, cause, priority };
            Some(story.state(specific.as_ref(), story.mail(state), format!("{name} is {state}")))
        }
        Happening::Group { name, state, previous, cause } => group(config, name, state, previous, cause),
        Happening::PriorityChanged { name, state, priority } => {
            let instance = instance(config, name)?;
            let member = config.vrrp_sync_group.iter().find(|g| g.group.iter().any(|member| member == name));
            let wanted = instance
                .notify_priority_changes
                .or(member.and_then(|group| group.notify_priority_changes))
                .or(config.global_defs.vrrp_notify_priority_changes)
                .unwrap_or(false);
            let word = if state == StateName::Master { "MASTER_PRIORITY" } else { "BACKUP_PRIORITY" };
            // The pipes alone: keepalived's `notify` never gets these words.
            wanted.then(|| Telling {
                queue: name.to_owned(),
                line: Some(line(instance, word, priority)),
                why: format!("{name} has priority {priority}"),
                ..Telling::default()
            })
        }
        Happening::LowerPriorityHeard { name, priority } => {
            let instance = instance(config, name)?;
            let (word, state) = ("MASTER_RX_LOWER_PRI", StateName::Master);
            let cause = "a master of lower priority was heard";
            let story = Story { config, instance, word, previous: state, cause, priority };
            Some(Telling {
                queue: name.to_owned(),
                runs: run(instance.notify_master_rx_lower_pri.as_ref(), &[]).into_iter().collect(),
                env: story.env(),
                line: Some(line(instance, word, priority)),
                why: format!("{name} heard a lower master"),
                ..Telling::default()
            })
        }
        Happening::Deleted { name, previous, priority } => {
            let instance = instance(config, name)?;
            let told = instance.notify_deleted.is_some() || instance.notify_deleted_fifo;
            let word = if told { "DELETED" } else { "FAULT" };
            let cause = "a reload removed it";
            let story = Story { config, instance, word, previous, cause, priority };
            let (specific, mail) = if told {
                let letter = Letter {
                    subject: format!("VRRP Instance {name} - Deleted"),
                    body: "=> VRRP Deleted at reload <=\n".to_owned(),
                };
                (&instance.notify_deleted, story.wants_mail().then_some(letter))
            } else {
                (&instance.notify_fault, story.mail(StateName::Fault))
            };
            Some(story.state(specific.as_ref(), mail, format!("{name} is gone")))
        }
        Happening::Checked(event) => Some(checked(event)),
    }
}

fn instance<'a>(config: &'a Config, name: &str) -> Option<&'a Instance> {
    config.vrrp_instance.iter().find(|instance| instance.name == name)
}

fn line(instance: &Instance, word: &str, priority: u8) -> Line {
    // Of lines that wait for a full pipe a newer state makes an older one void, a new priority does not.
    let kind = match word {
        "MASTER_PRIORITY" | "BACKUP_PRIORITY" => "PRIORITY",
        "MASTER_RX_LOWER_PRI" => "MASTER_RX_LOWER_PRI",
        _ => "INSTANCE",
    };
    Line {
        stream: Stream::Vrrp,
        subject: format!("{kind} {}", instance.name),
        text: format!("INSTANCE \"{}\" {word} {priority}", instance.name),
    }
}

fn run(command: Option<&Command>, extra: &[&str]) -> Option<Run> {
    let extra = extra.iter().map(|word| (*word).to_owned()).collect();
    command.map(|command| Run { command: command.clone(), extra })
}

fn variable(name: &str, value: &str) -> (String, String) {
    // A NUL cannot be in an environment: exec would refuse the whole program.
    (name.to_owned(), value.replace('\0', " "))
}

/// The words of an event of one instance.
struct Story<'a> {
    config: &'a Config,
    instance: &'a Instance,
    word: &'a str,
    previous: StateName,
    cause: &'a str,
    priority: u8,
}

impl Story<'_> {
    fn state(&self, specific: Option<&Command>, mail: Option<Letter>, why: String) -> Telling {
        let Self { instance, word, priority, .. } = self;
        let number = priority.to_string();
        let extra = ["INSTANCE", &instance.name, word, &number];
        Telling {
            queue: instance.name.clone(),
            supersedes: true,
            runs: run(specific, &[]).into_iter().chain(run(instance.notify.as_ref(), &extra)).collect(),
            env: self.env(),
            line: Some(line(instance, word, *priority)),
            mail,
            why,
        }
    }

    fn env(&self) -> Vec<(String, String)> {
        vec![
            variable("INSTANCE", &self.instance.name),
            variable("STATE", self.word),
            variable("PREVIOUS", &self.previous.to_string()),
            variable("CAUSE", self.cause),
            variable("PRIORITY", &self.priority.to_string()),
            variable("VIPS", &addresses(self.instance).join(" ")),
        ]
    }

    fn wants_mail(&self) -> bool {
        wants_mail(self.instance.smtp_alert, self.config)
    }

    fn mail(&self, state: StateName) -> Option<Letter> {
        let global = &self.config.global_defs;
        if !self.wants_mail() || (state == StateName::Fault && global.no_email_faults) {
            return None;
        }
        let owning = match state {
            StateName::Master => "now",
            StateName::Backup | StateName::Fault => "no longer",
            StateName::Stopped | StateName::Init => return None,
        };
        Some(Letter {
            subject: format!("VRRP Instance {} - Entering {state} state", self.instance.name),
            body: format!(
                "=> VRRP Instance is {owning} owning VRRP VIPs <=\n\nCause: {}\nPriority: {}\nBefore: {}\n",
                self.cause, self.priority, self.previous
            ),
        })
    }
}

fn addresses(instance: &Instance) -> Vec<String> {
    let all = instance.virtual_ipaddress.iter().chain(&instance.virtual_ipaddress_excluded);
    all.map(|address| address.address.address.to_string()).collect()
}

/// keepalived's rule: the object's own word, else the subsystem's, else the global one, else off.
fn wants_mail(own: Option<bool>, config: &Config) -> bool {
    let global = &config.global_defs;
    own.or(global.smtp_alert_vrrp).or(global.smtp_alert).unwrap_or(false)
}

fn group(config: &Config, name: &str, state: StateName, previous: StateName, cause: &str) -> Option<Telling> {
    let group: &SyncGroup = config.vrrp_sync_group.iter().find(|group| group.name == name)?;
    let (word, specific) = match state {
        StateName::Master => ("MASTER", &group.notify_master),
        StateName::Backup => ("BACKUP", &group.notify_backup),
        StateName::Fault => ("FAULT", &group.notify_fault),
        StateName::Stopped => ("STOP", &group.notify_stop),
        StateName::Init => return None,
    };
    let members = group.group.iter().filter_map(|member| instance(config, member));
    let addresses: Vec<String> = members.flat_map(addresses).collect();
    let mailed = match state {
        StateName::Fault => !config.global_defs.no_email_faults,
        StateName::Master | StateName::Backup => true,
        StateName::Stopped | StateName::Init => false,
    };
    let mail = (mailed && wants_mail(group.smtp_alert, config)).then(|| Letter {
        subject: format!("VRRP Group {name} - Entering {word} state"),
        body: format!(
            "=> All VRRP group instances are now in {word} state <=\n\nCause: {cause}\nBefore: {previous}\n"
        ),
    });
    let generic = run(group.notify.as_ref(), &["GROUP", name, word, "0"]);
    Some(Telling {
        // An instance may have the group's name: its programs and the group's do not wait for each other.
        queue: format!("group {name}"),
        supersedes: true,
        runs: run(specific.as_ref(), &[]).into_iter().chain(generic).collect(),
        env: vec![
            variable("GROUP", name),
            variable("STATE", word),
            variable("PREVIOUS", &previous.to_string()),
            variable("CAUSE", cause),
            variable("PRIORITY", "0"),
            variable("VIPS", &addresses.join(" ")),
        ],
        line: Some(Line {
            stream: Stream::Vrrp,
            subject: format!("GROUP {name}"),
            text: format!("GROUP \"{name}\" {word} 0"),
        }),
        mail,
        why: format!("group {name} is {state}"),
    })
}

/// The check room has read `smtp_alert` with keepalived's defaults (on for real servers, off for quorums).
fn checked(event: &check::Event) -> Telling {
    let up = event.what.is_up();
    let word = if up { "UP" } else { "DOWN" };
    let service = trio(&event.virtual_server, event.number);
    let mut env =
        vec![variable("VIRTUAL_SERVER", &service), variable("STATE", word), variable("CAUSE", &event.reason)];
    let (subject, title, body) = match &event.real_server {
        Some(real) => {
            let real = real_trio(real, &event.virtual_server);
            env.push(variable("REAL_SERVER", &real));
            let body = if up {
                format!("=> CHECK succeed on service <=\n\nCause: {}\n", event.reason)
            } else {
                format!("=> CHECK failed on service : {} <=\n", event.reason)
            };
            (
                format!("RS {real} {service}"),
                format!("Realserver {real} of virtual server {service} - {word}"),
                body,
            )
        }
        None => {
            let change = if up { "Gained" } else { "Lost" };
            let body = format!("=> {change} quorum: {} <=\n", event.reason);
            (format!("VS {service}"), format!("Virtualserver {service} - {word}"), body)
        }
    };
    Telling {
        queue: event.subject.clone(),
        // Every change of a server is told, as keepalived does: scripts count them.
        supersedes: false,
        runs: run(event.command.as_ref(), &[]).into_iter().collect(),
        env,
        line: Some(Line { stream: Stream::Lvs, text: format!("{subject} {word}"), subject }),
        mail: event.smtp_alert.then_some(Letter { subject: title, body }),
        why: event.to_string(),
    }
}

/// `[10.0.0.1]:tcp:80`, `FWM 5` or, of the first virtual server of a group, `[web]:0`.
fn trio(name: &Identity, number: usize) -> String {
    match name {
        Identity::Service(ServiceKey::Address { address, port, .. }) => {
            format!("[{address}]:{}:{port}", protocol(name))
        }
        Identity::Service(ServiceKey::Fwmark { mark, .. }) => format!("FWM {mark}"),
        Identity::Group { name, .. } => format!("[{name}]:{number}"),
    }
}

/// A real server in the same form; of a name that is no address the words themselves.
fn real_trio(name: &str, service: &Identity) -> String {
    match name.parse::<std::net::SocketAddr>() {
        Ok(real) => format!("[{}]:{}:{}", real.ip(), protocol(service), real.port()),
        Err(_) => name.to_owned(),
    }
}

/// Marks have none, which keepalived spells out.
const fn protocol(name: &Identity) -> &'static str {
    match name.protocol() {
        Some(Protocol::Udp) => "udp",
        Some(Protocol::Sctp) => "sctp",
        Some(Protocol::Tcp) => "tcp",
        None => "none",
    }
}

#[cfg(test)]
mod tests;
