//! Programs really run, as root: identities, groups, signals, descriptors.

use super::*;

fn sh(script: &str, timeout: Option<Duration>) -> Program {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Program { argv, run_as: None, timeout, env: vec![("TANDEM_TEST".to_owned(), "yes".to_owned())] }
}

#[tokio::test]
async fn exit_status_signal_and_environment_come_back() {
    assert_eq!(run(&sh("exit 7", None)).await.outcome, Outcome::Exit(7));
    assert_eq!(run(&sh("kill -9 $$", None)).await.outcome, Outcome::Signal(9));
    assert_eq!(run(&sh("test \"$TANDEM_TEST\" = yes", None)).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn the_whole_group_of_a_program_over_its_time_is_ended() {
    let marker = std::env::temp_dir().join(format!("tandem-group-{}", std::process::id()));
    let _ = std::fs::remove_file(&marker);
    // The grandchild outlives its parent's SIGTERM unless the group gets it, too.
    let script = format!("(sleep 1; touch {}) & wait", marker.display());
    let finished = run(&sh(&script, Some(Duration::from_millis(100)))).await;
    assert_eq!(finished.outcome, Outcome::TimedOut);
    assert!(finished.took < Duration::from_millis(900), "{:?}", finished.took);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!marker.exists(), "the grandchild lived on");
}

#[tokio::test]
async fn what_cannot_start_says_how_to_mend_it() {
    let program = Program { argv: vec!["/no/such/script".to_owned()], ..sh("", None) };
    let Outcome::NotStarted(why) = run(&program).await.outcome else { panic!("it started") };
    assert!(why.contains("/no/such/script") && why.contains("install it"), "{why}");
}

#[tokio::test]
async fn each_reason_not_to_start_has_its_cure() {
    use std::os::unix::fs::PermissionsExt;
    let place = open_directory("cures");
    let path = place.join("script");
    let why = async |text: &str, mode: u32| {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let argv = vec![path.display().to_string()];
        match run(&Program { argv, run_as: Some(identity("nobody", None).unwrap()), ..sh("", None) })
            .await
            .outcome
        {
            Outcome::NotStarted(why) => why,
            other => panic!("{text}: {other:?}"),
        }
    };
    let no_mode = why("#!/bin/sh\n", 0o744).await;
    assert!(no_mode.contains("may not be executed by nobody: chmod +x"), "{no_mode}");
    let no_interpreter = why("#!/no/such/shell\n", 0o755).await;
    assert!(no_interpreter.contains("its #! line names is missing"), "{no_interpreter}");
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn a_bare_word_is_found_through_path_and_bad_variables_are_gone() {
    let argv = ["sh", "-c", "test -z \"$LD_PRELOAD$LD_LIBRARY_PATH\""].map(str::to_owned).to_vec();
    assert_eq!(run(&Program { argv, ..sh("", None) }).await.outcome, Outcome::Exit(0));
    // Set by the program's own environment they are its own business.
    let env = vec![("LD_LIBRARY_PATH".to_owned(), "/nowhere".to_owned())];
    let kept = Program { env, ..sh("test \"$LD_LIBRARY_PATH\" = /nowhere", None) };
    assert_eq!(run(&kept).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn standard_input_is_empty() {
    assert_eq!(run(&sh("test -z \"$(cat)\"", Some(Duration::from_secs(2)))).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn another_user_has_no_other_group_and_no_capability() {
    let nobody = identity("nobody", None).unwrap();
    let script = format!(
        "test \"$(id -G)\" = {} && ! grep -E '^Cap(Inh|Prm|Eff|Amb):.*[1-9a-f]' /proc/self/status",
        nobody.gid
    );
    let program = Program { run_as: Some(nobody), ..sh(&script, None) };
    assert_eq!(run(&program).await.outcome, Outcome::Exit(0));
    let root = Program { run_as: Some(identity("root", None).unwrap()), ..sh("test \"$(id -G)\" = 0", None) };
    assert_eq!(run(&root).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn the_rest_of_a_group_has_two_seconds_too_and_nobody_waits_for_it() {
    let place = open_directory("grace");
    // The leader ends at TERM; one child takes half a second to clean up, another does not want to end.
    let script = format!(
        "(trap 'sleep 0.5; touch {0}/cleaned; exit' TERM; for n in $(seq 100); do sleep 0.05; done) & \
         (trap '' TERM; for n in $(seq 30); do sleep 0.1; done; touch {0}/ignored) & wait",
        place.display()
    );
    let finished = run(&sh(&script, Some(Duration::from_millis(200)))).await;
    assert_eq!(finished.outcome, Outcome::TimedOut);
    assert!(finished.took < Duration::from_millis(450), "{:?}", finished.took);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert!(place.join("cleaned").exists(), "killed while it cleaned up");
    assert!(!place.join("ignored").exists(), "not killed");
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn who_ignores_term_is_killed_two_seconds_later() {
    let finished = run(&sh("trap '' TERM; sleep 20", Some(Duration::from_millis(100)))).await;
    assert_eq!(finished.outcome, Outcome::TimedOut);
    let took = finished.took.as_millis();
    assert!((2100..3500).contains(&took), "{took} ms");
}

#[tokio::test]
async fn a_dropped_run_takes_its_whole_group_along() {
    let place = open_directory("dropped");
    let script = format!("(sleep 1; touch {}/alive) & wait", place.display());
    let program = sh(&script, None);
    let dropped = tokio::time::timeout(Duration::from_millis(200), run(&program)).await;
    assert!(dropped.is_err());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!place.join("alive").exists(), "the grandchild lived on");
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn another_user_is_really_another_user() {
    if !nix::unistd::geteuid().is_root() {
        panic!("this test needs root: run it as make test does");
    }
    let nobody = identity("nobody", None).unwrap();
    let program = Program { run_as: Some(nobody.clone()), ..sh("test $(id -u) = $WANTED", None) };
    let env = vec![("WANTED".to_owned(), nobody.uid.to_string())];
    assert_eq!(run(&Program { env, ..program }).await.outcome, Outcome::Exit(0));
    assert!(matches!(identity("no-such-user-here", None), Err(Error::NoUser(_))));
}

#[tokio::test]
async fn descriptors_of_the_daemon_do_not_leak() {
    let finished = run(&sh("test $(ls /proc/self/fd | wc -l) -le 4", None)).await;
    assert_eq!(finished.outcome, Outcome::Exit(0));
}

/// A directory that every user may write to.
fn open_directory(name: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("tandem-process-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    path
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(5), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The signal must be asked for after the change of identity: the kernel forgets it with the old one.
#[test]
fn a_program_is_told_when_its_daemon_dies_whoever_it_runs_as() {
    let who = [None, Some(identity("nobody", None).unwrap())];
    for (n, run_as) in who.into_iter().enumerate() {
        let place = open_directory(&format!("death-{n}"));
        let script = format!(
            "trap 'touch {0}/told; exit' TERM; touch {0}/ready; for n in $(seq 100); do sleep 0.05; done",
            place.display()
        );
        let program = Program { run_as, ..sh(&script, None) };
        let ready = place.join("ready");
        // The thread ends as a killed daemon does: nothing is dropped, only the kernel can tell the child.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.spawn(async move { run(&program).await });
            runtime.block_on(async {
                while !ready.exists() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            std::mem::forget(runtime);
        })
        .join()
        .unwrap();
        wait_until("the child's TERM", || place.join("told").exists());
        std::fs::remove_dir_all(&place).unwrap();
    }
}

/// Runs a program under a policy and waits for its end.
async fn run_under(program: &Program, policy: Policy) {
    let (mut child, mut group) = child::start_under(program, policy).unwrap();
    assert!(child.wait().await.unwrap().success());
    group.leader_gone();
}

#[tokio::test]
async fn the_policy_decides_on_mask_and_links() {
    let place = open_directory("policy");
    let (real, link, out) = (place.join("real.sh"), place.join("link.sh"), place.join("out"));
    std::fs::write(&real, format!("#!/bin/sh\necho \"$0 $(umask)\" > {}\n", out.display())).unwrap();
    std::fs::set_permissions(&real, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let program = Program { argv: vec![link.display().to_string()], ..sh("", None) };
    let own = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
    let own = String::from_utf8(own).unwrap();
    let mask = Some(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let table = [
        (Policy::default(), format!("{} {}", link.display(), own.trim())),
        (
            Policy { umask: mask, resolve_links: true, ..Policy::default() },
            format!("{} 0177", real.display()),
        ),
    ];
    for (policy, expected) in table {
        run_under(&program, policy).await;
        assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), expected);
    }
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn a_binary_keeps_the_name_it_was_called_by() {
    let place = open_directory("called");
    let (link, out) = (place.join("other-name"), place.join("out"));
    std::os::unix::fs::symlink(std::fs::canonicalize("/bin/sh").unwrap(), &link).unwrap();
    let argv = [&link.display().to_string(), "-c", &format!("echo $0 > {}", out.display())]
        .map(str::to_owned)
        .to_vec();
    run_under(&Program { argv, ..sh("", None) }, Policy { resolve_links: true, ..Policy::default() }).await;
    assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), link.display().to_string());
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn all_groups_of_the_user_or_the_one() {
    let place = open_directory("groups");
    let out = place.join("out");
    // Whoever is a member of a group by name, and root.
    let groups = std::fs::read_to_string("/etc/group").unwrap();
    let members =
        groups.lines().filter_map(|line| line.rsplit(':').next()).flat_map(|names| names.split(','));
    let mut users: Vec<String> = members.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    users.truncate(3);
    users.push("root".to_owned());
    for user in users {
        let Ok(who) = identity(&user, None) else { continue };
        let all = std::process::Command::new("id").args(["-G", &user]).output().unwrap().stdout;
        let all = String::from_utf8(all).unwrap();
        let program =
            Program { run_as: Some(who.clone()), ..sh(&format!("id -G > {}", out.display()), None) };
        for (supplementary_groups, expected) in [(false, who.gid.to_string()), (true, all.trim().to_owned())]
        {
            let _ = std::fs::remove_file(&out);
            run_under(&program, Policy { supplementary_groups, ..Policy::default() }).await;
            assert_eq!(std::fs::read_to_string(&out).unwrap().trim(), expected, "{user}");
        }
    }
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn who_is_wanted_no_longer_is_ended_with_its_whole_group() {
    let place = open_directory("enough");
    let told = place.join("told");
    let script = format!("trap 'touch {}; exit 0' TERM; sleep 20 & wait", told.display());
    let enough = tokio::time::sleep(Duration::from_millis(300));
    let finished = run_until(&sh(&script, None), enough).await;
    assert_eq!(finished.outcome, Outcome::TimedOut);
    assert!(told.exists() && finished.took < Duration::from_secs(2), "{finished:?}");
    std::fs::remove_dir_all(&place).unwrap();
}
