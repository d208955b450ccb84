//! `tandem status`: everything at one moment, for people and for programs.

use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::{Daemon, Outcome, complain, finish, text};
use crate::cli::paint::When;
use crate::control::client::Error;
use crate::control::routes::encoded;
use crate::control::view::StatusView;

/// Words of `tandem status`.
#[derive(clap::Args, Debug)]
pub struct Status {
    /// This virtual server alone.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// This part alone.
    #[arg(long, value_name = "PART", value_parser = ["instances", "virtual_servers", "daemon"])]
    part: Option<String>,
    /// What needs attention alone: instances and real servers that are not as they should be, and what people have changed.
    #[arg(long)]
    problems: bool,
    /// Look again every so many seconds until it is interrupted.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..))]
    watch: Option<u64>,
    /// Colours: auto, always or never.
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    color: When,
    #[command(flatten)]
    daemon: Daemon,
}

impl Status {
    fn path(&self) -> String {
        let service = self.service.as_deref().map(|name| format!("service={}", encoded(name)));
        let part = self.part.as_deref().map(|part| format!("part={part}"));
        let query: Vec<String> = service.into_iter().chain(part).collect();
        if query.is_empty() { "/v1/status".to_owned() } else { format!("/v1/status?{}", query.join("&")) }
    }

    /// What is printed; `None`: it was refused, which has been told.
    fn look(&self, colours: bool) -> Result<Option<String>, Error> {
        let answer = self.daemon.ask::<StatusView>("GET", &self.path(), &Value::Null)?;
        Ok(answer.map(|(view, json)| {
            if self.daemon.json {
                return format!("{json}\n");
            }
            self.lines(view, colours).join("\n") + "\n"
        }))
    }

    fn lines(&self, view: StatusView, colours: bool) -> Vec<String> {
        // Of what is not shown, too.
        let summary = text::summary(&view, colours);
        let view = if self.problems { text::problems(view) } else { view };
        let part = match self.part.as_deref() {
            Some("daemon") => return text::daemon(&view, colours),
            Some("instances") => text::instances(&view, colours),
            Some("virtual_servers") => text::virtual_servers(&view, self.problems, colours),
            // Of one virtual server nobody wants to read the rest.
            _ if self.service.is_some() => text::virtual_servers(&view, self.problems, colours),
            _ => return text::all(&view, &summary, self.problems, colours),
        };
        // Figures of a part that did not answer are no figures.
        text::missing(&view, colours).into_iter().chain(part).collect()
    }
}

/// As much of a text as a window shows without scrolling, with how many lines there are more. Codes of colours have no width.
fn fitted(text: &str, columns: usize, rows: usize) -> String {
    let columns = columns.max(1);
    let width = |line: &str| {
        let mut coded = false;
        let plain = line.chars().filter(|character| {
            let hidden = coded || *character == '\x1b';
            coded = hidden && *character != 'm';
            !hidden
        });
        plain.count()
    };
    let lines: Vec<&str> = text.lines().collect();
    let taken = |line: &&str| width(line).div_ceil(columns).max(1);
    if lines.iter().map(taken).sum::<usize>() < rows {
        return text.to_owned();
    }
    let (mut room, mut shown) = (rows.saturating_sub(2), String::new());
    for (n, line) in lines.iter().enumerate() {
        let Some(left) = room.checked_sub(taken(line)) else {
            let more = lines.len() - n;
            return format!(
                "{shown}... {more} lines more: --problems, --service NAME and tandem top show less at a time\n"
            );
        };
        room = left;
        shown += line;
        shown.push('\n');
    }
    shown
}

/// Prints; false: nobody reads any more.
fn printed(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// `tandem status`.
pub fn status(args: &Status) -> i32 {
    let colours = args.color.colours() && !args.daemon.json;
    let Some(every) = args.watch else {
        return finish(args.look(colours).map(|text| match text {
            Some(text) => {
                printed(&text);
                Outcome::Done
            }
            None => Outcome::Refused,
        }));
    };
    let screen = colours && std::io::IsTerminal::is_terminal(&std::io::stdout());
    if screen {
        // What stands in the window goes where one can scroll back to it: it may be evidence.
        let rows = crossterm::terminal::size().map_or(0, |(_, rows)| usize::from(rows));
        printed(&"\n".repeat(rows));
    }
    loop {
        let text = match args.look(colours) {
            Ok(Some(text)) => text,
            Ok(None) => return finish(Ok(Outcome::Refused)),
            // It may come back.
            Err(error) if screen => format!("{error}\n"),
            Err(error) => {
                complain(&error.to_string());
                String::new()
            }
        };
        // To the top left, and away with what is in the window. What has scrolled out of it stays.
        let clear = if screen { "\x1b[H\x1b[2J" } else { "" };
        let text = match crossterm::terminal::size() {
            Ok((columns, rows)) if screen && !args.daemon.json => fitted(&text, columns.into(), rows.into()),
            _ => text,
        };
        let gap = if screen || args.daemon.json || text.is_empty() { "" } else { "\n" };
        if !printed(&format!("{clear}{text}{gap}")) {
            return 0;
        }
        std::thread::park_timeout(Duration::from_secs(every));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_not_scrolled() {
        let text = "one\ntwo\nthree\nfour\n";
        assert_eq!(fitted(text, 80, 5), text);
        assert_eq!(fitted(text, 80, 4).lines().count(), 3);
        assert!(fitted(text, 80, 4).starts_with("one\ntwo\n... 2 lines more"));
        // A line that is wider than the window takes two of it; colours take nothing.
        let wide = "\x1b[32mfour\x1b[0m\nnine char\n";
        assert_eq!(fitted(wide, 5, 4), wide);
        assert!(fitted(wide, 5, 3).starts_with("\x1b[32mfour\x1b[0m\n... 1 lines more"));
        for (columns, rows) in [(0, 0), (1, 1), (80, 0)] {
            assert!(fitted(text, columns, rows).lines().count() <= 1);
        }
        assert_eq!(fitted("", 80, 24), "");
    }
}
