//! The timing rules of one checker as tables, and their laws under random results.

use proptest::prelude::*;

use super::*;

const LOOP: Duration = Duration::from_secs(4);
const RETRY: Duration = Duration::from_secs(1);

fn rules(retry: u32, urls: usize, fast_recovery: bool) -> Rules {
    Rules {
        delay_loop: LOOP,
        retry,
        delay_before_retry: RETRY,
        timeout_retry: None,
        rise: 1,
        delay_before_rise: LOOP,
        urls,
        fast_recovery,
    }
}

const fn seen(ok: bool) -> Seen {
    if ok { Seen::Success } else { Seen::Failure }
}

/// What is expected of one result: flip, pause until the next check, tries.
type Step = (bool, Option<Flip>, Duration, Option<(u32, u32)>);

fn play(rules: &Rules, begin: Begin, steps: &[Step]) {
    let mut health = Health::new(begin);
    let mut now = Instant::now();
    for (n, (ok, flip, pause, tries)) in steps.iter().enumerate() {
        let observed = health.observe(rules, seen(*ok), now);
        let wanted = Observed { flip: *flip, again: now + *pause, tries: *tries };
        assert_eq!(observed, wanted, "step {n}");
        now = observed.again;
    }
}

#[test]
fn the_first_failure_at_start_counts_at_once() {
    play(
        &rules(3, 1, false),
        Begin::Trusted,
        &[
            (false, Some(Flip::Down), LOOP, Some((1, 1))),
            (false, None, LOOP, None),
            (true, Some(Flip::Up), LOOP, None),
        ],
    );
}

/// Measured at keepalived: retry 3, delay_before_retry 1, delay_loop 4: four bad answers 1 s apart.
#[test]
fn later_retry_plus_one_failures_take_it_down() {
    play(
        &rules(3, 1, false),
        Begin::Trusted,
        &[
            (true, None, LOOP, None),
            (false, None, RETRY, Some((1, 4))),
            (false, None, RETRY, Some((2, 4))),
            (false, None, RETRY, Some((3, 4))),
            (false, Some(Flip::Down), LOOP, Some((4, 4))),
            (false, None, LOOP, None),
            (true, Some(Flip::Up), LOOP, None),
            (false, None, RETRY, Some((1, 4))),
            (true, None, LOOP, None),
            (false, None, RETRY, Some((1, 4))),
        ],
    );
}

#[test]
fn retry_0_takes_it_down_at_once() {
    play(
        &rules(0, 1, false),
        Begin::Trusted,
        &[(true, None, LOOP, None), (false, Some(Flip::Down), LOOP, Some((1, 1)))],
    );
}

#[test]
fn alpha_is_down_until_the_first_success() {
    play(
        &rules(1, 1, false),
        Begin::Unproven,
        &[
            (false, None, LOOP, None),
            (true, Some(Flip::Up), LOOP, None),
            (false, None, RETRY, Some((1, 2))),
            (false, Some(Flip::Down), LOOP, Some((2, 2))),
        ],
    );
}

#[test]
fn an_inherited_state_has_all_its_retries() {
    play(
        &rules(1, 1, false),
        Begin::Inherited { up: true },
        &[(false, None, RETRY, Some((1, 2))), (false, Some(Flip::Down), LOOP, Some((2, 2)))],
    );
    play(&rules(1, 1, false), Begin::Inherited { up: false }, &[(true, Some(Flip::Up), LOOP, None)]);
}

#[test]
fn several_urls_one_each_loop() {
    // Down by the second url; back when that one and then the other are right.
    play(
        &rules(0, 2, false),
        Begin::Trusted,
        &[
            (true, None, LOOP, None),
            (false, Some(Flip::Down), LOOP, Some((1, 1))),
            (true, None, LOOP, None),
            (true, Some(Flip::Up), LOOP, None),
        ],
    );
    play(
        &rules(0, 3, false),
        Begin::Unproven,
        &[(true, None, LOOP, None), (true, None, LOOP, None), (true, Some(Flip::Up), LOOP, None)],
    );
}

#[test]
fn fast_recovery_asks_for_the_urls_back_to_back() {
    let now = Duration::ZERO;
    play(
        &rules(0, 3, true),
        Begin::Trusted,
        &[
            // The first round.
            (true, None, now, None),
            (true, None, now, None),
            (true, None, LOOP, None),
            // Up and running: one each loop.
            (true, None, LOOP, None),
            (false, Some(Flip::Down), LOOP, Some((1, 1))),
            // A url is known to be bad: each loop.
            (false, None, LOOP, None),
            // No longer: the rest at once.
            (true, None, now, None),
            (true, None, now, None),
            (true, Some(Flip::Up), LOOP, None),
        ],
    );
}

#[test]
fn a_failed_url_is_asked_for_again() {
    let rules = rules(0, 3, false);
    let now = Instant::now();
    let mut health = Health::new(Begin::Trusted);
    let urls: Vec<usize> = [true, false, false, true, true]
        .into_iter()
        .map(|ok| {
            let url = health.url();
            health.observe(&rules, seen(ok), now);
            url
        })
        .collect();
    assert_eq!(urls, [0, 1, 1, 1, 2]);
}

/// The same with timeouts.
type AnyStep = (Seen, Option<Flip>, Duration, Option<(u32, u32)>);

/// As `play`, with timeouts.
fn play_all(rules: &Rules, begin: Begin, steps: &[AnyStep]) {
    let mut health = Health::new(begin);
    let mut now = Instant::now();
    for (n, (seen, flip, pause, tries)) in steps.iter().enumerate() {
        let observed = health.observe(rules, *seen, now);
        let wanted = Observed { flip: *flip, again: now + *pause, tries: *tries };
        assert_eq!(observed, wanted, "step {n}");
        now = observed.again;
    }
}

/// `rise 3` with `fast_interval 1`: down each loop, then three good answers a second apart.
#[test]
fn rise_wants_successes_in_a_row() {
    use Seen::{Failure, Success};
    let rules = Rules { rise: 3, delay_before_rise: RETRY, ..rules(0, 1, false) };
    play_all(
        &rules,
        Begin::Trusted,
        &[
            (Failure, Some(Flip::Down), LOOP, Some((1, 1))),
            (Success, None, RETRY, None),
            (Success, None, RETRY, None),
            (Failure, None, LOOP, None),
            (Success, None, RETRY, None),
            (Success, None, RETRY, None),
            (Success, Some(Flip::Up), LOOP, None),
            (Success, None, LOOP, None),
        ],
    );
    // With alpha as well.
    play_all(
        &rules,
        Begin::Unproven,
        &[(Success, None, RETRY, None), (Success, None, RETRY, None), (Success, Some(Flip::Up), LOOP, None)],
    );
    let mut health = Health::new(Begin::Unproven);
    assert_eq!(health.rising(&rules), None);
    health.observe(&rules, Success, Instant::now());
    assert_eq!(health.rising(&rules), Some((1, 3)));
}

#[test]
fn rise_counts_rounds_of_all_urls() {
    use Seen::{Failure, Success};
    play_all(
        &Rules { rise: 2, delay_before_rise: RETRY, ..rules(0, 2, false) },
        Begin::Unproven,
        &[
            (Success, None, RETRY, None),
            (Success, None, RETRY, None),
            (Success, None, RETRY, None),
            (Failure, None, LOOP, None),
            (Success, None, RETRY, None),
            (Success, None, RETRY, None),
            (Success, None, RETRY, None),
            (Success, Some(Flip::Up), LOOP, None),
        ],
    );
}

#[test]
fn timeouts_are_counted_apart_where_the_file_says_so() {
    use Seen::{Failure, Success, Timeout};
    let apart = Rules { timeout_retry: Some(2), ..rules(1, 1, false) };
    play_all(
        &apart,
        Begin::Inherited { up: true },
        &[
            (Timeout, None, RETRY, Some((1, 3))),
            (Timeout, None, RETRY, Some((2, 3))),
            (Failure, None, RETRY, Some((1, 2))),
            (Success, None, LOOP, None),
            (Timeout, None, RETRY, Some((1, 3))),
            (Failure, None, RETRY, Some((1, 2))),
            (Timeout, None, RETRY, Some((2, 3))),
            (Failure, Some(Flip::Down), LOOP, Some((2, 2))),
            (Timeout, None, LOOP, None),
        ],
    );
    // The first failure after a start counts at once, of whatever sort.
    play_all(&apart, Begin::Trusted, &[(Timeout, Some(Flip::Down), LOOP, Some((1, 1)))]);
    // Without the word they are failures like others.
    play_all(
        &rules(1, 1, false),
        Begin::Inherited { up: true },
        &[(Timeout, None, RETRY, Some((1, 2))), (Failure, Some(Flip::Down), LOOP, Some((2, 2)))],
    );
}

proptest! {
    #[test]
    fn laws(
        retry in 0u32..5, urls in 1usize..4, fast in any::<bool>(), begin in 0usize..4,
        results in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let rules = rules(retry, urls, fast);
        let begin = [
            Begin::Trusted, Begin::Unproven, Begin::Inherited { up: true }, Begin::Inherited { up: false },
        ][begin];
        let mut health = Health::new(begin);
        let now = Instant::now();
        let (mut good, mut bad, mut first) = (0usize, 0u32, begin == Begin::Trusted);
        for ok in results {
            let before = health.is_up();
            let observed = health.observe(&rules, seen(ok), now);
            prop_assert_eq!(observed.flip.is_some(), before != health.is_up());
            prop_assert!(health.url() < urls);
            prop_assert!(observed.again == now || observed.again == now + LOOP || observed.again == now + RETRY);
            if ok { good += 1; bad = 0; } else { bad += 1; good = 0; }
            match observed.flip {
                // Up only after a success of every url in a row; down only after all the tries.
                Some(Flip::Up) => prop_assert!(ok && good >= urls),
                Some(Flip::Down) => prop_assert!(!ok && (bad > retry || first)),
                None => {
                    let due = if ok { !before && good >= urls } else { before && bad > retry };
                    prop_assert!(!due);
                }
            }
            // Between flips failures are counted from the flip.
            if observed.flip == Some(Flip::Up) { bad = 0; }
            first &= !ok && observed.flip.is_none();
            // Never a busy loop on a failure.
            prop_assert!(ok || observed.again > now);
        }
    }

    /// Whatever comes in whatever order: up only after `rise` rounds without a failure between them, and never
    /// between two checks of nothing.
    #[test]
    fn laws_of_rise_and_timeouts(
        retry in 0u32..4, timeout_retry in prop::option::of(0u32..4), rise in 1u32..4, urls in 1usize..3,
        results in prop::collection::vec(0u8..3, 0..200),
    ) {
        let rules = Rules { timeout_retry, rise, delay_before_rise: RETRY, ..rules(retry, urls, false) };
        let mut health = Health::new(Begin::Inherited { up: true });
        let now = Instant::now();
        let (mut good, mut failures, mut timeouts) = (0usize, 0u32, 0u32);
        for result in results {
            let seen = [Seen::Success, Seen::Failure, Seen::Timeout][usize::from(result)];
            let before = health.is_up();
            let observed = health.observe(&rules, seen, now);
            match seen {
                Seen::Success => (good, failures, timeouts) = (good + 1, 0, 0),
                Seen::Timeout if timeout_retry.is_some() => (good, timeouts) = (0, timeouts + 1),
                Seen::Timeout | Seen::Failure => (good, failures) = (0, failures + 1),
            }
            let needed = urls * usize::try_from(rise).unwrap_or(usize::MAX);
            match observed.flip {
                Some(Flip::Up) => {
                    prop_assert!(!before && good >= needed);
                    (failures, timeouts) = (0, 0);
                }
                Some(Flip::Down) => {
                    prop_assert!(before && (failures > retry || timeout_retry.is_some_and(|n| timeouts > n)));
                    good = 0;
                }
                None if before => {
                    prop_assert!(failures <= retry && timeout_retry.is_none_or(|n| timeouts <= n));
                }
                None => {
                    prop_assert!(good < needed);
                    (failures, timeouts) = (0, 0);
                }
            }
            prop_assert!(observed.again > now);
        }
    }
}
