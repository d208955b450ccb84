//! Aligned columns with colours, and figures as people read them. Pure.

use std::io::IsTerminal as _;

/// When words are coloured.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// On a terminal, and while `NO_COLOR` is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    /// Whether standard output is to have colours.
    pub fn colours(self) -> bool {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => !plain && std::io::stdout().is_terminal(),
        }
    }
}

/// What a word is to look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As it is.
    #[default]
    Plain,
    /// A name.
    Strong,
    /// All is well.
    Good,
    /// Somebody should know.
    Warn,
    /// Somebody should look.
    Bad,
    /// Beside the point.
    Faint,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Faint => "2",
        }
    }

    /// The text in this style. What would move a terminal about (a real server may have said it) is not let through.
    pub fn paint(self, text: &str, colours: bool) -> String {
        let text = text.replace(char::is_control, "?");
        match self.code() {
            code if colours && !code.is_empty() && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text,
        }
    }
}

/// One cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its words.
    pub text: String,
    /// What they look like.
    pub style: Style,
    /// At the right edge of its column: figures.
    pub right: bool,
}

impl Cell {
    /// Words.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, right: false }
    }

    /// Words as they are.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Style::Plain)
    }

    /// A figure; `-` where there is none.
    pub fn figure(text: Option<String>) -> Self {
        let style = if text.is_none() { Style::Faint } else { Style::Plain };
        Self { text: text.unwrap_or_else(|| "-".to_owned()), style, right: true }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows under a head, each column as wide as its widest cell; the last column is as long as it is.
pub fn table(indent: &str, head: &[&str], rows: &[Vec<Cell>], colours: bool) -> Vec<String> {
    let right = |n: usize| rows.iter().any(|row| row.get(n).is_some_and(|cell| cell.right));
    let head: Vec<Cell> = head
        .iter()
        .enumerate()
        .map(|(n, word)| Cell { text: (*word).to_owned(), style: Style::Faint, right: right(n) })
        .collect();
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n)).chain(head.get(n));
        cells.map(Cell::width).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    std::iter::once(&head).chain(rows).map(|row| format!("{indent}{}", line(row, &widths, colours))).collect()
}

/// One row. What is left of the last cell is not filled.
pub fn line(row: &[Cell], widths: &[usize], colours: bool) -> String {
    let mut line = String::new();
    // Spaces are written only before something.
    let mut owed = 0;
    for (cell, width) in row.iter().zip(widths) {
        let fill = width.saturating_sub(cell.width());
        let (before, after) = if cell.right { (fill, 0) } else { (0, fill) };
        if cell.text.is_empty() {
            owed += width + 2;
            continue;
        }
        line.extend(std::iter::repeat_n(' ', owed + before));
        line.push_str(&cell.style.paint(&cell.text, colours));
        owed = after + 2;
    }
    line
}

/// A duration in the largest unit that leaves a number above 1.
pub fn ago(secs: f64) -> String {
    match secs {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// `950`, `12.3k`, `4.5M`.
pub fn short(count: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1000, "k")];
    let Some((unit, word)) = UNITS.iter().find(|(unit, _)| count >= *unit) else { return count.to_string() };
    let (whole, tenths) = (count / unit, count % unit * 10 / unit);
    if whole >= 100 { format!("{whole}{word}") } else { format!("{whole}.{tenths}{word}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colours() {
        let rows = [
            vec![Cell::new("a", Style::Bad), Cell::figure(Some("12".to_owned())), Cell::plain("")],
            vec![Cell::plain("bcd"), Cell::figure(None), Cell::plain("why")],
        ];
        let plain = table("  ", &["name", "n", ""], &rows, false);
        assert_eq!(plain, ["  name   n", "  a     12", "  bcd    -  why"]);
        let coloured = table("", &["name", "n", ""], &rows, true);
        assert_eq!(coloured[1], "\x1b[1;31ma\x1b[0m     12");
    }

    #[test]
    fn figures_are_short() {
        for (count, wanted) in [(0, "0"), (999, "999"), (1000, "1.0k"), (12_345, "12.3k"), (999_999, "999k")]
        {
            assert_eq!(short(count), wanted);
        }
        assert_eq!(short(u64::MAX), "18446744T");
        assert_eq!(ago(0.24), "0.2 s");
        assert_eq!([ago(119.0), ago(7100.0), ago(90_000.0), ago(1e6)], ["119 s", "118 min", "25 h", "12 d"]);
    }
}
