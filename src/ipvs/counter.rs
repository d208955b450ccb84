//! Reads what the kernel counts when somebody asks, over a connection of its own, and shares one reading among all who ask
//! within a second. While nobody asks it does nothing and holds nothing open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::counts::Counts;
use super::session::{Error, Zeroed};
use super::socket;
use super::table::ServiceKey;
use crate::clock;

/// A reading is as good as new for so long.
const FRESH: Duration = Duration::from_secs(1);

type Reading = Result<Arc<Counts>, String>;

/// What was last read, for everybody.
#[derive(Debug, Default)]
pub struct Counter(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    read: Option<(Instant, Reading)>,
    number: u64,
    zeroed: u64,
}

impl Counter {
    /// What the kernel counts of the services that `ours` names, not older than a second. Blocks: not for a thread that
    /// others wait for. Who comes while another one reads waits for that, and has it, too. Loads no module.
    ///
    /// # Errors
    /// Why it could not be read, in words.
    pub fn read(&self, ours: &dyn Fn(&ServiceKey) -> bool) -> Reading {
        self.read_by(clock::now, || socket::connect(false)?.read_counts(ours))
    }

    fn read_by(&self, now: impl Fn() -> Instant, read: impl FnOnce() -> Result<Counts, Error>) -> Reading {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not before we have our turn.
        let begun = now();
        if let Some((at, reading)) = &last.read
            && begun.saturating_duration_since(*at) < FRESH
        {
            return reading.clone();
        }
        last.number += 1;
        let (number, zeroed) = (last.number, last.zeroed);
        let reading = read().map(|counts| Arc::new(Counts { number, zeroed, ..counts }));
        let reading = reading.map_err(|error| error.to_string());
        last.read = Some((begun, reading.clone()));
        reading
    }

    /// Sets the counters of these services to zero; the next who asks reads anew. Blocks.
    ///
    /// # Errors
    /// Why nothing could be done. Services that are not there are no error.
    pub fn zero(&self, services: &[ServiceKey]) -> Result<Zeroed, Error> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.read = None;
        last.zeroed += 1;
        if services.is_empty() {
            return Ok(Zeroed { services: 0, problem: None });
        }
        match socket::connect(false)?.zero(services) {
            Zeroed { services: 0, problem: Some(error) } => Err(error),
            zeroed => Ok(zeroed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reading_serves_all_for_a_second() {
        let (counter, begun) = (Counter::default(), Instant::now());
        let mut readings = 0;
        let mut at = |ms| {
            let read = || {
                readings += 1;
                match readings {
                    2 => Err(Error::Restless),
                    n => Ok(Counts { foreign: n, ..Counts::default() }),
                }
            };
            let reading = counter.read_by(|| begun + Duration::from_millis(ms), read);
            reading.map(|counts| (counts.foreign, counts.number))
        };
        assert_eq!([at(0), at(999)], [Ok((1, 1)), Ok((1, 1))]);
        // An error, too, is not asked for again at once.
        assert!(at(1000).is_err() && at(1999).is_err());
        assert_eq!(at(2000), Ok((3, 3)));
    }
}
