//! Start, notify, reload, repair, stop.

use super::*;

/// A program that writes its words, and whether the VIP is there, into a file of the lab.
fn notifier(pair: &Pair) -> (std::path::PathBuf, String) {
    let out = pair.lab.file("notified", "");
    let text = format!(
        "if ip -o -4 addr show dev eth0 | grep -q '{VIP}/'; then vip=yes; else vip=no; fi\necho \"$* vip=$vip\" >>{}\n",
        out.display()
    );
    let path = pair.lab.file("notify.sh", &text);
    (out, format!("/bin/sh {}", path.display()))
}

fn lines(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn notify_scripts_in_order_and_with_the_address_as_promised() {
    let pair = Pair::new("notify");
    let (out, program) = notifier(&pair);
    let conf = Conf::new("MASTER", 150)
        .line(&format!("notify_master \"{program} m\""))
        .line(&format!("notify_backup \"{program} b\""))
        .line(&format!("notify_fault \"{program} f\""))
        .line(&format!("notify_stop \"{program} s\""))
        .line(&format!("notify \"{program} n\""));
    let mut d1 = pair.start("d1", &conf);
    pair.master("d1");
    wait("notify MASTER", patience(), || lines(&out).len() >= 4);
    pair.lab.cut("d1", "eth0");
    wait("notify FAULT", patience(), || lines(&out).len() >= 6);
    pair.lab.plug("d1", "eth0");
    pair.master("d1");
    wait("notify MASTER again", patience(), || lines(&out).len() >= 10);
    d1.stop();
    wait("notify STOP", patience(), || lines(&out).len() >= 12);
    // The two programs of one state run side by side: each state's pair is compared without its order.
    let mut said = lines(&out);
    for two in said.chunks_mut(2) {
        two.sort();
    }
    let expected = [
        "b vip=no",
        "n INSTANCE VI_1 BACKUP 150 vip=no",
        "m vip=yes",
        "n INSTANCE VI_1 MASTER 150 vip=yes",
        "f vip=no",
        "n INSTANCE VI_1 FAULT 150 vip=no",
        "b vip=no",
        "n INSTANCE VI_1 BACKUP 150 vip=no",
        "m vip=yes",
        "n INSTANCE VI_1 MASTER 150 vip=yes",
        "n INSTANCE VI_1 STOP 150 vip=no",
        "s vip=no",
    ];
    assert_eq!(said, expected);
}

#[test]
fn reload_unchanged_is_not_noticed() {
    let pair = Pair::new("hup");
    let (out, program) = notifier(&pair);
    let conf = Conf::new("MASTER", 150).line(&format!("notify \"{program}\""));
    let d1 = pair.start("d1", &conf);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    wait("notify MASTER", patience(), || lines(&out).len() >= 2);
    pause(ms(300));
    let since = now();
    d1.reload(&conf.text());
    pair.calm(since, s(4));
    measured("reload_longest_silence", pair.longest_silence("d1", since), s(1), ms(100));
    assert_eq!(lines(&out).len(), 2, "a reload calls nothing: {:?}", lines(&out));
    assert!(pair.wire.adverts("d2", since).is_empty());
}

#[test]
fn reload_with_one_more_address() {
    let pair = Pair::new("hupadd");
    let conf = Conf::new("MASTER", 150);
    let d1 = pair.start("d1", &conf);
    pair.master("d1");
    let since = now();
    d1.reload(&conf.clone().address("10.9.0.101/24").text());
    let came = pair.watch.wait("d1", "10.9.0.101", true, patience());
    measured("reload_new_address", came.saturating_duration_since(since), s(1), ms(500));
    pause(s(2));
    assert_eq!(pair.watch.changes_of("d1", VIP, since), [], "the old address stayed");
    assert!(pair.watch.has("d1", "10.9.0.101"));
    measured("reload_add_longest_silence", pair.longest_silence("d1", since), s(1), ms(100));
    assert!(!pair.wire.announcements("d1", "10.9.0.101", since).is_empty(), "the new address is announced");
    // And away again.
    let since = now();
    d1.reload(&conf.text());
    pair.watch.wait("d1", "10.9.0.101", false, patience());
    assert_eq!(pair.watch.changes_of("d1", VIP, since), []);
}

#[test]
fn reload_of_a_broken_file_keeps_everything_and_says_why() {
    if director::tandem_only("reload of a broken file") {
        return;
    }
    let pair = Pair::new("hupbad");
    let conf = Conf::new("MASTER", 150);
    let d1 = pair.start("d1", &conf);
    pair.master("d1");
    // What keepalived passes over, Tandem passes over too: the rest is in force, the VIP stays.
    let harmless = [
        conf.text().replace("advert_int", "advert_interval 5\n    advert_int"),
        conf.text().trim_end().trim_end_matches('}').to_owned(),
    ];
    for text in harmless {
        let (since, mark) = (now(), d1.mark());
        d1.reload(&text);
        wait("it says why", patience(), || d1.said_since(mark).contains("director.conf:"));
        pair.calm(since, s(2));
    }
    let bad = [
        conf.text().replace("10.9.0.100/24", "10.9.0.300/24"),
        "\u{1}\u{2} not a configuration {{{".to_owned(),
        conf.text().replace("virtual_router_id 51", "virtual_router_id 300"),
    ];
    for text in bad {
        let (since, mark) = (now(), d1.mark());
        d1.reload(&text);
        wait("it says why", patience(), || d1.said_since(mark).contains("director.conf:"));
        pair.calm(since, s(2));
        measured("reload_broken_longest_silence", pair.longest_silence("d1", since), s(1), ms(100));
        println!("said: {}", d1.said_since(mark).trim());
    }
    // The next good file works again.
    d1.reload(&conf.address("10.9.0.102/24").text());
    pair.watch.wait("d1", "10.9.0.102", true, patience());
}

#[test]
fn address_deleted_by_hand_comes_back_while_master() {
    if director::tandem_only("an address deleted by hand") {
        return;
    }
    let pair = Pair::new("byhand");
    let _d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    for _ in 0..3 {
        let since = now();
        pair.lab.ip("d1", &format!("addr del {VIP}/24 dev eth0"));
        let changes = || pair.watch.changes_of("d1", VIP, since);
        wait("it goes and comes back", patience(), || changes().len() >= 2);
        let took = changes()[1].0.saturating_duration_since(changes()[0].0);
        measured("deleted_address_back", took, Duration::ZERO, ms(200));
        pause(ms(1200));
        let adverts = pair.wire.adverts("d1", since);
        assert!(!adverts.is_empty() && adverts.iter().all(|(_, priority)| *priority == 150), "{adverts:?}");
        assert!(pair.wire.adverts("d2", since).is_empty(), "the backup stays silent");
    }
}

#[test]
fn restart_after_a_crash_inside_the_down_interval() {
    if director::tandem_only("adoption of a left-over address") {
        return;
    }
    // The address of a crashed master is ours: after the start exactly one director has it, whatever happened between.
    let pair = Pair::new("crash");
    let mut d1 = pair.start("d1", &Conf::new("MASTER", 150));
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    pair.wire.next_advert("d1", patience());
    d1.kill();
    assert!(pair.watch.has("d1", VIP), "SIGKILL leaves the address");
    let _d1 = d1.again(&pair.lab);
    pause(s(5));
    pair.master("d1");
    pair.calm(now(), s(1));
}

#[test]
fn left_over_address_of_another_role_goes() {
    // A former master comes back as a backup: its left-over address must not stay.
    let pair = Pair::new("leftover");
    let mut d1 = pair.start("d1", &Conf::new("MASTER", 150));
    pair.master("d1");
    d1.kill();
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 200));
    wait("d2 is master", patience(), || pair.watch.has("d2", VIP));
    let _d1 = d1.again(&pair.lab);
    pair.master("d2");
}
