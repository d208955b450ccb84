//! Those who read what commands print: who goes before the end, and who stays longer than the daemon.

use super::*;

/// What the first reader of a pipe does not want is no defect of the command: `| head`.
#[test]
fn nobody_reads_to_the_end() {
    let place = place("pipes", CONF);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("both are master", || is_master(&daemon));
    for words in [
        &["servers"][..],
        &["servers", "--json"],
        &["overrides"],
        &["status"],
        &["status", "--json"],
        &["history"],
        &["history", "--json"],
        &["history", "--follow"],
        &["why"],
        &["why", "--json"],
        &["config"],
        &["check-now", "--all"],
        &["check-now", "--all", "--json"],
        &["weight", "127.0.0.1", "3"],
        &["enable", "127.0.0.1", "--json"],
        &["step-down", "VI_1", "--for", "1h"],
        &["end-order", "VI_1"],
        &["reload"],
    ] {
        // Nobody has the other end any more when the command begins.
        let (reads, writes) = nix::unistd::pipe().unwrap();
        drop(reads);
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(words)
            .args(["--control", "run/c.sock"])
            .current_dir(place)
            .stdout(writes)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let wanted = if words[0] == "check-now" { Some(3) } else { Some(0) };
        assert!(output.status.code() == wanted && said.is_empty(), "{words:?}: {:?}: {said}", output.status);
    }
    daemon.end();
}

/// Who follows what happens does so across a restart, which is what is followed.
#[test]
fn history_goes_on_with_the_next_daemon() {
    let place = place("follow", CONF);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("both are master", || is_master(&daemon));
    let told = place.join("told");
    let mut follows = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["history", "--follow", "--json", "--control", "run/c.sock"])
        .current_dir(place)
        .stdout(fs::File::create(&told).unwrap())
        .stderr(fs::File::create(place.join("complaints")).unwrap())
        .spawn()
        .unwrap();
    let events = || -> Vec<Value> {
        let text = fs::read_to_string(&told).unwrap();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    until("it has told what there was", || !events().is_empty());
    daemon.end();
    let complaints = || fs::read_to_string(place.join("complaints")).unwrap();
    until("it says that nobody answers", || complaints().contains("waiting for it"));
    let before = events().len();
    let number = |event: &Value| event["number"].as_u64().unwrap();
    let last = number(events().last().unwrap());
    // A journal that was lost; its numbers go on by the board. On a busy machine nothing may have been written yet.
    if let Err(error) = fs::remove_file(place.join("run/journal.jsonl")) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
    let daemon = Daemon::start(place);
    until("both are master again", || is_master(&daemon));
    until("the events of the new one are told", || {
        events()
            .iter()
            .skip(before)
            .filter(|event| event["kind"] == "transition" && event["to"] == "MASTER")
            .count()
            == 2
    });
    let numbers: Vec<u64> = events().iter().skip(before).map(number).collect();
    assert!(numbers[0] > last && numbers.is_sorted_by(|a, b| a < b), "{last}, {numbers:?}");
    assert_eq!(complaints().lines().count(), 1, "{}", complaints());
    assert!(follows.try_wait().unwrap().is_none());
    follows.kill().unwrap();
    follows.wait().unwrap();
    daemon.end();
}
