//! The timing rules of one checker as tables, and their laws under random results.

use proptest::prelude::*;

use super::*;

const LOOP: Duration = Duration::from_secs(4);
const RETRY: Duration = Duration::from_secs(1);

fn rules(retry: u32, urls: usize, fast_recovery: bool) -> Rules {
    Rules { delay_loop: LOOP, retry, delay_before_retry: RETRY, urls, fast_recovery }
}

/// What is expected of one result: flip, pause until the next check, tries.
type Step = (bool, Option<Flip>, Duration, Option<(u32, u32)>);

fn play(rules: &Rules, begin: Begin, steps: &[Step]) {
    let mut health = Health::new(begin);
    let mut now = Instant::now();
    for (n, (ok, flip, pause, tries)) in steps.iter().enumerate() {
        let observed = health.observe(rules, *ok, now);
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
            health.observe(&rules, ok, now);
            url
        })
        .collect();
    assert_eq!(urls, [0, 1, 1, 1, 2]);
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
            let observed = health.observe(&rules, ok, now);
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
}
