//! Timeouts and synchronisation daemons over a session.

use super::{Error, Reading, Session, Transport};
use crate::ipvs::codec::settings as codec;
use crate::ipvs::settings::{Actual, Order};
use crate::ipvs::wire::Batch;

impl<T: Transport> Session<T> {
    /// Reads what holds.
    ///
    /// # Errors
    /// When it could not be read.
    pub fn read_settings(&mut self) -> Result<Actual, Error> {
        let mut actual = Actual::default();
        let timeouts = &mut actual.timeouts;
        self.dump("read the IPVS timeouts", codec::get_timeouts, |attributes| {
            *timeouts = codec::timeouts(attributes)?;
            Ok(())
        })?;
        let daemons = &mut actual.daemons;
        let reading = self.dump("read the IPVS sync daemons", codec::dump_daemons, |attributes| {
            let (role, daemon) = codec::daemon(attributes)?;
            *daemons.slot(role) = Some(daemon);
            Ok(())
        })?;
        match reading {
            Reading::Whole => Ok(actual),
            Reading::Interrupted | Reading::Abandoned => Err(Error::Restless),
        }
    }

    /// Carries out one order. `Some`: the error number of the kernel's refusal, positive.
    ///
    /// # Errors
    /// When it cannot be told what was done.
    pub fn order(&mut self, order: &Order) -> Result<Option<i32>, Error> {
        let request = |batch: &mut Batch, family, sequence| codec::order(batch, family, sequence, order);
        match self.dump("change the IPVS settings", request, |_| Ok(())) {
            Ok(_) => Ok(None),
            Err(Error::Refused { errno, .. }) => Ok(Some(errno)),
            Err(error) => Err(error),
        }
    }
}
