//! `tandem top`: the real servers live, on the whole screen. `board` P decides what is shown and what a key does, `screen`
//! D has the terminal and gives it back, whatever ends us.

mod board;
mod screen;

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;

use super::door::Daemon;
use super::paint::When;
use crate::control::view::StatusView;
use board::{Board, Sort};
use screen::{Screen, Seen};

/// Words of `tandem top`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// What the rows are ordered by.
    #[arg(long, value_name = "COLUMN", value_enum, default_value = "rate")]
    sort: Sort,
    /// Only rows with this text in them.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    search: String,
    /// Colours: auto, always or never.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    color: When,
    #[command(flatten)]
    daemon: Daemon,
}

/// Events that go into one picture.
const BURST: usize = 32;

/// What wakes the loop.
enum Event {
    Seen(Seen),
    /// A look at the daemon is over: what it found, or why it found nothing.
    Looked(Result<Box<StatusView>, String>),
    /// The terminal is gone.
    Over(std::io::Error),
}

/// `tandem top`. Exit codes: 0 quit, 1 no daemon answers or no terminal, 64 `--json`, which there is not.
pub fn run(args: &Args) -> i32 {
    if args.daemon.json {
        eprintln!("tandem top draws for people; tandem status --json --watch prints the same for programs");
        return 64;
    }
    // Before the terminal is taken: whoever has named the wrong daemon reads that on a screen that stays.
    let first = match look(&args.daemon) {
        Ok(view) => view,
        Err(why) => {
            eprintln!("{why}");
            return 1;
        }
    };
    let screen = match Screen::take() {
        Ok(screen) => screen,
        Err(error) => {
            eprintln!("tandem top needs a terminal: {error}; tandem status prints the same once");
            return 1;
        }
    };
    let mut board = Board::new(args.sort, args.search.clone(), args.color.colours());
    board.take(Ok(first));
    let events = follow(args);
    match watch(&mut board, &screen, &events) {
        Ok(()) => 0,
        Err(error) => {
            drop(screen);
            eprintln!("tandem top: {error}");
            1
        }
    }
}

fn look(daemon: &Daemon) -> Result<Box<StatusView>, String> {
    match daemon.asked::<Box<StatusView>>("GET", "/v1/status", &Value::Null) {
        Ok(Ok((view, _))) => Ok(view),
        Ok(Err((_, refused))) => Err(format!("refused: {}", refused.error.problem)),
        Err(error) => Err(error.to_string()),
    }
}

/// Keys from one thread, looks from another: a daemon that takes its time holds up no key.
fn follow(args: &Args) -> Receiver<Event> {
    // A screen that is not drawn as fast as keys come holds them back.
    let (events, ours) = sync_channel(16);
    let keys = events.clone();
    std::thread::spawn(move || {
        loop {
            let seen = screen::next();
            let over = seen.is_err();
            if keys.send(seen.map_or_else(Event::Over, Event::Seen)).is_err() || over {
                return;
            }
        }
    });
    let (daemon, every) = (args.daemon.clone(), Duration::from_secs(args.every));
    std::thread::spawn(move || {
        loop {
            std::thread::park_timeout(every);
            if events.send(Event::Looked(look(&daemon))).is_err() {
                return;
            }
        }
    });
    ours
}

fn watch(board: &mut Board, screen: &Screen, events: &Receiver<Event>) -> std::io::Result<()> {
    loop {
        let (columns, rows) = screen.size()?;
        screen.draw(&board.lines(usize::from(columns), usize::from(rows)))?;
        // What waits goes into one picture: of keys that are held down nobody sees each step.
        let mut next = Some(events.recv().map_err(std::io::Error::other)?);
        let mut left = BURST;
        while let Some(event) = next {
            match event {
                Event::Seen(Seen::Key(key)) if board.press(key) => {}
                Event::Seen(Seen::Key(_)) => return Ok(()),
                Event::Seen(Seen::Resized) => {}
                Event::Looked(found) => board.take(found),
                Event::Over(error) => return Err(error),
            }
            left -= 1;
            next = if left > 0 { events.try_recv().ok() } else { None };
        }
    }
}
