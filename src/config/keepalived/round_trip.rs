//! Random models, written and read again: the tables lose nothing, in either form.

use proptest::prelude::*;

use super::keyword::sample_words;
use super::sample::Sampler;
use super::{parse, write};
use crate::config::model::Config;
use crate::config::yaml;

fn random(seed: u64) -> Config {
    let mut sampler = Sampler::new(seed);
    let mut config = Config::default();
    sample_words(&mut sampler, &mut config);
    config
}

proptest! {
    #[test]
    fn keepalived_text_loses_nothing(seed in any::<u64>()) {
        let mut config = random(seed);
        // FILE_CHECK names a file that exists, or there is none.
        if config.track_file.is_empty() {
            for server in &mut config.virtual_server {
                for real in &mut server.real_server {
                    real.file_check.clear();
                }
            }
        }
        let text = write(&config);
        prop_assert!(text.is_ok(), "{:?}", text);
        let text = text.unwrap_or_default();
        let (again, findings) = parse(std::path::Path::new("x.conf"), text.as_bytes(), &super::ReadOptions::default());
        let (left, right) = (format!("{again:#?}"), format!("{config:#?}"));
        let first = left.lines().zip(right.lines()).find(|(left, right)| left != right && !left.contains("origin: "));
        prop_assert!(again == config, "read, written: {first:?}\n{text}\n{findings:#?}");
    }

    #[test]
    fn yaml_loses_nothing(seed in any::<u64>()) {
        let config = random(seed);
        let text = yaml::to_yaml(&config).unwrap_or_default();
        let again = yaml::parse(std::path::Path::new("x.yaml"), &text);
        prop_assert!(again.as_ref() == Ok(&config), "{text}\n{again:#?}");
    }
}

/// The samples are no empty heaps: together they set every word of every table.
#[test]
fn samples_reach_every_word() {
    let mut text = String::new();
    for seed in 0..400 {
        text += &write(&random(seed)).unwrap_or_default();
        text.push('\n');
    }
    let words: std::collections::BTreeSet<&str> =
        text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    // Words that are read, and written as others.
    let aliases = [
        "no_checker_emails",
        "include_check",
        "native_ipv6",
        "preempt",
        "debug",
        "hashed",
        "nb_get_retry",
        "delay",
        "entries",
    ];
    let missing: Vec<&str> = super::tables()
        .iter()
        .map(|entry| entry.word)
        .filter(|word| !words.contains(word) && !aliases.contains(word))
        .collect();
    assert!(missing.is_empty(), "never sampled: {missing:?}");
}
