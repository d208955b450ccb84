//! The two text formats: families with their samples, labels with what must be escaped in them.

use std::fmt::Write as _;

use crate::control::routes::MetricsForm as Form;

/// What kind of thing a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until a restart; its samples end in `_total`.
    Counter,
    /// Says something in its labels; its samples end in `_info`.
    Info,
    /// Exactly one of several words is 1; the word is in a label of the family's name.
    StateSet,
    /// Counts below bounds.
    Histogram,
}

/// One family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// Its name, without `_total` and `_info`, with its unit.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// `seconds`, `bytes`, or empty.
    pub(super) unit: &'static str,
    /// What it says, one sentence without a full stop.
    pub(super) help: &'static str,
}

impl Family {
    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit: "", help }
    }

    pub(super) const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, unit: "seconds", help }
    }

    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, unit: "", help }
    }

    pub(super) const fn bytes_counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, unit: "bytes", help }
    }

    pub(super) const fn info(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Info, unit: "", help }
    }

    pub(super) const fn states(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::StateSet, unit: "", help }
    }

    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, unit: "seconds", help }
    }
}

/// Labels, ready to be written: `a="1",b="2"`. Made once for the many samples that have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels(String);

impl Labels {
    /// Names are ours; values may be anything.
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        pairs.iter().fold(Self::default(), |labels, (name, value)| labels.and(name, value))
    }

    /// These and one more.
    pub(super) fn and(&self, name: &str, value: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + name.len() + value.len() + 4);
        text.push_str(&self.0);
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
        Self(text)
    }
}

/// A value. Whole numbers stay exact as long as they are written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Whole(u64),
    Signed(i64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        Self::Whole(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Self {
        Self::Whole(n.into())
    }
}

impl From<u8> for Value {
    fn from(n: u8) -> Self {
        Self::Whole(n.into())
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Whole(n as u64)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Whole(yes.into())
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Self::Signed(n)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Self::Real(n)
    }
}

/// The text while it is written.
#[derive(Debug)]
pub(super) struct Writer {
    out: String,
    form: Form,
    family: Family,
    /// The family's head has been written. One without samples is left out.
    headed: bool,
}

impl Writer {
    pub(super) const fn new(form: Form) -> Self {
        Self { out: String::new(), form, family: Family::gauge("", ""), headed: false }
    }

    /// The samples from here on are of this family. Each may be begun once: all of its samples stand together.
    pub(super) const fn family(&mut self, family: Family) -> &mut Self {
        self.family = family;
        self.headed = false;
        self
    }

    /// Name, kind, unit and help, before the first sample.
    fn head(&mut self) {
        if std::mem::replace(&mut self.headed, true) {
            return;
        }
        let Family { name, kind, unit, help } = self.family;
        // The older format knows neither units nor two of the kinds, and names the family as the samples.
        let (suffix, kind) = match (self.form, kind) {
            (_, Kind::Gauge) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
            (Form::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Form::OpenMetrics, Kind::Info) => ("", "info"),
            (Form::OpenMetrics, Kind::StateSet) => ("", "stateset"),
            (Form::Prometheus, Kind::Counter) => ("_total", "counter"),
            (Form::Prometheus, Kind::Info) => ("_info", "gauge"),
            (Form::Prometheus, Kind::StateSet) => ("", "gauge"),
        };
        let _ = writeln!(self.out, "# TYPE {name}{suffix} {kind}");
        if self.form == Form::OpenMetrics && !unit.is_empty() {
            let _ = writeln!(self.out, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.out, "# HELP {name}{suffix} {help}.");
    }

    /// One sample of a gauge or a counter.
    pub(super) fn sample(&mut self, labels: &Labels, value: impl Into<Value>) -> &mut Self {
        let suffix = match self.family.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::StateSet | Kind::Histogram => "",
        };
        self.line(suffix, labels, value.into());
        self
    }

    /// A family without labels and with one sample.
    pub(super) fn single(&mut self, family: Family, value: impl Into<Value>) {
        self.family(family).sample(&Labels::default(), value);
    }

    /// What is said in labels alone.
    pub(super) fn said(&mut self, labels: &Labels) {
        self.sample(labels, 1u64);
    }

    /// All words of a state, the one that is so with 1. A word that is none of them is one more.
    pub(super) fn states(&mut self, labels: &Labels, words: &[&str], now: &str) {
        let name = self.family.name;
        for word in words {
            self.sample(&labels.and(name, word), *word == now);
        }
        if !words.contains(&now) {
            self.sample(&labels.and(name, now), true);
        }
    }

    /// One histogram of seconds. `bounds`: microseconds; `cumulative` has one more, the count of all.
    pub(super) fn spread(&mut self, labels: &Labels, bounds: &[u64], cumulative: &[u64], sum: f64) {
        let all = cumulative.last().copied().unwrap_or(0);
        for (bound, count) in bounds.iter().zip(cumulative) {
            self.line("_bucket", &labels.and("le", &bound_text(*bound)), (*count).into());
        }
        self.line("_bucket", &labels.and("le", "+Inf"), all.into());
        self.line("_count", labels, all.into());
        self.line("_sum", labels, sum.into());
    }

    fn line(&mut self, suffix: &str, labels: &Labels, value: Value) {
        self.head();
        self.out.push_str(self.family.name);
        self.out.push_str(suffix);
        if !labels.0.is_empty() {
            self.out.push('{');
            self.out.push_str(&labels.0);
            self.out.push('}');
        }
        let _ = match value {
            Value::Whole(n) => writeln!(self.out, " {n}"),
            Value::Signed(n) => writeln!(self.out, " {n}"),
            Value::Real(n) if n.is_nan() => writeln!(self.out, " NaN"),
            Value::Real(n) if n.is_infinite() => {
                writeln!(self.out, " {}Inf", if n > 0.0 { '+' } else { '-' })
            }
            Value::Real(n) => writeln!(self.out, " {n}"),
        };
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// A bound in seconds as OpenMetrics wants it: shortest form, with a point.
fn bound_text(us: u64) -> String {
    let (whole, part) = (us / 1_000_000, us % 1_000_000);
    let part = format!("{part:06}");
    let part = part.trim_end_matches('0');
    format!("{whole}.{}", if part.is_empty() { "0" } else { part })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The value of a label as the formats' rules read it.
    fn read(text: &str) -> Option<String> {
        let mut value = String::new();
        let mut chars = text.strip_prefix("x=\"")?.strip_suffix('"')?.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' | '\n' => return None,
                '\\' => value.push(match chars.next()? {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                c => value.push(c),
            }
        }
        Some(value)
    }

    #[test]
    fn bounds() {
        for (us, text) in
            [(500, "0.0005"), (1_000, "0.001"), (250_000, "0.25"), (1_000_000, "1.0"), (10_000_000, "10.0")]
        {
            assert_eq!(bound_text(us), text);
        }
    }

    #[test]
    fn both_forms() {
        let told = |form| {
            let mut out = Writer::new(form);
            out.family(Family::counter("a_things", "Things")).sample(&Labels::of(&[("k", "v\"\\\n")]), 3u64);
            out.family(Family::gauge("nothing", "Nothing of it"));
            out.family(Family::states("b_state", "State")).states(&Labels::default(), &["UP", "DOWN"], "UP");
            out.family(Family::info("c", "Words")).said(&Labels::of(&[("version", "1")]));
            out.family(Family::histogram("d_seconds", "Time")).spread(
                &Labels::default(),
                &[1_000],
                &[2, 3],
                0.5,
            );
            out.end()
        };
        assert_eq!(
            told(Form::OpenMetrics),
            "# TYPE a_things counter\n# HELP a_things Things.\na_things_total{k=\"v\\\"\\\\\\n\"} 3\n\
             # TYPE b_state stateset\n# HELP b_state State.\nb_state{b_state=\"UP\"} 1\nb_state{b_state=\"DOWN\"} 0\n\
             # TYPE c info\n# HELP c Words.\nc_info{version=\"1\"} 1\n\
             # TYPE d_seconds histogram\n# UNIT d_seconds seconds\n# HELP d_seconds Time.\n\
             d_seconds_bucket{le=\"0.001\"} 2\nd_seconds_bucket{le=\"+Inf\"} 3\nd_seconds_count 3\nd_seconds_sum 0.5\n# EOF\n"
        );
        let plain = told(Form::Prometheus);
        assert!(
            plain.starts_with("# TYPE a_things_total counter\n# HELP a_things_total Things.\n"),
            "{plain}"
        );
        assert!(
            plain.contains("# TYPE c_info gauge\n") && plain.contains("# TYPE b_state gauge\n"),
            "{plain}"
        );
        assert!(!plain.contains("UNIT") && !plain.contains("EOF"), "{plain}");
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in "(\\PC|[\\\\\"\n\r\t]){0,40}") {
            let labels = Labels::of(&[("x", &value)]);
            prop_assert!(!labels.0.contains('\n'));
            prop_assert_eq!(read(&labels.0), Some(value));
        }
    }
}
