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
    }
}

/// Runs that program as ourselves: the machine may have the default user or not.
async fn run(argv: &[&str], timeout: Duration) -> Result<Success, Failure> {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let plan = MiscPlan { argv, user: None, timeout, dynamic: true };
    let identity = Arc::new(OnceCell::new_with(Some(Ok(None))));
    Request { plan, identity }.check().await
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
