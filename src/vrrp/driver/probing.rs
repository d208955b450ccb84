//! Questions about second holders of our addresses, and their answers.

use crate::vrrp::answers::Answers;
use crate::vrrp::question::question;
use crate::vrrp::runner::Turn;

use super::Driver;

impl Driver {
    /// Asks for one address of an instance that has a question due. It has just sent an advert, or something else
    /// happened to it: questions wake nobody by themselves, a thousand masters would never sleep.
    pub(super) fn probe(&mut self, number: usize, turn: &mut Turn) {
        if !self.runners.get(number).is_some_and(|runner| runner.probe_due(turn.now)) {
            return;
        }
        if self.answers.is_none() {
            // Without it nobody is found; the announcements' socket has told why.
            self.answers = Answers::open().ok();
        }
        let Some(answers) = &self.answers else { return };
        for (address, mac) in answers.receive() {
            // An interface of our own on the same link answers, too.
            if self.links.values().any(|link| link.mac == Some(mac)) {
                continue;
            }
            for runner in &mut self.runners {
                runner.answered(address, mac, turn);
            }
        }
        let Some(asked) = self.runners.get_mut(number).and_then(|runner| runner.question(turn)) else {
            return;
        };
        let Some(link) = self.links.get(&*asked.interface).filter(|link| !link.loopback && link.up) else {
            return;
        };
        let Some(mac) = link.mac else { return };
        // An error is told by the announcements and adverts, which go the same way.
        let _ = self.frames.send(link.index, &question(mac, asked.address));
    }
}
