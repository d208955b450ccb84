//! Exit statuses and real programs.

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

fn exact(weight: u32) -> Result<Success, Failure> {
    Ok(Success { weight: Some(Weight::Exactly(weight)) })
}

/// keepalived, measured: 0 configured, 1 out, 2 is 0, 12 is 10, 30 is 28, 255 is 253; without misc_dynamic only 0 is
/// success.
#[test]
fn exit_statuses() {
    let verdict = |outcome, dynamic| verdict(outcome, dynamic, LIMIT);
    assert_eq!(verdict(Outcome::Exit(0), false), Ok(Success { weight: None }));
    for code in [1, 2, 12, 255] {
        assert_eq!(verdict(Outcome::Exit(code), false), Err(Failure::ExitCode(code)));
    }
    assert_eq!(verdict(Outcome::Exit(0), true), Ok(Success { weight: Some(Weight::Configured) }));
    assert_eq!(verdict(Outcome::Exit(1), true), Err(Failure::ExitCode(1)));
    for (code, weight) in [(2, 0), (12, 10), (30, 28), (255, 253)] {
        assert_eq!(verdict(Outcome::Exit(code), true), exact(weight));
    }
    for dynamic in [false, true] {
        assert_eq!(verdict(Outcome::Signal(9), dynamic), Err(Failure::Signal(9)));
        assert_eq!(verdict(Outcome::TimedOut, dynamic), Err(Failure::Timeout(LIMIT)));
        assert_eq!(
            verdict(Outcome::NotStarted("no".to_owned()), dynamic),
            Err(Failure::NotStarted("no".to_owned()))
        );
        // Nothing is known of the server then.
        let none = verdict(Outcome::NoProcess("no".to_owned()), dynamic).unwrap_err();
        assert!(none.says_nothing() && none == Failure::NotRun("no".to_owned()));
    }
}

/// Runs that program as ourselves: the machine may have the default user or not.
async fn run(argv: &[&str], timeout: Duration) -> Result<Success, Failure> {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let plan = MiscPlan { argv, user: None, timeout, dynamic: true };
    let identity = Arc::new(OnceCell::new_with(Some(Ok(None))));
    Request { plan, identity, stuck: Stuck::default() }.check().await
}

async fn sh(text: &str, timeout: Duration) -> Result<Success, Failure> {
    run(&["/bin/sh", "-c", text], timeout).await
}

#[tokio::test]
async fn programs_are_run() {
    assert_eq!(sh("exit 7", LIMIT).await, exact(5));
    assert_eq!(sh("exit 1", LIMIT).await, Err(Failure::ExitCode(1)));
    assert_eq!(sh("kill -9 $$", LIMIT).await, Err(Failure::Signal(9)));
    let short = Duration::from_millis(100);
    assert_eq!(sh("sleep 20", short).await, Err(Failure::Timeout(short)));
}

#[tokio::test]
async fn what_cannot_start_fails() {
    let result = run(&["/no/such"], LIMIT).await;
    assert!(matches!(result, Err(Failure::NotStarted(_))), "{result:?}");
    let user = ScriptUser { user: "nobody-of-that-name".to_owned(), group: None };
    let plan = MiscPlan { argv: vec!["true".to_owned()], user: Some(user), timeout: LIMIT, dynamic: false };
    let mut users = Users::default();
    for _ in 0..2 {
        let result = users.request(&plan).check().await;
        assert!(
            matches!(&result, Err(Failure::NotStarted(why)) if why.contains("nobody-of-that-name")),
            "{result:?}"
        );
    }
}

/// A program that somebody else holds does not go when it is killed, as one that waits for a disk. The check ends all the
/// same, others go on, and it is started again only when it has gone.
#[tokio::test]
async fn a_program_that_cannot_be_ended_holds_up_nothing() {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};

    let place = std::env::temp_dir().join(format!("tandem-misc-stuck-{}", std::process::id()));
    let _ = std::fs::remove_file(&place);
    let script = format!("echo $$ >>{}; exec sleep 100", place.display());
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script];
    let limit = Duration::from_secs(3);
    let plan = MiscPlan { argv, user: None, timeout: limit, dynamic: false };
    let users = Users::default();
    let once = |users: &Users| {
        let identity = Arc::new(OnceCell::new_with(Some(Ok(None))));
        Request { plan: plan.clone(), identity, stuck: users.stuck.clone() }.check()
    };
    let started = || std::fs::read_to_string(&place).unwrap_or_default().lines().count();
    // Who traces a program has to wait for it before its parent can: this process does not.
    let script = "import ctypes, sys; ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None); print(); sys.stdin.read()";
    let path = place.clone();
    let tracer = std::thread::spawn(move || {
        let pid = loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                break pid.to_owned();
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", script, &pid]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut tracer = command.spawn().unwrap();
        let _ = std::io::BufReader::new(tracer.stdout.take().unwrap()).read_line(&mut String::new());
        (tracer, pid.parse().unwrap())
    });
    let (first, other) = tokio::join!(once(&users), sh("exit 0", LIMIT));
    assert_eq!(first, Err(Failure::Timeout(limit)));
    assert_eq!(other, Ok(Success { weight: Some(Weight::Configured) }));
    let again = once(&users).await;
    // Also after a reload.
    assert_eq!(once(&users.renewed()).await, again);
    assert_eq!(started(), 1);
    let (mut tracer, pid) = tracer.join().unwrap();
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    assert_eq!(again, Err(Failure::Stuck(pid)));
    while !users.stuck.all().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(once(&users).await, Err(Failure::Timeout(limit)));
    assert_eq!(started(), 2);
    let _ = std::fs::remove_file(&place);
}
