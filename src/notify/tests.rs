//! Order, patience and limits of the queues, with real programs.

use super::*;

fn job(queue: &str, after: u64, script: &str) -> Job {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let program = Program { argv, run_as: None, timeout: None, env: Vec::new() };
    Job { queue: queue.to_owned(), after, programs: vec![program], why: "test".to_owned(), supersedes: false }
}

fn file(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("tandem-notify-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[tokio::test]
async fn jobs_of_one_queue_keep_their_order() {
    let path = file("order");
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::new(applied);
    notifier.push(job("VI_1", 0, &format!("sleep 0.2; echo BACKUP >> {}", path.display())));
    notifier.push(job("VI_1", 0, &format!("echo MASTER >> {}", path.display())));
    notifier.finish(Duration::from_secs(5)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "BACKUP\nMASTER\n");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_job_waits_for_its_addresses() {
    let path = file("after");
    let (generation, applied) = watch::channel(1);
    let notifier = Notifier::new(applied);
    notifier.push(job("VI_1", 2, &format!("echo told >> {}", path.display())));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!path.exists(), "told before the addresses were there");
    generation.send_replace(2);
    notifier.finish(Duration::from_secs(5)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "told\n");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn finish_does_not_wait_for_ever() {
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::new(applied);
    notifier.push(job("VI_1", 0, "sleep 30"));
    let begun = std::time::Instant::now();
    notifier.finish(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn programs_of_one_job_run_one_after_the_other_and_queues_do_not_wait_for_each_other() {
    let path = file("side");
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::new(applied);
    let slow = |word: &str| format!("sleep 0.3; echo {word} >> {}", path.display());
    let mut both = job("VI_1", 0, &slow("specific"));
    both.programs.extend(job("", 0, &format!("echo generic >> {}", path.display())).programs);
    let begun = std::time::Instant::now();
    notifier.push(both);
    notifier.push(job("VI_2", 0, &slow("other")));
    notifier.finish(Duration::from_secs(5)).await;
    let told = std::fs::read_to_string(&path).unwrap();
    assert!(told.find("specific") < told.find("generic") && told.contains("other"), "{told}");
    assert!(
        begun.elapsed() < Duration::from_millis(590),
        "queues wait for each other: {:?}",
        begun.elapsed()
    );
    std::fs::remove_file(&path).unwrap();
}

fn state(script: &str, why: &str) -> Job {
    Job { supersedes: true, why: why.to_owned(), ..job("VI_1", 0, script) }
}

#[tokio::test]
async fn states_that_were_overtaken_before_their_turn_are_skipped_and_other_events_are_not() {
    let path = file("superseded");
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::new(applied);
    let echo = |word: &str| format!("echo {word} >> {}", path.display());
    notifier.push(state(&format!("sleep 0.3; {}", echo("BACKUP")), "backup"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    notifier.push(state(&echo("MASTER"), "master"));
    notifier.push(job("VI_1", 0, &echo("RX_LOWER")));
    notifier.push(state(&echo("FAULT"), "fault"));
    notifier.push(state(&echo("STOP"), "stop"));
    notifier.finish(Duration::from_secs(5)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "BACKUP\nRX_LOWER\nSTOP\n");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_state_without_a_program_makes_older_ones_void() {
    let path = file("void");
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::new(applied);
    notifier.push(state("sleep 0.2", "backup"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    notifier.push(state(&format!("echo MASTER >> {}", path.display()), "master"));
    notifier.push(Job { programs: Vec::new(), ..state("", "fault") });
    notifier.finish(Duration::from_secs(5)).await;
    assert!(!path.exists(), "the master that is none was told");
}

#[tokio::test]
async fn a_program_that_clings_to_an_old_state_is_ended_before_the_newest_is_told() {
    let path = file("clings");
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::patient(applied, Duration::from_millis(200));
    let clings = format!("sleep 20 & wait; echo MASTER too late >> {}", path.display());
    notifier.push(state(&clings, "master"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(notifier.0.lock().busy.len(), 1, "without a newer state nobody is ended");
    notifier.push(state(&format!("echo BACKUP >> {}", path.display()), "backup"));
    let begun = std::time::Instant::now();
    notifier.finish(Duration::from_secs(8)).await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "ended too soon: {:?}", begun.elapsed());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "BACKUP\n");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_full_queue_loses_its_oldest_jobs_and_keeps_the_order() {
    let path = file("full");
    let (_generation, applied) = watch::channel(0);
    let notifier = Notifier::new(applied);
    notifier.push(job("VI_1", 0, "sleep 0.2"));
    // The first one runs: it cannot be dropped any more.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for n in 0..QUEUE + 3 {
        notifier.push(job("VI_1", 0, &format!("echo {n} >> {}", path.display())));
    }
    notifier.finish(Duration::from_secs(20)).await;
    let told: Vec<usize> =
        std::fs::read_to_string(&path).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(told, (3..QUEUE + 3).collect::<Vec<_>>());
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn addresses_that_never_come_hold_a_job_for_five_seconds_only() {
    let (_generation, applied) = watch::channel(1);
    let notifier = Notifier::new(applied);
    let path = file("patience");
    notifier.push(job("VI_1", 2, &format!("echo told > {}", path.display())));
    let begun = std::time::Instant::now();
    notifier.finish(Duration::from_secs(10)).await;
    let took = begun.elapsed();
    assert!(path.exists() && took >= PATIENCE && took < PATIENCE * 2, "{took:?}");
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn a_writer_that_is_gone_holds_nobody() {
    let path = file("gone");
    let (generation, applied) = watch::channel(1);
    drop(generation);
    let notifier = Notifier::new(applied);
    notifier.push(job("VI_1", 2, &format!("echo told > {}", path.display())));
    let begun = std::time::Instant::now();
    notifier.finish(Duration::from_secs(10)).await;
    assert!(path.exists() && begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    std::fs::remove_file(&path).unwrap();
}
