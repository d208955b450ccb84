//! The terminal: taken at the start, given back at any end, also by a signal and by a defect of ours.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Once;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::style::Print;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};
use nix::sys::signal::{SigSet, Signal};

use super::board::Key;

/// What comes from the terminal.
#[derive(Debug)]
pub(super) enum Seen {
    /// A key with a meaning.
    Key(Key),
    /// It has another size.
    Resized,
}

/// The terminal while it is ours.
pub(super) struct Screen;

impl Screen {
    /// Takes it.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take() -> io::Result<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return Err(io::Error::other("standard input and output are none"));
        }
        mind_signals()?;
        mind_defects();
        enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> io::Result<(u16, u16)> {
        size()
    }

    /// Draws these lines, the first one at the top. What is below the last is cleared.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (row, line) in (0u16..).zip(lines) {
            // What stays as it is does not flicker: the rest of a line is cleared behind its words.
            queue!(out, MoveTo(0, row), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // Whoever draws at this moment has finished, and draws no more.
    let mut out = io::stdout().lock();
    let _ = execute!(out, Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}

/// A signal that ends us gives the terminal back first. They are held back in every thread, and one of its own takes them.
fn mind_signals() -> io::Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        signals.add(signal);
    }
    signals.thread_block()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Ok(signal) = signals.wait() else { return };
        let mut out = io::stdout().lock();
        let _ = execute!(out, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
        // Nobody draws while we hold the output.
        std::process::exit(128 + signal as i32)
    })?;
    Ok(())
}

/// The words of a defect are for a terminal that can show them.
fn mind_defects() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |defect| {
            give_back();
            before(defect);
            // Of whichever thread: what is left would draw over the words.
            std::process::exit(101);
        }));
    });
}

/// Waits for the next key that means something.
///
/// # Errors
/// The terminal is gone.
pub(super) fn next() -> io::Result<Seen> {
    loop {
        match event::read()? {
            Event::Resize(..) => return Ok(Seen::Resized),
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                let meaning = match key.code {
                    KeyCode::Char('c') if control => Key::Quit,
                    KeyCode::Char('l') if control => return Ok(Seen::Resized),
                    KeyCode::Char(_) if control => continue,
                    KeyCode::Char(character) => Key::Character(character),
                    KeyCode::Up => Key::Up,
                    KeyCode::Down => Key::Down,
                    KeyCode::PageUp => Key::PageUp,
                    KeyCode::PageDown => Key::PageDown,
                    KeyCode::Home => Key::Home,
                    KeyCode::End => Key::End,
                    KeyCode::Enter => Key::Enter,
                    KeyCode::Esc => Key::Escape,
                    KeyCode::Backspace => Key::Backspace,
                    _ => continue,
                };
                return Ok(Seen::Key(meaning));
            }
            _ => {}
        }
    }
}
