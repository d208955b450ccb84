//! Pipes over reloads.

use super::*;
use crate::config::{self, resolve::Facts};
use std::path::Path;

fn config(global: &str) -> Config {
    let text = format!(
        "global_defs {{\n script_user root\n {global}\n}}\nvrrp_instance VI_1 {{\n interface eth0\n virtual_router_id \
         51\n virtual_ipaddress {{ 10.9.0.100/24 }}\n}}\n"
    );
    config::load_text(Path::new("test.conf"), text.as_bytes(), &Facts::default()).config
}

fn place(name: &str) -> PathBuf {
    let place = std::env::temp_dir().join(format!("tandem-teller-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).unwrap();
    let reader = format!(
        "echo \"$1 starts\" >> {0}/out; while read line; do echo \"$1 $line\" >> {0}/out; done < $2",
        place.display()
    );
    std::fs::write(place.join("reader.sh"), reader).unwrap();
    place
}

fn enter(teller: &Teller, config: &Config, state: StateName) {
    let previous = teller.state("VI_1");
    teller.tell(
        Happening::Instance { name: "VI_1", state, previous, cause: "a test", priority: 100 },
        config,
        0,
    );
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test]
async fn a_reload_restarts_only_a_reader_that_changed_and_removes_only_a_pipe_that_is_gone() {
    let place = place("reload");
    let (pipe, out) = (place.join("pipe"), place.join("out"));
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    let global = |word: &str| {
        let reader = place.join("reader.sh");
        format!(
            "notify_fifo {}\n notify_fifo_script \"/bin/sh {} {word}\"\n fifo_write_vrrp_states_on_reload",
            pipe.display(),
            reader.display()
        )
    };
    let (first, second) = (config(&global("first")), config(&global("second")));
    let mut teller = Teller::start(&first, watch::channel(0).1);
    enter(&teller, &first, StateName::Backup);
    until("the first line", || said() == "first starts\nfirst INSTANCE \"VI_1\" BACKUP 100\n").await;
    assert_eq!(teller.state("VI_1"), StateName::Backup);
    teller.configure(&first);
    until("the repeated state", || said().matches("BACKUP").count() == 2).await;
    assert_eq!(said().matches("starts").count(), 1, "the same reader goes on");
    teller.configure(&second);
    until("the second reader", || said().contains("second starts")).await;
    // The first one had to leave at once: what comes now is the second one's.
    tokio::time::sleep(Duration::from_millis(700)).await;
    enter(&teller, &second, StateName::Master);
    until("its line", || said().contains("second INSTANCE \"VI_1\" MASTER 100\n")).await;
    assert!(pipe.exists());
    teller.configure(&config(""));
    until("the pipe's end", || !pipe.exists()).await;
    // Gone, and then there again at stop time: removed with the daemon.
    teller.configure(&second);
    assert!(pipe.exists());
    teller.finish(Duration::from_secs(1)).await;
    assert!(!pipe.exists());
    std::fs::remove_dir_all(&place).unwrap();
}

#[tokio::test]
async fn one_path_is_one_pipe_and_a_bad_user_opens_none() {
    let place = place("twice");
    let pipe = place.join("pipe").display().to_string();
    let twice = config(&format!("notify_fifo {pipe}\n vrrp_notify_fifo {pipe}"));
    let teller = Teller::start(&twice, watch::channel(0).1);
    enter(&teller, &twice, StateName::Master);
    let open: Vec<&str> = teller.pipes.iter().filter(|s| s.pipe.is_some()).map(|s| s.word).collect();
    assert_eq!(open, ["notify_fifo"]);
    drop(teller);
    let stranger = config(&format!("lvs_notify_fifo {}/other no-such-user-here", place.display()));
    let teller = Teller::start(&stranger, watch::channel(0).1);
    assert!(teller.pipes.iter().all(|slot| slot.pipe.is_none()) && !place.join("other").exists());
    std::fs::remove_dir_all(&place).unwrap();
}
