//! A model of the kernel's IPVS: request bytes in, answer bytes out, with the kernel's error numbers. Faults can be
//! injected: error numbers, lost answers, interrupted dumps, somebody else who changes the table in between.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use crate::ipvs::codec::{self, command, outer};
use crate::ipvs::diff::Change;
use crate::ipvs::session::{Session, Transport};
use crate::ipvs::settings::{Actual, Order, Role};
use crate::ipvs::table::{DestinationKey, Family, ServiceKey, Table};
use crate::ipvs::wire::{
    Attributes, Batch, Message, Messages, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR,
};

/// Number of the family.
pub(crate) const FAMILY: u16 = 30;
const SCHEDULERS: [&str; 4] = ["wlc", "rr", "mh", "sh"];

/// Asked before each change is carried out: may change the table, and may give an error number instead.
pub(crate) type Hook = Box<dyn FnMut(&mut Table, &Change) -> Option<i32> + Send>;

#[derive(Default)]
pub(crate) struct State {
    pub(crate) table: Table,
    pub(crate) settings: Actual,
    /// Every order that was asked for, with its error number.
    pub(crate) orders: Vec<(Order, i32)>,
    /// Error number of the orders to come.
    pub(crate) refuse_orders: i32,
    /// Every change that was asked for, in order, with its error number (0 = done).
    pub(crate) asked: Vec<(Change, i32)>,
    /// Number of messages in each datagram that changed something.
    pub(crate) batches: Vec<usize>,
    pub(crate) service_dumps: usize,
    pub(crate) hook: Option<Hook>,
    /// Answers of acknowledgements that get lost.
    pub(crate) lose_acks: usize,
    /// Dumps of services that say that they were interrupted.
    pub(crate) interrupt_dumps: usize,
    /// Answers that are spoiled.
    pub(crate) garble: usize,
    answers: VecDeque<Vec<u8>>,
}

/// A handle on the model; clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeKernel(Arc<Mutex<State>>);

impl FakeKernel {
    pub(crate) fn with(table: Table) -> Self {
        let kernel = Self::default();
        kernel.state(|state| state.table = table);
        kernel
    }

    pub(crate) fn state<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn table(&self) -> Table {
        self.state(|state| state.table.clone())
    }

    /// A new connection; answers of an old one are gone.
    pub(crate) fn session(&self) -> Session<Self> {
        self.state(|state| state.answers.clear());
        Session::new(self.clone(), FAMILY)
    }
}

impl Transport for FakeKernel {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.state(|state| state.datagram(datagram));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.state(|state| {
            let mut answer = state.answers.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
            if state.garble > 0 {
                state.garble -= 1;
                answer[0] ^= 0x55;
            }
            buffer[..answer.len()].copy_from_slice(&answer);
            Ok(answer.len())
        })
    }
}

/// The destination that a request names, by its own reading of the attributes.
fn named_destination(attributes: Attributes<'_>) -> Option<DestinationKey> {
    let nest = attributes.flatten().find(|attribute| attribute.kind == outer::DEST)?.nested();
    let mut found = (None, None, None);
    for attribute in nest.flatten() {
        match attribute.kind {
            1 => found.0 = Some(attribute.prefix::<16>("ADDR").unwrap()),
            2 => found.1 = Some(attribute.be16("PORT").unwrap()),
            11 => found.2 = Some(attribute.u16("FAMILY").unwrap()),
            _ => {}
        }
    }
    let (bytes, port, family) = (found.0?, found.1?, found.2?);
    let address = match family {
        2 => <[u8; 4]>::try_from(&bytes[..4]).unwrap().into(),
        10 => bytes.into(),
        other => panic!("address family {other}"),
    };
    Some(DestinationKey { address, port })
}

impl State {
    fn datagram(&mut self, datagram: &[u8]) {
        let messages: Vec<Message<'_>> = Messages::new(datagram).map(|message| message.unwrap()).collect();
        if messages.iter().all(|message| message.flags & NLM_F_DUMP == 0) {
            self.batches.push(messages.len());
        }
        for message in messages {
            assert_eq!(message.kind, FAMILY);
            let (what, attributes) = message.generic().unwrap();
            if message.flags & NLM_F_DUMP != 0 {
                self.dump(message.sequence, what, attributes);
                continue;
            }
            let errno = self
                .order(message.sequence, what, &attributes)
                .unwrap_or_else(|| self.change(what, &attributes));
            if errno != 0 || message.flags & NLM_F_ACK != 0 {
                if self.lose_acks > 0 && message.flags & NLM_F_ACK != 0 {
                    self.lose_acks -= 1;
                    continue;
                }
                let mut answer = framed(NLMSG_ERROR, 0, message.sequence, &(-errno).to_ne_bytes());
                // The kernel echoes the request behind the error number.
                answer.extend_from_slice(&[0; 16]);
                let length = u32::try_from(answer.len()).unwrap();
                answer[..4].copy_from_slice(&length.to_ne_bytes());
                self.answers.push_back(answer);
            }
        }
    }

    /// Commands beside the table's; `None`: it is one of those.
    fn order(&mut self, sequence: u32, what: u8, attributes: &Attributes<'_>) -> Option<i32> {
        let order = match what {
            command::GET_CONFIG => {
                let mut batch = Batch::new();
                codec::settings::order(
                    &mut batch,
                    FAMILY,
                    sequence,
                    &Order::SetTimeouts(self.settings.timeouts),
                );
                self.answers.push_back(batch.as_bytes().to_vec());
                return Some(0);
            }
            command::SET_CONFIG => Order::SetTimeouts(codec::settings::timeouts(attributes.clone()).unwrap()),
            command::NEW_DAEMON => {
                let (role, daemon) = codec::settings::daemon(attributes.clone()).unwrap();
                Order::Start(role, daemon)
            }
            command::DEL_DAEMON => Order::Stop(codec::settings::daemon(attributes.clone()).unwrap().0),
            _ => return None,
        };
        let errno = match &order {
            _ if self.refuse_orders != 0 => self.refuse_orders,
            Order::Start(role, _) if self.settings.daemons.get(*role).is_some() => libc::EEXIST,
            Order::Stop(role) if self.settings.daemons.get(*role).is_none() => libc::ESRCH,
            _ => 0,
        };
        if errno == 0 {
            order.apply(&mut self.settings);
            // The kernel's own correction.
            if let Some(backup) = self.settings.daemons.slot(Role::Backup) {
                backup.max_length = Some(backup.max_length.unwrap_or(1472).max(1024));
            }
        }
        self.orders.push((order, errno));
        Some(errno)
    }

    fn change(&mut self, what: u8, attributes: &Attributes<'_>) -> i32 {
        let raw = codec::service_key(attributes.clone()).unwrap().unwrap();
        let key = raw.key;
        let destination = || named_destination(attributes.clone()).unwrap();
        let settings = || codec::destination(attributes.clone(), key.family()).unwrap().1;
        let change = match what {
            command::NEW_SERVICE => Change::NewService { key, service: raw.settings().unwrap() },
            command::SET_SERVICE => Change::SetService { key, service: raw.settings().unwrap() },
            command::DEL_SERVICE => Change::DeleteService { key },
            command::NEW_DEST => {
                Change::NewDestination { key, destination: destination(), settings: settings() }
            }
            command::SET_DEST => {
                Change::SetDestination { key, destination: destination(), settings: settings() }
            }
            command::DEL_DEST => Change::DeleteDestination { key, destination: destination() },
            other => panic!("command {other}"),
        };
        let mut hook = self.hook.take();
        let injected = hook.as_mut().and_then(|hook| hook(&mut self.table, &change));
        self.hook = hook;
        let errno = injected.unwrap_or_else(|| self.verdict(&change));
        if errno == 0 {
            change.apply(&mut self.table);
        }
        self.asked.push((change, errno));
        errno
    }

    fn verdict(&self, change: &Change) -> i32 {
        let service = self.table.get(change.service());
        let there =
            |destination| service.is_some_and(|service| service.destinations.contains_key(destination));
        match change {
            Change::NewService { .. } if service.is_some() => libc::EEXIST,
            Change::SetService { .. } | Change::DeleteService { .. } if service.is_none() => libc::ESRCH,
            Change::NewService { service, .. } | Change::SetService { service, .. }
                if !SCHEDULERS.contains(&service.scheduler.as_str()) =>
            {
                libc::ENOENT
            }
            Change::NewDestination { .. }
            | Change::SetDestination { .. }
            | Change::DeleteDestination { .. }
                if service.is_none() =>
            {
                libc::ESRCH
            }
            Change::NewDestination { destination, .. } if there(destination) => libc::EEXIST,
            Change::SetDestination { destination, .. } | Change::DeleteDestination { destination, .. }
                if !there(destination) =>
            {
                libc::ENOENT
            }
            _ => 0,
        }
    }

    fn dump(&mut self, sequence: u32, what: u8, attributes: Attributes<'_>) {
        let mut flags = 0x2;
        let mut answers = Vec::new();
        match what {
            command::GET_DAEMON => {
                for role in Role::ALL {
                    let Some(daemon) = self.settings.daemons.get(role) else { continue };
                    let mut batch = Batch::new();
                    codec::settings::order(&mut batch, FAMILY, sequence, &Order::Start(role, daemon.clone()));
                    self.answers.push_back(batch.as_bytes().to_vec());
                }
            }
            command::GET_SERVICE => {
                self.service_dumps += 1;
                if self.interrupt_dumps > 0 {
                    self.interrupt_dumps -= 1;
                    flags |= NLM_F_DUMP_INTR;
                }
                for (key, entry) in &self.table {
                    answers.push(Change::NewService { key: *key, service: entry.service.clone() });
                }
            }
            command::GET_DEST => {
                let key = codec::service_key(attributes).unwrap().unwrap().key;
                let destinations = self.table.get(&key).map(|entry| &entry.destinations);
                for (destination, settings) in destinations.into_iter().flatten() {
                    answers.push(Change::NewDestination {
                        key,
                        destination: *destination,
                        settings: *settings,
                    });
                }
            }
            other => panic!("dump of {other}"),
        }
        // A few to a datagram.
        for some in answers.chunks(3) {
            let mut batch = Batch::new();
            for answer in some {
                codec::change(&mut batch, FAMILY, sequence, answer);
            }
            let mut bytes = batch.as_bytes().to_vec();
            if flags & NLM_F_DUMP_INTR != 0 {
                bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
            }
            self.answers.push_back(bytes);
        }
        self.answers.push_back(framed(NLMSG_DONE, flags, sequence, &0i32.to_ne_bytes()));
    }
}

fn framed(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap();
    [
        &length.to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &[0; 4],
        body,
    ]
    .concat()
}

/// A fwmark service's key: the shortest to write.
pub(crate) const fn mark(mark: u32) -> ServiceKey {
    ServiceKey::Fwmark { family: Family::V4, mark }
}
