use super::*;
use crate::control::view::{InstanceView, OrderView, VirtualServerView};

fn real(name: &str, rate: u64, active: u64, up: bool) -> RealServerView {
    RealServerView {
        name: name.to_owned(),
        admin_state: "enabled".to_owned(),
        up: Some(up),
        weight: 1,
        active: Some(active),
        connections: Some(active + 1),
        traffic: Some(TrafficView { connection_rate: rate, ..TrafficView::default() }),
        ..RealServerView::default()
    }
}

fn board(count: usize) -> Board {
    let mut reals: Vec<RealServerView> =
        (3..count).map(|n| real(&format!("10.2.{}.{}:80", n / 250, n % 250), 0, 0, true)).collect();
    reals.insert(0, real("10.1.0.1:80", 5, 90, true));
    reals.insert(1, real("10.1.0.2:80", 50, 9, true));
    reals.insert(2, real("10.1.0.3:80", 0, 0, false));
    let server = |name: &str, real_servers| VirtualServerView {
        name: name.to_owned(),
        quorum_up: true,
        real_servers,
        ..VirtualServerView::default()
    };
    let last = reals.split_off(2);
    let view = StatusView {
        virtual_servers: vec![server("TCP 10.0.0.1:80", reals), server("FWM 5", last)],
        ..StatusView::default()
    };
    let mut board = Board::new(Sort::Rate, String::new(), false);
    board.take(Ok(Box::new(view)));
    board
}

/// The names of the rows that are shown.
fn names(board: &mut Board, height: usize) -> Vec<String> {
    let lines = board.lines(200, height);
    let head = lines.iter().position(|line| line.starts_with("real server")).expect("a head");
    lines[head + 1..].iter().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

fn keys(board: &mut Board, text: &str) {
    for character in text.chars() {
        assert!(board.press(Key::Character(character)));
    }
}

#[test]
fn orders() {
    let mut board = board(3);
    for (key, first) in
        [('r', "10.1.0.2:80"), ('a', "10.1.0.1:80"), ('h', "10.1.0.3:80"), ('f', "10.1.0.1:80")]
    {
        keys(&mut board, &key.to_string());
        assert_eq!(names(&mut board, 24)[0], first, "{key}");
    }
    keys(&mut board, "sd");
    assert_eq!((board.sort, names(&mut board, 24)), (Sort::Rate, vec!["10.1.0.3:80".to_owned()]));
}

#[test]
fn search_by_either_name() {
    let mut board = board(3);
    keys(&mut board, "/0.2q");
    assert!(names(&mut board, 24).is_empty(), "q is a letter of what is searched for");
    assert!(board.press(Key::Backspace));
    assert_eq!(names(&mut board, 24), ["10.1.0.2:80"]);
    assert!(board.press(Key::Escape));
    keys(&mut board, "/fwm");
    assert!(board.press(Key::Enter));
    assert_eq!(names(&mut board, 24), ["10.1.0.3:80"]);
    assert!(!board.press(Key::Character('q')) && !board.press(Key::Quit));
}

#[test]
fn only_what_fits_is_written() {
    let mut board = board(10_000);
    for (width, height) in [(80, 24), (20, 5), (1, 1), (0, 0), (300, 100)] {
        let lines = board.lines(width, height);
        assert!(lines.len() <= height, "{height} lines");
        for line in &lines {
            assert!(line.chars().count() <= width, "{width} columns: {line:?}");
        }
    }
    assert_eq!(names(&mut board, 24).len(), 20);
    assert!(board.press(Key::End));
    assert_eq!(names(&mut board, 24).last().map(String::as_str), Some("10.2.39.249:80"));
    assert!(board.press(Key::PageUp) && board.press(Key::Home));
    assert_eq!(names(&mut board, 24)[0], "10.1.0.2:80");
}

#[test]
fn a_held_picture_stays_and_a_problem_is_shown() {
    let mut board = board(3);
    keys(&mut board, "p");
    board.take(Ok(Box::default()));
    assert_eq!(names(&mut board, 24).len(), 3);
    board.take(Err("no Tandem answers".to_owned()));
    assert!(board.lines(80, 24).iter().any(|line| line.contains("no Tandem answers")));
    // It is back, and is said to be, though its picture is not taken.
    board.take(Ok(Box::default()));
    assert!(!board.lines(80, 24).iter().any(|line| line.contains("no Tandem answers")));
    assert_eq!(names(&mut board, 24).len(), 3);
    keys(&mut board, "p");
    board.take(Ok(Box::default()));
    assert_eq!(names(&mut board, 24).len(), 0);
    keys(&mut board, "?");
    assert!(board.lines(80, 24).iter().any(|line| line.contains("quit")));
}

#[test]
fn the_head_tells_what_somebody_must_know() {
    let mut board = Board::new(Sort::Rate, String::new(), true);
    let server = |name: &str, serving: &str, suspended| VirtualServerView {
        name: name.to_owned(),
        serving: serving.to_owned(),
        suspended,
        ..VirtualServerView::default()
    };
    // Of neither is it known that it has lost its quorum.
    let servers = vec![server("TCP 10.0.0.1:80", "unknown", false), server("FWM 5", "real_servers", true)];
    let order = OrderView { order: "step_down".to_owned(), by: "anna".to_owned(), ..OrderView::default() };
    let instance = |state: &str, order| InstanceView {
        name: format!("VI_{state}"),
        state: state.to_owned(),
        order,
        ..InstanceView::default()
    };
    let instances = vec![instance("FAULT", None), instance("BACKUP", Some(order))];
    let mut view = StatusView { virtual_servers: servers, instances, ..StatusView::default() };
    view.daemon.reload_problem = Some("it has 1 errors".to_owned());
    board.take(Ok(Box::new(view.clone())));
    let text = board.lines(200, 24).join("\n");
    assert!(text.contains("2 virtual servers, 0 without quorum"), "{text}");
    assert!(text.contains("\x1b[1;31mVI_BACKUP BACKUP, VI_FAULT FAULT"), "FAULT is red: {text}");
    assert!(text.contains("the last reload was refused: it has 1 errors"), "{text}");
    assert!(text.contains("ordered: VI_BACKUP: step_down by anna"), "{text}");
    view.daemon.maintenance = Some(OrderView { by: "root".to_owned(), ..OrderView::default() });
    board.take(Ok(Box::new(view)));
    assert!(board.lines(200, 24).join("\n").contains("ordered: maintenance by root"));
}
