//! The plain argument forms: numbers, durations, switches, texts, addresses, choices.

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::config::diagnostic::Level;
use crate::config::units::Secs;

use super::keyword::{Form, Inspection, Limits};
use super::reader::Reader;
use super::tree::Node;
use super::writer::Writer;

#[cfg(test)]
use super::sample::Sampler;

/// Seconds that no keyword exceeds where nothing else is said: what keepalived's parser takes.
pub(super) const LONGEST: f64 = 4_294.967_295;
/// A day, for times that keepalived limits otherwise.
pub(super) const DAY: f64 = 86_400.0;

/// Any text.
pub(super) struct Text;

impl Form for Text {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(text) = r.text(node) {
            *slot = Some(text);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(text) = slot {
            let text = w.quote(text);
            w.line(word, &[text]);
        }
    }

    fn says(&self) -> String {
        "TEXT".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(s.text());
    }
}

/// A text that may be absent behind the word: then it means this.
pub(super) struct TextOr(pub(super) &'static str);

impl Form for TextOr {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        *slot = Some(r.argument(node, 0).unwrap_or(self.0).to_owned());
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        match slot.as_deref() {
            Some(text) if text == self.0 => w.line::<&str>(word, &[]),
            _ => Text.write(word, slot, w),
        }
    }

    fn says(&self) -> String {
        "[TEXT]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(if s.flip() { self.0.to_owned() } else { s.text() });
    }
}

/// A text of at most so many bytes; a longer one is passed over.
pub(super) struct Short(pub(super) usize);

impl Form for Short {
    type Slot = Option<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        if text.len() > self.0 {
            r.bad(node, &text, &format!("at most {} characters", self.0), "the line is passed over");
        } else {
            *slot = Some(text);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Text.write(word, slot, w);
    }

    fn says(&self) -> String {
        format!("TEXT of at most {} characters", self.0)
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(text) = slot.take_if(|text| text.len() > self.0) {
            i.out_of_range(text, self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(s.interface());
    }
}

/// A whole number from `.0` to `.1`.
pub(super) struct Number<T>(pub(super) T, pub(super) T);

/// A whole number of a type, for the forms.
pub(super) trait Whole:
    Copy + PartialOrd + Display + FromStr + TryFrom<i64> + TryInto<i64> + PartialEq + 'static
{
}
impl<T: Copy + PartialOrd + Display + FromStr + TryFrom<i64> + TryInto<i64> + PartialEq + 'static> Whole
    for T
{
}

impl<T: Whole> Form for Number<T> {
    type Slot = Option<T>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(number) = r.number(node, self.0..=self.1) {
            *slot = Some(number);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(number) = slot {
            w.line(word, &[number.to_string()]);
        }
    }

    fn says(&self) -> String {
        format!("a number from {} to {}", self.0, self.1)
    }

    fn limits(&self) -> Limits {
        Some((self.0.try_into().ok()?, self.1.try_into().ok()?))
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(number) = slot.take_if(|n| *n < self.0 || *n > self.1) {
            i.out_of_range(number, self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        if let Some((low, high)) = self.limits() {
            *slot = T::try_from(s.number(low, high)).ok();
        }
    }
}

/// A whole number whose excess is cut to the limit, with a warning; below the least value the line is passed over.
pub(super) struct Capped<T>(pub(super) T, pub(super) T);

impl<T: Whole> Form for Capped<T> {
    type Slot = Option<T>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        let high: Option<i64> = self.1.try_into().ok();
        match text.parse::<i64>() {
            Ok(number) if Some(number) > high => {
                let says = Number(self.0, self.1).says();
                r.bad(node, &text, &says, &format!("{} is taken, as keepalived does", self.1));
                *slot = Some(self.1);
            }
            _ => Number(self.0, self.1).read(r, node, slot),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Number(self.0, self.1).write(word, slot, w);
    }

    fn says(&self) -> String {
        Number(self.0, self.1).says()
    }

    fn limits(&self) -> Limits {
        Number(self.0, self.1).limits()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(self.0, self.1).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(self.0, self.1).sample(s, slot);
    }
}

/// A number of packets: keepalived makes 1 of 0.
pub(super) struct Packets;

impl Form for Packets {
    type Slot = Option<u32>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(number) = r.number(node, 0..=u32::MAX) {
            *slot = Some(number.max(1));
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        Number(1, u32::MAX).write(word, slot, w);
    }

    fn says(&self) -> String {
        Number(1, u32::MAX).says()
    }

    fn limits(&self) -> Limits {
        Number(1, u32::MAX).limits()
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        Number(1, u32::MAX).inspect(slot, i);
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        Number(1, u32::MAX).sample(s, slot);
    }
}

/// Decimal seconds within a range.
pub(super) struct Seconds(pub(super) f64, pub(super) f64);

impl Seconds {
    fn holds(&self, secs: Secs) -> bool {
        (self.0..=self.1).contains(&secs.0.as_secs_f64())
    }
}

impl Form for Seconds {
    type Slot = Option<Secs>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(secs) = r.secs(node, self.0, self.1) {
            *slot = Some(secs);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(secs) = slot {
            w.line(word, &[secs.to_string()]);
        }
    }

    fn says(&self) -> String {
        format!("seconds from {} to {}", self.0, self.1)
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(secs) = slot.take_if(|secs| !self.holds(*secs)) {
            i.out_of_range(secs, self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        #[allow(clippy::cast_possible_truncation, reason = "limits are small")]
        let micros = |secs: f64| (secs * 1e6).round() as i64;
        let (low, high) = (micros(self.0), micros(self.1));
        let wanted = s.number(low, high);
        let whole = wanted - wanted % 1_000_000;
        let value = if s.flip() && whole >= low { whole } else { wanted };
        let value = std::time::Duration::from_micros(u64::try_from(value).unwrap_or(0));
        *slot = Some(Secs(value)).filter(|secs| self.holds(*secs));
    }
}

/// Whole seconds within a range, as a duration.
pub(super) struct WholeSeconds(pub(super) u32, pub(super) u32);

impl Form for WholeSeconds {
    type Slot = Option<Secs>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(secs) = r.number(node, self.0..=self.1) {
            *slot = Some(Secs::from_secs(u64::from(secs)));
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(secs) = slot {
            if secs.0.subsec_nanos() != 0 {
                w.impossible.push(format!("{word} {secs}: keepalived.conf takes whole seconds only"));
            }
            w.line(word, &[secs.0.as_secs().to_string()]);
        }
    }

    fn says(&self) -> String {
        format!("whole seconds from {} to {}", self.0, self.1)
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        let range = u64::from(self.0)..=u64::from(self.1);
        if let Some(secs) = slot.take_if(|s| !range.contains(&s.0.as_secs()) || s.0.subsec_nanos() != 0) {
            i.out_of_range(secs, self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let secs = s.number(i64::from(self.0), i64::from(self.1));
        *slot = u64::try_from(secs).ok().map(Secs::from_secs);
    }
}

/// `on|true|yes`, `off|false|no`; the bare word means on.
pub(super) struct Switch;

impl Form for Switch {
    type Slot = Option<bool>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(on) = r.switch(node) {
            *slot = Some(on);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(on) = slot {
            w.line(word, &[if *on { "on" } else { "off" }]);
        }
    }

    fn says(&self) -> String {
        "[on|off]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(s.flip());
    }
}

/// The word itself.
pub(super) struct Flag;

impl Form for Flag {
    type Slot = bool;

    fn read(&self, _: &mut Reader, _: &Node<'_>, slot: &mut bool) {
        *slot = true;
    }

    fn write(&self, word: &str, slot: &bool, w: &mut Writer) {
        if *slot {
            w.line::<&str>(word, &[]);
        }
    }

    fn says(&self) -> String {
        String::new()
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, slot: &mut bool) {
        *slot = true;
    }
}

/// The word itself, or with an explicit on or off behind it.
pub(super) struct FlagSwitch;

impl Form for FlagSwitch {
    type Slot = bool;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut bool) {
        if let Some(on) = r.switch(node) {
            *slot = on;
        }
    }

    fn write(&self, word: &str, slot: &bool, w: &mut Writer) {
        Flag.write(word, slot, w);
    }

    fn says(&self) -> String {
        "[on|off]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, slot: &mut bool) {
        *slot = true;
    }
}

/// Something that its type reads and writes; `.0` says what.
pub(super) struct Parsed<T>(pub(super) &'static str, pub(super) std::marker::PhantomData<T>);

/// An IPv4 address.
pub(super) const IPV4: Parsed<Ipv4Addr> = Parsed("an IPv4 address", std::marker::PhantomData);
/// An IPv6 address.
pub(super) const IPV6: Parsed<Ipv6Addr> = Parsed("an IPv6 address", std::marker::PhantomData);

/// Values that [`Parsed`] can sample.
#[cfg(test)]
pub(super) trait Sample {
    fn sample(s: &mut Sampler) -> Self;
}

#[cfg(test)]
impl Sample for Ipv4Addr {
    fn sample(s: &mut Sampler) -> Self {
        s.ipv4()
    }
}

#[cfg(test)]
impl Sample for Ipv6Addr {
    fn sample(s: &mut Sampler) -> Self {
        s.ipv6()
    }
}

macro_rules! parsed_form {
    ($($bound:tt)*) => {
        impl<T: FromStr + Display + PartialEq + 'static $($bound)*> Form for Parsed<T> {
            type Slot = Option<T>;

            fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
                let Some(text) = r.text(node) else { return };
                match text.parse() {
                    Ok(value) => *slot = Some(value),
                    Err(_) => r.bad(node, &text, self.0, "the line is passed over"),
                }
            }

            fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
                if let Some(value) = slot {
                    w.line(word, &[value.to_string()]);
                }
            }

            fn says(&self) -> String {
                self.0.to_owned()
            }

            #[cfg(test)]
            fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
                *slot = Some(T::sample(s));
            }
        }
    };
}
#[cfg(test)]
parsed_form!(+ Sample);
#[cfg(not(test))]
parsed_form!();

/// An address of either family; a `/mask` or `-range` behind it is cut, as keepalived does.
pub(super) struct Address;

impl Form for Address {
    type Slot = Option<IpAddr>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(address) = r.address(node) {
            *slot = Some(address);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(address) = slot {
            w.line(word, &[address.to_string()]);
        }
    }

    fn says(&self) -> String {
        "an IP address".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some(s.ip());
    }
}

/// One of several words. `.1` is what happens with another one.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)], pub(super) &'static str);

impl<T: Copy> Choice<T> {
    fn all(&self) -> String {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

impl<T: Copy + PartialEq + Debug + 'static> Form for Choice<T> {
    type Slot = Option<T>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.word(node) else { return };
        match self.0.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => *slot = Some(*value),
            None => {
                let near = crate::config::suggest::closest(text, self.0.iter().map(|(word, _)| *word));
                let says = match near {
                    Some(near) => format!("{near} (it is one of {})", self.all()),
                    None => self.all(),
                };
                r.bad(node, text, &says, self.1);
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        let written = self.0.iter().find(|(_, value)| Some(*value) == *slot);
        if let Some((text, _)) = written {
            w.line(word, &[text]);
        }
    }

    fn says(&self) -> String {
        self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>().join("|")
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = s.pick(self.0).map(|(_, value)| value);
    }
}

/// A word that once meant something: it is taken, and nothing comes of it.
pub(super) struct Nothing;

impl Form for Nothing {
    type Slot = ();

    fn read(&self, r: &mut Reader, node: &Node<'_>, (): &mut ()) {
        r.used = node.arguments().len();
        let problem = format!("{} has no effect, in keepalived as well", node.key());
        r.find(Level::Advice, node, 0, "no-effect", problem, "the line changes nothing", "remove it");
    }

    fn write(&self, _: &str, (): &(), _: &mut Writer) {}

    fn says(&self) -> String {
        String::new()
    }

    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, (): &mut ()) {}
}
