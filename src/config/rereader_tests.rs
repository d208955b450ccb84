use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::facts::Facts;
use super::super::model::{Pool, Shared};
use super::super::{Loaded, load_text};
use super::{Rereader, settle};

/// What a first reading makes of a text.
fn cold(text: &str, facts: &Facts) -> Loaded {
    let mut loaded = load_text(Path::new("t.conf"), text.as_bytes(), facts);
    settle(&mut loaded.config, &mut Pool::default());
    loaded
}

/// Another reading gives the same in every detail: places too, which comparisons of configurations leave out.
fn reads_as_the_first_time(rereader: &mut Rereader, text: &str, facts: &Facts) -> Loaded {
    let (first, again) = (cold(text, facts), rereader.load_text(Path::new("t.conf"), text.as_bytes(), facts));
    assert_eq!(again.diagnostics, first.diagnostics, "{text}");
    assert_eq!(format!("{:#?}", again.config), format!("{:#?}", first.config), "{text}");
    assert_eq!(again.config, first.config);
    again
}

fn facts() -> Facts {
    Facts { config_id: Some("one".to_owned()), ..Facts::default() }
}

fn service(n: u32, words: &str) -> String {
    format!(
        "virtual_server 10.0.0.{n} 80 {{\n    delay_loop 6\n    lb_algo rr\n    lb_kind NAT\n    protocol TCP\n{words}    \
         real_server 192.0.2.{n} 80 {{\n        weight 1\n        TCP_CHECK {{\n            connect_timeout 3\n        }}\n    }}\n}}\n"
    )
}

/// How many virtual servers of two readings are the same objects.
fn taken(before: &Loaded, after: &Loaded) -> usize {
    let old = |server: &_| before.config.virtual_server.iter().any(|known| Shared::same(known, server));
    after.config.virtual_server.iter().filter(|server| old(server)).count()
}

#[test]
fn what_is_unchanged_is_taken_over_wherever_it_stands_now() {
    let mut rereader = Rereader::default();
    let services = |numbers: &[u32]| numbers.iter().map(|n| service(*n, "")).collect::<String>();
    let mut read = |text: &str| reads_as_the_first_time(&mut rereader, text, &facts());
    let first = read(&services(&[1, 2, 3, 4]));
    assert!(first.diagnostics.is_empty(), "{:?}", first.diagnostics);
    assert_eq!(taken(&first, &read(&services(&[1, 2, 3, 4]))), 4);
    // Further down, in another order, some gone and some new.
    let moved = read(&format!("# moved\n\n{}{}", services(&[9, 4, 1]), service(3, "    quorum 1\n")));
    assert_eq!(taken(&first, &moved), 2);
    let line = |n: usize| moved.config.virtual_server[n].place().map(|place| place.line);
    assert_eq!((line(0), line(1), line(2)), (Some(3), Some(15), Some(27)));
}

#[test]
fn what_it_was_judged_by_decides_as_well() {
    let mut rereader = Rereader::default();
    let group = "virtual_server_group g {\n    10.0.0.1 80\n}\n";
    let in_group = service(1, "").replace("10.0.0.1 80", "group g");
    let mut read = |text: &str| reads_as_the_first_time(&mut rereader, text, &facts());
    let first = read(&format!("{group}{in_group}"));
    // No such group any more: it is dropped, and that is said at its place.
    let without = read(&in_group);
    assert_eq!((without.config.virtual_server.len(), without.diagnostics.len()), (0, 1));
    // A second service of the same name is dropped, where it stands.
    let twice = read(&format!("{group}{in_group}{in_group}"));
    assert_eq!(twice.config.virtual_server.len(), 1);
    let again = read(&format!("{group}\n{in_group}\n{in_group}"));
    assert_eq!((again.diagnostics.len(), taken(&twice, &again)), (1, 1));
    assert_eq!(taken(&first, &read(&format!("global_defs {{\n    router_id x\n}}\n{group}{in_group}"))), 0);
}

#[test]
fn where_files_overrides_or_findings_have_a_say_it_is_read() {
    let mut rereader = Rereader::default();
    let mut reads = |text: &str| {
        let first = reads_as_the_first_time(&mut rereader, text, &facts());
        taken(&first, &reads_as_the_first_time(&mut rereader, text, &facts()))
    };
    assert_eq!(reads(&service(1, "")), 1);
    assert_eq!(reads(&service(1, "    quorum_up /bin/true\n")), 0);
    assert_eq!(reads(&service(1, "    no_such_word\n")), 0);
    assert_eq!(reads(&service(1, "    quorum 7\n")), 0);
    assert_eq!(reads(&service(1, "    ${W}\n")), 0);
    assert_eq!(reads(&service(1, "    @one weight 1\n")), 0);
    assert_eq!(reads(&service(1, "    # a remark\n")), 1);
    let change = "real_server_override TCP 10.0.0.1:80 192.0.2.1:80 weight 7\n";
    assert_eq!(reads(&format!("{}{change}", service(1, ""))), 0);
}

#[test]
fn who_tracks_it_decides_whether_it_is_suspended() {
    let mut rereader = Rereader::default();
    let instance = |words: &str| {
        format!(
            "vrrp_instance A {{\n    interface eth0\n    virtual_router_id 7\n    virtual_ipaddress {{\n        10.0.0.1\n    }}\n\
             {words}}}\n"
        )
    };
    let server = service(1, "    ha_suspend\n");
    let mut is_suspended = |text: &str| {
        reads_as_the_first_time(&mut rereader, text, &facts()).config.virtual_server[0].ha_suspend
    };
    let tracked = format!("{}{server}", instance("    track_virtual_server TCP 10.0.0.1:80\n"));
    let untracked = format!("{}{server}", instance(""));
    assert!(!is_suspended(&tracked) && !is_suspended(&tracked));
    assert!(is_suspended(&untracked) && is_suspended(&untracked));
    assert!(!is_suspended(&tracked));
}

#[test]
fn another_machine_is_another_judgement() {
    let mut rereader = Rereader::default();
    let text = service(1, "").replace("NAT", "DR");
    let first = reads_as_the_first_time(&mut rereader, &text, &facts());
    assert!(first.diagnostics.is_empty());
    let subnets = vec!["198.51.100.0/24".parse().unwrap()];
    let there = Facts { subnets, ..facts() };
    let second = reads_as_the_first_time(&mut rereader, &text, &there);
    assert_eq!(second.diagnostics.first().map(|finding| finding.code), Some("dr-other-subnet"));
}

#[test]
fn what_several_readings_share_is_changed_for_one_alone() {
    let mut rereader = Rereader::default();
    let text = service(1, "") + &service(2, "");
    let mut mine = rereader.load_text(Path::new("t.conf"), text.as_bytes(), &facts());
    mine.config.virtual_server[0].real_server[0].weight = Some(7);
    let again = reads_as_the_first_time(&mut rereader, &text, &facts());
    assert_eq!(taken(&mine, &again), 1);
    assert!(!Arc::ptr_eq(mine.config.virtual_server[0].object(), again.config.virtual_server[0].object()));
}

/// One piece of a file, from a small world in which blocks meet again.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "",
        "    quorum 1\n",
        "    quorum 9\n",
        "    weight $W\n",
        "    # weight 3\n",
        "    @one persistence_timeout 5\n",
        "    @two persistence_timeout 6\n",
        "    no_such_word\n",
        "    include nothing.conf\n",
        "    quorum_down /bin/false\n",
        "    sorry_server 192.0.2.9 80\n",
        "    ops } virtual_server 10.0.0.7 80 {\n",
        "    alpha\r\n",
        "    weight 2 }\n",
        "    real_server 192.0.2.77 80 { weight 2 }\n",
        "    nested {\n",
    ]);
    let block = (1u32..6, words).prop_map(|(n, words)| service(n, words));
    let other = prop::sample::select(vec![
        "",
        "\n\n",
        "# a remark\n",
        "! virtual_server 10.0.0.1 80 {\n",
        "$W=3\n",
        "$W=\\\n  weight 4 \\\n  quorum 1\n",
        "$V=virtual_server 10.0.0.1 80 {\n",
        "~SEQ(N, 3) virtual_server 10.0.1.$N 80 { real_server 192.0.2.1 80 }\n",
        "global_defs {\n    router_id a\n}\n",
        "global_defs {\n    checker_share off\n}\n",
        "virtual_server_group g {\n    10.0.0.9 80\n}\n",
        "virtual_server group g {\n    protocol TCP\n    real_server 192.0.2.1 80 {\n    }\n}\n",
        "virtual_server_group g { 10.0.0.3 80 }\n",
        "virtual_server 10.0.0.1 80 {\n}\n",
        "virtual_server 10.0.0.1\n{\n    protocol TCP\n    real_server 192.0.2.1 80 {\n    }\n}\n",
        "vrrp_instance A {\n    interface lo\n    virtual_router_id 1\n    virtual_ipaddress {\n        10.0.0.1\n    }\n}\n",
        "real_server_override TCP 10.0.0.1:80 192.0.2.1:80 weight 7\n",
        "}\n",
        "virtual_server 10.0.0.5 80 {\n",
        "@one virtual_server 10.0.0.4 80 {\n    protocol TCP\n    real_server 192.0.2.1 80 {\n    }\n}\n",
        "{\n",
    ])
    .prop_map(str::to_owned);
    prop_oneof![4 => block, 2 => other]
}

/// What happens to a file between two readings.
#[derive(Clone, Debug)]
enum Edit {
    Insert(prop::sample::Index, String),
    Remove(prop::sample::Index),
    Replace(prop::sample::Index, String),
    Swap(prop::sample::Index, prop::sample::Index),
    /// One byte of the text, whatever it breaks.
    Byte(prop::sample::Index, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), piece()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        at().prop_map(Edit::Remove),
        (at(), piece()).prop_map(|(at, piece)| Edit::Replace(at, piece)),
        (at(), at()).prop_map(|(a, b)| Edit::Swap(a, b)),
        (at(), prop::sample::select(b"{}#@$ \n0a\"".to_vec())).prop_map(|(at, byte)| Edit::Byte(at, byte)),
    ]
}

fn done(pieces: &mut Vec<String>, edit: &Edit) {
    match edit {
        Edit::Insert(at, piece) => pieces.insert(at.index(pieces.len() + 1), piece.clone()),
        _ if pieces.is_empty() => {}
        Edit::Remove(at) => {
            pieces.remove(at.index(pieces.len()));
        }
        Edit::Replace(at, piece) => {
            let at = at.index(pieces.len());
            pieces[at].clone_from(piece);
        }
        Edit::Swap(a, b) => {
            let (a, b) = (a.index(pieces.len()), b.index(pieces.len()));
            pieces.swap(a, b);
        }
        Edit::Byte(at, byte) => {
            let which = at.index(pieces.len());
            let piece = &mut pieces[which];
            if !piece.is_empty() {
                let at = at.index(piece.len());
                piece.replace_range(at..=at, &char::from(*byte).to_string());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to a file, another reading of it is worth a first one.
    #[test]
    fn a_reading_never_depends_on_those_before_it(
        mut pieces in prop::collection::vec(piece(), 0..12),
        edits in prop::collection::vec(prop::collection::vec(edit(), 0..3), 1..6),
    ) {
        let mut rereader = Rereader::default();
        for edits in edits {
            reads_as_the_first_time(&mut rereader, &pieces.concat(), &facts());
            edits.iter().for_each(|edit| done(&mut pieces, edit));
        }
        reads_as_the_first_time(&mut rereader, &pieces.concat(), &facts());
    }
}

#[test]
fn many_readings_keep_no_more_than_one() {
    let mut rereader = Rereader::default();
    for n in 1..50 {
        let mut text = String::new();
        for m in 1..20 {
            let weight = if m == 7 { n } else { 1 };
            let _ = write!(text, "{}", service(m, "").replace("weight 1", &format!("weight {weight}")));
        }
        let loaded = rereader.load_text(Path::new("t.conf"), text.as_bytes(), &facts());
        assert_eq!((rereader.texts.len(), rereader.servers.len()), (19, 19));
        // The reader's, and this configuration's.
        assert!(loaded.config.virtual_server.iter().all(|server| Arc::strong_count(server.object()) == 2));
    }
}
