//! What `tandem top` shows, and what a key does to it. Pure: of ten thousand rows only those are written that fit.

use std::cmp::Reverse;

use crate::cli::door::text::{health, lost, remarks};
use crate::cli::paint::{Cell, Style, ago, line, short};
use crate::control::view::{RealServerView, StatusView, TrafficView};

/// A key with a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "names of keys")]
pub(super) enum Key {
    Character(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    /// Control-C.
    Quit,
}

/// What rows are ordered by; equal ones stay in the order of the file.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Connections a second, most first.
    #[default]
    Rate,
    /// Active connections, most first.
    Active,
    /// All connections, most first.
    Connections,
    /// Bytes a second both ways, most first.
    Bytes,
    /// Those that are down, then those that somebody has taken out.
    Health,
    /// Weight, most first.
    Weight,
    /// The order of the file.
    File,
}

impl Sort {
    const ALL: [(Self, char, &'static str); 7] = [
        (Self::Rate, 'r', "conn/s"),
        (Self::Active, 'a', "active"),
        (Self::Connections, 'c', "connections"),
        (Self::Bytes, 'b', "bytes/s"),
        (Self::Health, 'h', "health"),
        (Self::Weight, 'w', "weight"),
        (Self::File, 'f', "file"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(sort, ..)| *sort == self).map_or("", |(_, _, word)| word)
    }

    fn of_key(key: char) -> Option<Self> {
        Self::ALL.iter().find(|(_, own, _)| *own == key).map(|(sort, ..)| *sort)
    }

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|(sort, ..)| *sort == self).unwrap_or(0);
        Self::ALL.get((at + 1) % Self::ALL.len()).map_or(self, |(sort, ..)| *sort)
    }

    /// What is greater comes first.
    fn weight(self, real: &RealServerView) -> u64 {
        let rate = |of: fn(&TrafficView) -> u64| real.traffic.as_ref().map_or(0, of);
        match self {
            Self::Rate => rate(|traffic| traffic.connection_rate),
            Self::Active => real.active.unwrap_or(0),
            Self::Connections => real.connections.unwrap_or(0),
            Self::Bytes => rate(|traffic| traffic.byte_rate_in.saturating_add(traffic.byte_rate_out)),
            Self::Health => match (real.up, real.admin_state.as_str()) {
                (Some(false), _) => 3,
                // Nobody has asked for more than that.
                (None, "enabled") if real.unchecked.as_deref() == Some("no_checks") => 0,
                (None, _) => 2,
                (Some(true), "enabled") => 0,
                (Some(true), _) => 1,
            },
            Self::Weight => real.weight.into(),
            Self::File => 0,
        }
    }
}

/// The words below the head while `?` is pressed.
const HELP: [&str; 9] = [
    "  r a c b h w f   order by connections/s, active, connections, bytes/s, health, weight, file",
    "  s               the next order",
    "  d               only what is down or taken out, or all again",
    "  /               search: rows with this text; Enter keeps it, Escape drops it",
    "  arrows, page up and down, home, end, j, k   move",
    "  p, space        hold the picture, or go on",
    "  ?               this page, or back",
    "  q, Control-C    quit",
    "",
];

/// The state of the screen.
#[derive(Debug)]
pub(super) struct Board {
    view: Option<Box<StatusView>>,
    /// Why the last look found nothing.
    problem: Option<String>,
    sort: Sort,
    search: String,
    typing: bool,
    down_alone: bool,
    held: bool,
    help: bool,
    top: usize,
    /// Rows that the last picture had room for.
    room: usize,
    colours: bool,
    /// Service and real server of each row, in the order that is shown.
    rows: Vec<(usize, usize)>,
}

impl Board {
    pub(super) fn new(sort: Sort, search: String, colours: bool) -> Self {
        Self {
            view: None,
            problem: None,
            sort,
            search,
            typing: false,
            down_alone: false,
            held: false,
            help: false,
            top: 0,
            room: 1,
            colours,
            rows: Vec::new(),
        }
    }

    /// What a look has found.
    pub(super) fn take(&mut self, found: Result<Box<StatusView>, String>) {
        match found {
            // It is back, whether or not its picture is taken.
            Ok(_) if self.held => self.problem = None,
            Ok(view) => {
                self.view = Some(view);
                self.problem = None;
                self.order();
            }
            Err(why) => self.problem = Some(why),
        }
    }

    /// A key. False: that is the end.
    pub(super) fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Quit => return false,
            Key::Up => self.scroll(-1),
            Key::Down => self.scroll(1),
            Key::PageUp => self.scroll(-self.page()),
            Key::PageDown => self.scroll(self.page()),
            Key::Home => self.top = 0,
            Key::End => self.top = usize::MAX,
            _ if self.typing => self.type_in(key),
            Key::Character('q') => return false,
            Key::Character('k') => self.scroll(-1),
            Key::Character('j') => self.scroll(1),
            Key::Character('/') => (self.typing, self.help) = (true, false),
            Key::Character('?') => self.help = !self.help,
            Key::Character('d') => {
                self.down_alone = !self.down_alone;
                self.order();
            }
            Key::Character('p' | ' ') => self.held = !self.held,
            Key::Character('s') => self.order_by(self.sort.next()),
            Key::Character(other) => {
                if let Some(sort) = Sort::of_key(other) {
                    self.order_by(sort);
                }
            }
            Key::Escape => {
                self.help = false;
                self.search.clear();
                self.order();
            }
            Key::Enter | Key::Backspace => {}
        }
        self.top = self.top.min(self.rows.len().saturating_sub(self.room));
        true
    }

    fn type_in(&mut self, key: Key) {
        match key {
            Key::Character(character) => self.search.push(character),
            Key::Backspace => drop(self.search.pop()),
            Key::Enter => self.typing = false,
            Key::Escape => {
                self.typing = false;
                self.search.clear();
            }
            _ => {}
        }
        self.top = 0;
        self.order();
    }

    fn page(&self) -> isize {
        isize::try_from(self.room.max(1)).unwrap_or(isize::MAX)
    }

    fn scroll(&mut self, by: isize) {
        self.top = self.top.saturating_add_signed(by);
    }

    fn order_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.top = 0;
        self.order();
    }

    /// Which rows there are, in their order.
    fn order(&mut self) {
        self.rows.clear();
        let Some(view) = &self.view else { return };
        let search = self.search.to_lowercase();
        for (s, service) in view.virtual_servers.iter().enumerate() {
            let whole = search.is_empty() || service.name.to_lowercase().contains(&search);
            for (r, real) in service.real_servers.iter().enumerate() {
                let fits = whole || real.name.to_lowercase().contains(&search);
                if fits && (!self.down_alone || Sort::Health.weight(real) > 0) {
                    self.rows.push((s, r));
                }
            }
        }
        let sort = self.sort;
        let weight = |(s, r): &(usize, usize)| {
            let service = view.virtual_servers.get(*s);
            service.and_then(|service| service.real_servers.get(*r)).map_or(0, |real| sort.weight(real))
        };
        // Stable: of equal ones the order of the file stays.
        self.rows.sort_by_key(|row| Reverse(weight(row)));
    }

    /// The picture: at most `height` lines of at most `width` characters.
    pub(super) fn lines(&mut self, width: usize, height: usize) -> Vec<String> {
        let mut lines = self.head(width);
        if self.help {
            lines.extend(HELP.iter().map(|text| cut(text, width)));
        }
        let titles = lines.len();
        self.room = height.saturating_sub(titles + 1).max(1);
        self.top = self.top.min(self.rows.len().saturating_sub(self.room));
        lines.extend(self.table(width));
        lines.truncate(height);
        lines
    }

    fn head(&self, width: usize) -> Vec<String> {
        let Some(view) = &self.view else { return vec![cut("no answer yet", width)] };
        let daemon = &view.daemon;
        let mut lines = Vec::new();
        let mut say = |style: Style, text: &str| lines.push(style.paint(&cut(text, width), self.colours));
        let name = if daemon.instance.is_empty() { String::new() } else { format!(" {}", daemon.instance) };
        let total = |of: fn(&TrafficView) -> u64| {
            short(view.virtual_servers.iter().filter_map(|server| server.traffic.as_ref()).map(of).sum())
        };
        let held = if self.held { "  HELD" } else { "" };
        say(
            Style::Strong,
            &format!(
                "tandem{name} on {}, {}  {} conn/s  {} B/s in  {} B/s out{held}",
                daemon.host,
                ago(daemon.running),
                total(|traffic| traffic.connection_rate),
                total(|traffic| traffic.byte_rate_in),
                total(|traffic| traffic.byte_rate_out),
            ),
        );
        let states: Vec<String> = ["MASTER", "BACKUP", "FAULT", "INIT"]
            .into_iter()
            .filter_map(|state| {
                let of: Vec<&str> = view
                    .instances
                    .iter()
                    .filter(|one| one.state == state)
                    .map(|one| one.name.as_str())
                    .collect();
                match of.as_slice() {
                    [] => None,
                    [one] => Some(format!("{one} {state}")),
                    several => Some(format!("{} {state}", several.len())),
                }
            })
            .collect();
        let reals = || view.virtual_servers.iter().flat_map(|server| &server.real_servers);
        let down = reals().filter(|real| real.up == Some(false)).count();
        let lost = view.virtual_servers.iter().filter(|server| lost(server)).count();
        let fault = view.instances.iter().any(|one| one.state == "FAULT");
        say(
            if down + lost > 0 || fault { Style::Bad } else { Style::Plain },
            &format!(
                "{}{}{} virtual servers, {lost} without quorum; {} real servers, {down} down",
                states.join(", "),
                if states.is_empty() { "" } else { "; " },
                view.virtual_servers.len(),
                reals().count(),
            ),
        );
        let refused = daemon.reload_problem.as_ref().map(|why| format!("the last reload was refused: {why}"));
        let problems = self.problem.iter().chain(&daemon.silent).chain(&view.ipvs.errors).chain(&refused);
        for problem in problems.take(3) {
            say(Style::Bad, problem);
        }
        let orders = view.instances.iter().filter_map(|one| Some((one.name.as_str(), one.order.as_ref()?)));
        let orders: Vec<String> = match &daemon.maintenance {
            Some(order) => vec![format!("maintenance by {}", order.by)],
            None => orders.map(|(name, order)| format!("{name}: {} by {}", order.order, order.by)).collect(),
        };
        if !orders.is_empty() {
            say(Style::Warn, &format!("ordered: {}", orders.join(", ")));
        }
        let search = match (self.typing, self.search.as_str()) {
            (true, text) => format!("  search: {text}_"),
            (false, "") => String::new(),
            (false, text) => format!("  search: {text}"),
        };
        let alone = if self.down_alone { "  down or taken out alone" } else { "" };
        let rows = format!("{} rows by {}{alone}{search}", self.rows.len(), self.sort.word());
        say(Style::Faint, &format!("{rows}  (? for keys)"));
        lines
    }

    fn table(&self, width: usize) -> Vec<String> {
        let Some(view) = &self.view else { return Vec::new() };
        let shown = self.rows.iter().skip(self.top).take(self.room).filter_map(|(s, r)| {
            let service = view.virtual_servers.get(*s)?;
            Some((service.name.as_str(), service.real_servers.get(*r)?))
        });
        let head = [
            "real server",
            "virtual server",
            "health",
            "weight",
            "active",
            "all",
            "conn/s",
            "in/s",
            "out/s",
            "",
        ];
        let mut cells: Vec<Vec<Cell>> = vec![
            head.iter()
                .enumerate()
                .map(|(n, word)| Cell {
                    text: (*word).to_owned(),
                    style: Style::Faint,
                    right: (3..9).contains(&n),
                })
                .collect(),
        ];
        cells.extend(shown.map(|(service, real)| row(service, real)));
        // As wide as what is shown needs; figures do not jump for every digit.
        let least = [0, 0, 8, 5, 6, 6, 6, 6, 6, 0];
        let widths: Vec<usize> = (0..head.len())
            .map(|n| {
                let own = cells.iter().filter_map(|row| row.get(n)).map(|cell| cell.text.chars().count());
                own.chain(least.get(n).copied()).max().unwrap_or(0)
            })
            .collect();
        cells.into_iter().map(|row| line(&fitted(row, &widths, width), &widths, self.colours)).collect()
    }
}

/// What fits into the width of the screen.
fn fitted(row: Vec<Cell>, widths: &[usize], width: usize) -> Vec<Cell> {
    let mut left = width;
    let mut fitted = Vec::with_capacity(row.len());
    for (cell, column) in row.into_iter().zip(widths) {
        // A figure that is cut is another figure.
        if left == 0 || (cell.right && *column > left) {
            break;
        }
        let own = cell.text.chars().count();
        let text = if own > left { cut(&cell.text, left) } else { cell.text };
        fitted.push(Cell { text, ..cell });
        left = left.saturating_sub(column + 2);
    }
    fitted
}

fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn row(service: &str, real: &RealServerView) -> Vec<Cell> {
    let (health, style) = health(real);
    let rate =
        |of: fn(&TrafficView) -> u64| Cell::figure(real.traffic.as_ref().map(|traffic| short(of(traffic))));
    vec![
        Cell::new(&real.name, Style::Strong),
        Cell::plain(service),
        Cell::new(health, style),
        Cell::figure(Some(real.weight.to_string())),
        Cell::figure(real.active.map(short)),
        Cell::figure(real.connections.map(short)),
        rate(|traffic| traffic.connection_rate),
        rate(|traffic| traffic.byte_rate_in),
        rate(|traffic| traffic.byte_rate_out),
        Cell::plain(remarks(real)),
    ]
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
