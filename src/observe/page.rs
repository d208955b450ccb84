//! A dump as text: sections with a heading, and lines `label = value` at depths of one, three and five spaces. Pure.

use std::fmt::{self, Write as _};

/// A label and its value.
pub type Setting = (&'static str, String);

/// Text that grows line by line.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

impl Page {
    /// The heading of a section.
    pub fn heading(&mut self, title: &str) {
        self.line(0, format_args!("------< {title} >------"));
    }

    /// A line at a depth: 0 begins at the edge, each other one two spaces deeper than the one before, from one space on.
    pub fn line(&mut self, depth: usize, words: impl fmt::Display) {
        let indent = (2 * depth).saturating_sub(1);
        // Writing into a string cannot fail.
        let _ = writeln!(self.0, "{:indent$}{}", "", OneLine(words));
    }

    /// A line `label = value`.
    pub fn item(&mut self, depth: usize, label: &str, value: impl fmt::Display) {
        self.line(depth, format_args!("{label} = {value}"));
    }

    /// The same, where there is a value.
    pub fn some(&mut self, depth: usize, label: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.item(depth, label, value);
        }
    }

    /// The section that every dump begins with.
    pub fn settings(&mut self, settings: &[Setting]) {
        self.heading("Global definitions");
        for (label, value) in settings {
            self.item(1, label, value);
        }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// What stands in a configuration must not begin a line of its own.
struct OneLine<T>(T);

impl<T: fmt::Display> fmt::Display for OneLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Flat(f), "{}", self.0)
    }
}

struct Flat<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Flat<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (number, part) in text.split(['\n', '\r']).enumerate() {
            if number > 0 {
                self.0.write_char(' ')?;
            }
            self.0.write_str(part)?;
        }
        Ok(())
    }
}

/// keepalived's word for a switch.
pub const fn on_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

/// keepalived's other word for a switch.
pub const fn enabled(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

/// keepalived's third word for a switch.
pub const fn yes_no(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_and_headings_are_keepalived_s() {
        let mut page = Page::default();
        page.settings(&[("Router ID", "DIR1".to_owned())]);
        page.item(2, "State", "MASTER");
        page.line(3, "10.0.0.1 dev eth0");
        page.some(2, "Nothing", None::<u8>);
        assert_eq!(
            page.finish(),
            "------< Global definitions >------\n Router ID = DIR1\n   State = MASTER\n     10.0.0.1 dev eth0\n"
        );
    }

    #[test]
    fn a_value_cannot_begin_a_line() {
        let mut page = Page::default();
        page.item(2, "Script", "a\n VRRP Instance = forged\r\nx");
        assert_eq!(page.finish(), "   Script = a  VRRP Instance = forged  x\n");
    }
}
