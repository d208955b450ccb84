//! Processes that borrow the daemon's memory until they execute: what must be true of them, and of the daemon afterwards.
//! Several look at the whole process: nextest gives each test one of its own.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tokio::task::JoinSet;

use super::*;

fn program(words: &[&str]) -> Program {
    let argv = words.iter().map(|word| (*word).to_owned()).collect();
    Program { argv, run_as: None, timeout: Some(Duration::from_secs(30)), env: Vec::new() }
}

fn sh(script: &str) -> Program {
    program(&["/bin/sh", "-c", script])
}

struct Place(std::path::PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tandem-spawn-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn not_started(program: &Program) -> String {
    match run(program).await.outcome {
        Outcome::NotStarted(why) => why,
        other => panic!("{:?}: {other:?}", program.argv),
    }
}

fn descriptors_open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Our children that nobody has waited for.
fn children() -> String {
    let of =
        |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    std::fs::read_dir("/proc/self/task").unwrap().flatten().map(of).collect()
}

fn status_line(name: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
}

/// The check thread may be nice, or on processors of its own: its scripts are as the daemon.
#[tokio::test]
#[allow(unsafe_code)]
async fn niceness_and_processors_of_one_thread_are_not_its_program_s() {
    let line = |of: &str| {
        let text = std::fs::read_to_string(format!("/proc/{of}/status")).unwrap();
        text.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
    };
    // SAFETY: plain numbers. This thread is not the main one: the test runner has that.
    let usual = unsafe { libc::getpriority(libc::PRIO_PROCESS, std::process::id()) };
    // SAFETY: as above; 0 is the calling thread.
    assert_eq!(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) }, 0);
    let all = line("self");
    let mut first = nix::sched::CpuSet::new();
    first.set(nix::sched::sched_getcpu().unwrap()).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &first).unwrap();
    if nix::unistd::geteuid().is_root() {
        let script = format!("test \"$(cut -d' ' -f19 /proc/self/stat)\" = {usual}");
        assert_eq!(run(&sh(&script)).await.outcome, Outcome::Exit(0), "its nice value");
    } else {
        println!("SKIPPED: the nice value: only root may put it back");
    }
    let script = format!("grep -qF '{all}' /proc/self/status");
    assert_eq!(run(&sh(&script)).await.outcome, Outcome::Exit(0), "its processors: {all}");
    assert_eq!(line("self"), all);
}

#[tokio::test]
async fn a_script_without_an_interpreter_line_is_the_shells() {
    let place = Place::new("plain");
    let out = place.0.join("out").display().to_string();
    let script = place.file("plain", &format!("echo \"$0 $1 $2\" > {out}\n"), 0o755);
    assert_eq!(run(&program(&[&script, "one", "two words"])).await.outcome, Outcome::Exit(0));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), format!("{script} one two words\n"));
    assert_eq!(run(&program(&[&script])).await.outcome, Outcome::Exit(0));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), format!("{script}  \n"));
    // What is no text at all the shell cannot read either.
    let empty = place.file("empty", "", 0o755);
    assert_eq!(run(&program(&[&empty])).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn the_path_of_the_programs_own_environment_is_searched_in_order() {
    let place = Place::new("path");
    for (directory, mode, status) in [("a", 0o644, 1), ("b", 0o755, 2), ("c", 0o755, 3)] {
        std::fs::create_dir(place.0.join(directory)).unwrap();
        place.file(&format!("{directory}/say"), &format!("#!/bin/sh\nexit {status}\n"), mode);
    }
    let at = |name: &str| place.0.join(name).display().to_string();
    let with = |path: String| Program { env: vec![("PATH".to_owned(), path)], ..program(&["say"]) };
    // What may not be executed is passed over, and so is a directory that is not there.
    let path = [at("none"), at("a"), at("b"), at("c")].join(":");
    assert_eq!(run(&with(path)).await.outcome, Outcome::Exit(2));
    assert!(not_started(&with(at("a"))).await.contains("Permission denied"));
    assert!(not_started(&with(at("none"))).await.contains("install it"));
}

#[tokio::test]
async fn what_cannot_be_executed_leaves_no_process_and_no_descriptor() {
    let place = Place::new("refused");
    let closed = place.file("closed", "#!/bin/sh\n", 0o644);
    let long = "x".repeat(200_000);
    let before = descriptors_open();
    for _ in 0..20 {
        assert!(not_started(&program(&["/no/such/program"])).await.contains("install it"));
        assert!(not_started(&program(&[&closed])).await.contains("chmod +x"));
        assert!(not_started(&program(&["/bin/true", &long])).await.contains("arguments are too long"));
        assert!(not_started(&program(&["/bin/true", "a\0b"])).await.contains("NUL byte"));
    }
    assert_eq!((descriptors_open(), children()), (before, String::new()));
}

#[tokio::test]
async fn a_thousand_side_by_side_leak_nothing() {
    let nobody = identity("nobody", None).unwrap();
    // What the runtime opens for its first timer and child is open before.
    run(&sh("exit 0")).await;
    let before = descriptors_open();
    let mut runs = JoinSet::new();
    for number in 0..1000 {
        let run_as = (number % 2 == 0).then(|| nobody.clone());
        let program = Program { run_as, ..sh(&format!("exit {}", number % 200)) };
        runs.spawn(async move { (number, run(&program).await.outcome) });
        while runs.len() >= 64 {
            let (number, outcome) = runs.join_next().await.unwrap().unwrap();
            assert_eq!(outcome, Outcome::Exit(number % 200));
        }
    }
    while let Some(ended) = runs.join_next().await {
        let (number, outcome) = ended.unwrap();
        assert_eq!(outcome, Outcome::Exit(number % 200));
    }
    assert_eq!((descriptors_open(), children()), (before, String::new()));
}

#[tokio::test]
async fn another_user_in_the_child_changes_nothing_in_the_daemon() {
    let names = ["Uid:", "Gid:", "Groups:", "SigBlk:", "CapEff:"];
    let before = names.map(status_line);
    let dumpable = nix::sys::prctl::get_dumpable().unwrap();
    let other = std::thread::spawn(|| {
        std::thread::sleep(Duration::from_millis(300));
        status_line("Uid:")
    });
    let nobody = Program { run_as: Some(identity("nobody", None).unwrap()), ..sh("exit 0") };
    assert_eq!(run(&nobody).await.outcome, Outcome::Exit(0));
    assert_eq!(names.map(status_line), before);
    assert_eq!(other.join().unwrap(), before[0], "another thread became the user, too");
    assert_eq!(nix::sys::prctl::get_dumpable().unwrap(), dumpable);
}

#[tokio::test]
async fn a_program_starts_with_no_signal_blocked_and_sigpipe_as_it_should_be() {
    // This program ignores SIGPIPE, as all of Rust's do.
    assert_ne!(
        u64::from_str_radix(status_line("SigIgn:").split_whitespace().nth(1).unwrap(), 16).unwrap() & 0x1000,
        0
    );
    let mask = "mask() { sed -n \"s/^$1:[[:space:]]*/0x/p\" /proc/self/status; }";
    let script = format!("{mask}; test $(($(mask SigBlk))) = 0 && test $(($(mask SigIgn) & 0x1000)) = 0");
    assert_eq!(run(&sh(&script)).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn a_program_leads_a_group_of_its_own_and_is_no_real_time_process() {
    let script = "test $(ps -o pgid= -p $$) = $$ && test $(ps -o cls= -p $$) = TS";
    assert_eq!(run(&sh(script)).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn a_dropped_run_is_waited_for() {
    let one = sh("sleep 20");
    for _ in 0..20 {
        let dropped = tokio::time::timeout(Duration::from_millis(5), run(&one)).await;
        assert!(dropped.is_err());
    }
    let begun = Instant::now();
    while !children().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(5), "left: {}", children());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// nextest gives each test a process: the limit that this one changes is its own.
#[tokio::test]
async fn a_raised_limit_of_descriptors_is_not_the_programs() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let low = soft.min(500);
    setrlimit(Resource::RLIMIT_NOFILE, low, hard).unwrap();
    assert_eq!(raise_descriptors(), hard.min(1 << 20));
    assert_eq!(descriptors(), hard.min(1 << 20));
    assert_eq!(run(&sh(&format!("test $(ulimit -Sn) = {low}"))).await.outcome, Outcome::Exit(0));
    assert_eq!(run(&sh(&format!("test $(ulimit -Hn) = {hard}"))).await.outcome, Outcome::Exit(0));
}

#[tokio::test]
async fn without_a_descriptor_left_programs_run_all_the_same() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    run(&sh("exit 0")).await;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let mut held = Vec::new();
    setrlimit(Resource::RLIMIT_NOFILE, 100, hard).unwrap();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    let outcome = run(&program(&["/bin/false"])).await.outcome;
    drop(held);
    assert_eq!(outcome, Outcome::Exit(1));
}
