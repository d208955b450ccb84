use proptest::prelude::*;

use super::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn two() -> Vec<Bundle> {
    let bundle = |interface: &str, address: &str| Bundle {
        interface: interface.into(),
        addresses: [address.parse().unwrap()].into(),
    };
    vec![bundle("eth0", "10.0.0.1"), bundle("eth1", "2001:db8::1")]
}

/// Addresses asked for, with the second.
type Asked = Vec<(u64, IpAddr)>;
/// What was found, with the second.
type Found = Vec<(u64, Finding)>;

/// Asks at its own pace for so many seconds; `holds(second, address)` says whether somebody else answers. What was
/// asked and found, with the second.
fn play(
    probe: &mut Probe,
    now: Instant,
    span: std::ops::Range<u64>,
    holds: impl Fn(u64, IpAddr) -> bool,
) -> (Asked, Found) {
    let (mut asked, mut found) = (Vec::new(), Vec::new());
    for second in span {
        let at = now + secs(second);
        let (question, finding) = probe.due(&two(), at);
        found.extend(finding.map(|finding| (second, finding)));
        if let Some(question) = question {
            asked.push((second, question.address));
            if holds(second, question.address) {
                let answer = probe.answer(question.address, MAC, at + Duration::from_millis(1));
                found.extend(answer.map(|finding| (second, finding)));
                assert_eq!(probe.answer(question.address, MAC, at), None, "one answer a question");
            }
        }
    }
    (asked, found)
}

#[test]
fn a_master_asks_in_turn_first_soon_then_slowly_and_a_backup_never() {
    let now = Instant::now();
    let mut probe = Probe::default();
    assert_eq!(play(&mut probe, now, 0..100, |_, _| true), (vec![], vec![]));
    probe.begin(now);
    let (asked, found) = play(&mut probe, now, 0..36, |_, _| false);
    let [four, six] = ["10.0.0.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
    assert_eq!(asked, [(2, four), (3, six), (4, four), (5, six), (15, four), (25, six), (35, four)]);
    assert_eq!(found, []);
    probe.stop();
    assert_eq!(play(&mut probe, now, 36..100, |_, _| true), (vec![], vec![]));
}

#[test]
fn a_holder_is_told_at_its_second_answer_healed_while_it_stays_and_told_to_be_gone() {
    let now = Instant::now();
    let address: IpAddr = "10.0.0.1".parse().unwrap();
    let mut probe = Probe::default();
    probe.begin(now);
    let (asked, found) = play(&mut probe, now, 0..120, |second, asked| asked == address && second < 80);
    assert_eq!(found[0], (4, Finding::TwoHolders { address, mac: MAC }));
    assert_eq!(found[1].1, Finding::Still);
    assert!((63..=75).contains(&found[1].0), "{found:?}");
    let Finding::OneAgain { lasted, answers, .. } = found[2].1 else { panic!("{found:?}") };
    assert!((80..=98).contains(&found[2].0) && lasted >= secs(78) && answers > 7, "{found:?}");
    assert_eq!(found.len(), 3);
    assert!(asked.iter().any(|(second, other)| *second > 95 && *other != address), "then the others again");
}

#[test]
fn one_answer_of_a_director_on_its_way_out_is_nothing() {
    let now = Instant::now();
    let mut probe = Probe::default();
    probe.begin(now);
    let (_, found) = play(&mut probe, now, 0..60, |second, _| second == 2);
    assert_eq!(found, []);
}

#[test]
fn a_suspicion_asks_at_once_but_each_advert_of_a_rival_does_not() {
    let now = Instant::now();
    let mut probe = Probe::default();
    probe.begin(now);
    play(&mut probe, now, 0..20, |_, _| false);
    let mut asked = 0;
    for tenth in 0..100u64 {
        let at = now + secs(20) + Duration::from_millis(tenth * 100);
        probe.suspect(at);
        asked += u32::from(probe.due(&two(), at).0.is_some());
    }
    assert!((9..=12).contains(&asked), "{asked} questions in 10 s");
}

#[test]
fn without_addresses_nothing_is_asked() {
    let now = Instant::now();
    let mut probe = Probe::default();
    probe.begin(now);
    assert_eq!(probe.due(&[], now + secs(5)), (None, None));
}

proptest! {
    /// A second holder is told only after two answers to two questions, and gone only after it was told.
    #[test]
    fn told_and_gone_take_turns(events in prop::collection::vec((0u8..4, 0u64..12), 0..200)) {
        let mut now = Instant::now();
        let (mut probe, mut open, mut answers, mut told) = (Probe::default(), None, 0, false);
        for (event, seconds) in events {
            now += secs(seconds);
            let finding = match event {
                0 => { probe.begin(now); told = false; answers = 0; open = None; None }
                1 => { probe.suspect(now); None }
                2 => {
                    let (question, finding) = probe.due(&two(), now);
                    if question.is_some() { open = question; }
                    finding
                }
                _ => open.take().and_then(|question: Question| {
                    answers += 1;
                    probe.answer(question.address, MAC, now)
                }),
            };
            match finding {
                Some(Finding::TwoHolders { .. }) => { prop_assert!(!told && answers >= 2); told = true; }
                Some(Finding::Still) => prop_assert!(told),
                Some(Finding::OneAgain { answers, .. }) => { prop_assert!(told && answers >= 2); told = false; }
                None => {}
            }
        }
    }
}
