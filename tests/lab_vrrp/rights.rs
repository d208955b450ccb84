//! A daemon that is not root and has three capabilities does the whole job; programs that it starts have none.

use lab::rights::{rights_of, start_unprivileged};

use super::*;

#[test]
fn without_root_it_does_the_whole_job_and_its_programs_have_no_rights() {
    if director::tandem_only("a daemon that is not root") {
        return;
    }
    let pair = Pair::new("rights");
    let out = pair.lab.work().join("said");
    std::fs::write(&out, "").expect("a file");
    std::fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("chmod");
    let script = pair
        .lab
        .file("notify.sh", &format!("grep -E '^(CapEff|CapAmb):' /proc/self/status >>{}\n", out.display()));
    let text = Conf::new("MASTER", 150)
        .line(&format!("notify_master \"/bin/sh {}\"", script.display()))
        .text()
        .replace("script_user root", "script_user nobody");
    let mut d1 = start_unprivileged(&pair.lab, "d1", &text);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let ours = |pid: &i32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "tandem")
    };
    let both: Vec<i32> = process::descendants(d1.pid()).into_iter().filter(ours).chain([d1.pid()]).collect();
    assert_eq!(both.len(), 2, "supervisor and worker");
    for pid in both {
        let (user, rights) = rights_of(pid);
        // NET_ADMIN (12), NET_RAW (13), NET_BIND_SERVICE (10), and nothing else.
        assert_eq!((user, rights.as_str()), (65534, "0000000000003400"), "pid {pid}");
    }
    wait("the script", patience(), || {
        std::fs::read_to_string(&out).is_ok_and(|said| said.contains("CapAmb"))
    });
    let said = std::fs::read_to_string(&out).expect("a file");
    assert!(said.lines().all(|line| line.ends_with("\t0000000000000000")), "{said}");
    assert!(!pair.wire.announcements("d1", VIP, now() - s(30)).is_empty(), "the address was announced");
    // It yields as any other: the address goes, the peer is told.
    d1.stop(patience());
    pair.watch.wait_holders(VIP, &["d2"], patience());
    assert!(!d1.said().contains("ERROR"), "{}", d1.said());
}
