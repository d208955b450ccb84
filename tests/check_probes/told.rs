//! FILE_CHECK and BFD_CHECK: the driver hears what files and sessions say.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem::check::outside::Outside;

use crate::world::{PATIENCE, Program, Running, alone, load};

fn config(checks: &str) -> tandem::config::model::Config {
    load(&format!(
        "track_file f {{\n file /run/f\n weight 2\n }}\nbfd_instance b {{\n neighbor_ip 192.0.2.3\n }}\n\
         virtual_server 192.0.2.1 80 {{\n protocol TCP\n inhibit_on_failure\n real_server 192.0.2.2 80 {{\n weight 10\n \
         {checks}\n }}\n }}\n"
    ))
}

fn file(number: i64) -> Outside {
    Outside { files: [("f".to_owned(), number)].into(), ..Outside::default() }
}

fn session(up: bool) -> Outside {
    Outside { sessions: [("b".to_owned(), up)].into(), ..Outside::default() }
}

#[test]
fn a_file_moves_the_weight() {
    alone(|| async {
        let mut running = Running::start(config("FILE_CHECK {\n track_file f\n }"), file(3));
        running.weights(&[16]).await;
        running.outside.send_replace(Arc::new(file(-4)));
        running.weights(&[2]).await;
        running.outside.send_replace(Arc::new(file(-40)));
        running.weights(&[0]).await;
        // A reload changes the multiplier; the file's word is known.
        running.outside.send_replace(Arc::new(file(5)));
        running.weights(&[20]).await;
        running.config.send_replace(Arc::new(config("FILE_CHECK {\n track_file f\n weight 3 reverse\n }")));
        running.weights(&[0]).await;
        running.outside.send_replace(Arc::new(file(-1)));
        running.weights(&[13]).await;
        // Without the check the weight is the configured one.
        running.config.send_replace(Arc::new(config("")));
        running.weights(&[10]).await;
    });
}

#[test]
fn a_file_takes_the_server_out() {
    alone(|| async {
        let check = "FILE_CHECK {\n track_file f\n weight 0\n }";
        let mut running = Running::start(config(check), file(0));
        running.weights(&[10]).await;
        running.outside.send_replace(Arc::new(file(1)));
        running.weights(&[0]).await;
        assert_eq!(running.event().await, "down: FILE_CHECK f: the file says 1 (try 1 of 1)");
        running.outside.send_replace(Arc::new(file(0)));
        running.weights(&[10]).await;
        assert_eq!(running.event().await, "up: FILE_CHECK succeeded");
    });
}

#[test]
fn a_session_takes_the_server_out() {
    alone(|| async {
        // Without alpha a session that has said nothing changes nothing.
        let mut running = Running::start(config("BFD_CHECK {\n name b\n }"), Outside::default());
        running.weights(&[10]).await;
        running.outside.send_replace(Arc::new(session(false)));
        running.weights(&[0]).await;
        assert_eq!(running.event().await, "down: BFD_CHECK b: the session is down (try 1 of 1)");
        running.outside.send_replace(Arc::new(session(true)));
        running.weights(&[10]).await;
        assert_eq!(running.event().await, "up: BFD_CHECK succeeded");

        let mut running = Running::start(config("BFD_CHECK {\n name b\n alpha\n }"), Outside::default());
        running.weights(&[0]).await;
        running.outside.send_replace(Arc::new(session(true)));
        running.weights(&[10]).await;
    });
}

/// The whole way: a file on the disk and a session of the daemon's own, to its log.
#[test]
fn the_daemon_carries_files_and_sessions() {
    alone(|| async {
        let place = std::env::temp_dir().join(format!("tandem-probes-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let (file, conf, log) = (place.join("f"), place.join("t.conf"), place.join("log"));
        fs::write(&file, "0\n").unwrap();
        let text = format!(
            "track_file f {{\n file {}\n weight 0\n }}\nbfd_instance b {{\n neighbor_ip 127.0.0.7\n }}\n\
             virtual_server 192.0.2.1 80 {{\n protocol TCP\n\
             real_server 192.0.2.2 80 {{\n FILE_CHECK {{\n track_file f\n }}\n }}\n\
             real_server 192.0.2.3 80 {{\n BFD_CHECK {{\n name b\n }}\n }}\n }}\n",
            file.display()
        );
        fs::write(&conf, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.arg("run").arg("--config").arg(&conf).arg("--pid").arg(place.join("pid"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let daemon = Program(command.spawn().unwrap());
        let says = async |line: &str| {
            let began = Instant::now();
            while !fs::read_to_string(&log).unwrap().contains(line) {
                let said = fs::read_to_string(&log).unwrap();
                assert!(began.elapsed() < PATIENCE, "not said: {line}\n{said}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        says("virtual server TCP 192.0.2.1:80 has its quorum").await;
        fs::write(&file, "5\n").unwrap();
        says("real server 192.0.2.2:80 of TCP 192.0.2.1:80 is down: FILE_CHECK f: the file says 5").await;
        fs::write(&file, "0\n").unwrap();
        says("real server 192.0.2.2:80 of TCP 192.0.2.1:80 is up: FILE_CHECK succeeded").await;
        // Nobody is at the other end: five seconds later it counts as down.
        says("real server 192.0.2.3:80 of TCP 192.0.2.1:80 is down: BFD_CHECK b: the session is down").await;
        drop(daemon);
        let _ = fs::remove_dir_all(&place);
    });
}
