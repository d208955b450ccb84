//! Orders in a crowd, and a part of the daemon that does not answer: neither keeps anybody else from his answer.

use super::*;

/// A script steps down one instance after the other, all at once, and none has a peer that would take over.
#[test]
fn orders_that_wait_for_what_comes_of_them_hold_up_nobody() {
    let place = place("orders", CONF);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("both are master", || is_master(&daemon));
    let begun = Instant::now();
    let slowest = std::thread::scope(|scope| {
        let orders: Vec<_> = (0..60)
            .map(|n| {
                let (daemon, name) = (&daemon, if n % 2 == 0 { "VI_1" } else { "G" });
                scope.spawn(move || daemon.ask("POST", &format!("/v1/instances/{name}/step-down"), ""))
            })
            .collect();
        let mut slowest = Duration::ZERO;
        while orders.iter().any(|order| !order.is_finished()) {
            let asked = Instant::now();
            daemon.status();
            slowest = slowest.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        for order in orders {
            let (status, answer) = order.join().unwrap();
            let note = answer["notes"][0].as_str().unwrap_or_default();
            assert!(
                status == 200 && note.contains("by order: step_down of root(uid=0,pid="),
                "{status} {answer}"
            );
        }
        slowest
    });
    let took = begun.elapsed();
    println!("60 orders took {took:?}, the slowest status meanwhile {slowest:?}");
    // One after the other, two at a time, they would be 45 s, and clients are cut off after 30 s.
    assert!(took < Duration::from_secs(20) && slowest < Duration::from_secs(5), "{took:?} {slowest:?}");
    assert_eq!(daemon.ask("POST", "/v1/instances/-/release", "").0, 200);
    daemon.end();
}

#[test]
fn checks_that_hang_cost_their_own_answers_alone() {
    let place = place("silent", CONF);
    let place = place.0.as_path();
    let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["run", "--no-supervisor", "--run-dir"])
        .arg(place.join("run"))
        .args(["--config", "t.conf", "--control", "run/c.sock", "--state-dir", "state"])
        .current_dir(place)
        .env("TANDEM_FAULT", place.join("fault"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(place.join("log")).unwrap())
        .spawn()
        .unwrap();
    let daemon = Daemon { child: Some(child), socket: place.join("run/c.sock") };
    until("it answers", || UnixStream::connect(&daemon.socket).is_ok());
    until("both are master", || is_master(&daemon));
    fs::write(place.join("fault"), "hang check").unwrap();
    until("the thread hangs", || !place.join("fault").exists());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| daemon.ask("GET", "/v1/real-servers", "")))
            .chain((0..2).map(|_| scope.spawn(|| daemon.ask("GET", "/v1/why?subject=127.0.0.1:8081", ""))))
            .collect();
        for answer in asked {
            let (status, answer) = answer.join().unwrap();
            assert_eq!((status, &answer["error"]["code"]), (503, &"silent".into()), "{answer}");
        }
    });
    let (status, why) = daemon.ask("GET", "/v1/why?subject=VI_1", "");
    assert!(status == 200 && why["about"][0]["now"].as_str().unwrap().starts_with("VI_1 is MASTER"), "{why}");
    let status = daemon.status();
    assert_eq!(status["daemon"]["silent"][0], "the check thread does not answer");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}
