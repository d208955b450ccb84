//! Counters over a session.

use nix::errno::Errno;

use super::{Error, Session, Transport};
use crate::ipvs::codec::{self, counts as decode};
use crate::ipvs::counts::{Counts, ServiceCounts};
use crate::ipvs::table::ServiceKey;
use crate::ipvs::wire::Batch;

impl<T: Transport> Session<T> {
    /// Reads the counters of the services that `ours` names, with their destinations. A table that changes meanwhile is no
    /// reason to read again: what came or went between two datagrams is missing until the next reading.
    ///
    /// # Errors
    /// When they could not be read.
    pub fn read_counts(&mut self, ours: &dyn Fn(&ServiceKey) -> bool) -> Result<Counts, Error> {
        let mut counts = Counts::default();
        self.dump("count the IPVS services", codec::dump_services, |attributes| {
            match codec::service_key(attributes.clone())?.map(|raw| raw.key).filter(|key| ours(key)) {
                Some(key) => {
                    let traffic = decode::service(attributes)?;
                    counts.services.insert(key, ServiceCounts { traffic, ..ServiceCounts::default() });
                }
                None => counts.foreign += 1,
            }
            Ok(())
        })?;
        for (key, service) in &mut counts.services {
            self.dump(
                "count the destinations of an IPVS service",
                |batch, family, sequence| codec::dump_destinations(batch, family, sequence, key),
                |attributes| {
                    let (destination, found) = decode::destination(attributes, key.family())?;
                    service.destinations.insert(destination, found);
                    Ok(())
                },
            )?;
        }
        Ok(counts)
    }

    /// Sets the counters of these services and of their destinations to zero, one after the other: what can be done is done,
    /// but for what comes behind a socket that fails. A service that is not there is none.
    pub fn zero(&mut self, services: &[ServiceKey]) -> Zeroed {
        let mut zeroed = Zeroed { services: 0, problem: None };
        for key in services {
            let request = |batch: &mut Batch, family, sequence| codec::zero(batch, family, sequence, key);
            match self.dump("zero the counters of an IPVS service", request, |_| Ok(())) {
                Ok(_) => zeroed.services += 1,
                Err(Error::Refused { errno, .. }) if errno == Errno::ESRCH as i32 => {}
                Err(error @ Error::Refused { .. }) => {
                    zeroed.problem.get_or_insert(error);
                }
                Err(error) => {
                    zeroed.problem = Some(error);
                    break;
                }
            }
        }
        zeroed
    }
}

/// What came of setting counters to zero.
#[derive(Debug)]
pub struct Zeroed {
    /// So many services count from zero.
    pub services: usize,
    /// Why others do not.
    pub problem: Option<Error>,
}
