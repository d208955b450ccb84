//! Argument forms that are made of several words: commands, users, lists, trackers.

use std::time::Duration;

use crate::config::diagnostic::Level;
use crate::config::model::{Command, ExtraInterfaces, Fifo, ScriptUser, Track};
use crate::config::units::Secs;

use super::keyword::{Form, Inspection};
use super::reader::Reader;
use super::tree::Node;
use super::writer::Writer;

#[cfg(test)]
use super::sample::Sampler;

/// `CMD [USER [GROUP]]`; the first one counts when it is written twice, as in keepalived.
pub(super) struct Cmd;

impl Form for Cmd {
    type Slot = Option<Command>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if slot.is_some() {
            let problem = format!("{} is written twice", node.key());
            let fix = "remove one of them";
            r.find(
                Level::Warning,
                node,
                0,
                "repeated",
                problem,
                "the first one counts, as in keepalived",
                fix,
            );
            return;
        }
        *slot = r.command(node);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(command) = slot {
            let mut words = vec![w.command(&command.argv)];
            words.extend(command.user.as_ref().map(|user| user_words(user, w)).into_iter().flatten());
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "\"COMMAND\" [USER [GROUP]]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let mut user = None;
        if s.flip() {
            User.sample(s, &mut user);
        }
        *slot = Some(Command { argv: s.argv(), user });
    }
}

fn user_words(user: &ScriptUser, w: &mut Writer) -> Vec<String> {
    let mut words = vec![w.quote(&user.user)];
    words.extend(user.group.as_ref().map(|group| w.quote(group)));
    words
}

/// `USER [[:]GROUP]`.
pub(super) struct User;

impl Form for User {
    type Slot = Option<ScriptUser>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        if let Some(user) = r.user(node) {
            *slot = Some(user);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(user) = slot {
            let words = user_words(user, w);
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "USER [GROUP]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let group = s.flip().then(|| "nogroup".to_owned());
        *slot = Some(ScriptUser { user: "nobody".to_owned(), group });
    }
}

/// `script`: a command whose user is a word of its own; unquoted arguments are not part of it.
pub(super) struct Script;

impl Form for Script {
    type Slot = Command;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Command) {
        if let Some(command) = r.quoted_command(node) {
            slot.argv = command.argv;
        }
    }

    fn write(&self, word: &str, slot: &Command, w: &mut Writer) {
        let command = w.command(&slot.argv);
        w.line(word, &[command]);
        User.write("user", &slot.user, w);
    }

    fn says(&self) -> String {
        "\"COMMAND\"".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Command) {
        slot.argv = s.argv();
    }
}

/// `user` beside a [`Script`], which writes it.
pub(super) struct ScriptUserOf;

impl Form for ScriptUserOf {
    type Slot = Option<ScriptUser>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        User.read(r, node, slot);
    }

    fn write(&self, _: &str, _: &Self::Slot, _: &mut Writer) {}

    fn says(&self) -> String {
        User.says()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        User.sample(s, slot);
    }
}

/// `PATH [USER [GROUP]]`.
pub(super) struct Pipe;

impl Form for Pipe {
    type Slot = Option<Fifo>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(path) = r.text(node) else { return };
        let user = r.argument(node, 1).map(str::to_owned);
        let group = r.argument(node, 2).map(str::to_owned);
        *slot = Some(Fifo { path, user: user.map(|user| ScriptUser { user, group }) });
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(fifo) = slot {
            let mut words = vec![w.quote(&fifo.path)];
            words.extend(fifo.user.as_ref().map(|user| user_words(user, w)).into_iter().flatten());
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "PATH [USER [GROUP]]".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let mut user = None;
        if s.flip() {
            User.sample(s, &mut user);
        }
        *slot = Some(Fifo { path: s.text(), user });
    }
}

/// A block of names: every word in it is one.
pub(super) struct Names;

impl Form for Names {
    type Slot = Vec<String>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = 0;
        let before = slot.len();
        for child in node.children() {
            r.elements.extend((0..child.texts().len()).map(|n| child.place(n)));
            slot.extend(child.texts().into_iter().map(str::to_owned));
        }
        if slot.len() == before {
            r.empty_block(node);
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if slot.is_empty() {
            return;
        }
        w.open::<&str>(word, &[]);
        for name in slot {
            let name = w.quote(name);
            w.element(&name);
        }
        w.close();
    }

    fn says(&self) -> String {
        "{ NAME … }".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        for _ in 0..=s.below(3) {
            slot.push(s.name());
        }
    }
}

/// Words on the line itself; none is allowed when `.0` says so.
pub(super) struct Words(pub(super) bool);

impl Form for Words {
    type Slot = Option<Vec<String>>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        let words: Vec<String> = node.arguments().into_iter().map(str::to_owned).collect();
        if words.is_empty() && !self.0 {
            r.missing(node);
            return;
        }
        *slot = Some(words);
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(words) = slot {
            let words: Vec<String> = words.iter().map(|word| w.quote(word)).collect();
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        if self.0 { "[WORD …]".to_owned() } else { "WORD …".to_owned() }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = Some((0..=s.below(2)).map(|_| s.interface()).collect());
    }
}

/// Words on the line itself, at least one, as a list.
pub(super) struct List;

impl Form for List {
    type Slot = Vec<String>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let mut words = None;
        Words(false).read(r, node, &mut words);
        if let Some(words) = words {
            *slot = words;
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if !slot.is_empty() {
            let words: Vec<String> = slot.iter().map(|word| w.quote(word)).collect();
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "WORD …".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = (0..=s.below(2)).map(|_| s.text()).collect();
    }
}

/// Numbers on the line itself.
pub(super) struct Numbers;

impl Form for Numbers {
    type Slot = Vec<u32>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        r.used = usize::MAX;
        if node.argument(0).is_none() {
            r.missing(node);
        }
        for (at, word) in node.arguments().into_iter().enumerate() {
            match word.parse() {
                Ok(number) => slot.push(number),
                Err(_) => {
                    let problem = format!("\"{word}\" is no number");
                    r.find(
                        Level::Warning,
                        node,
                        at + 1,
                        "bad-value",
                        problem,
                        "it is passed over",
                        "write a number",
                    );
                }
            }
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if !slot.is_empty() {
            let words: Vec<String> = slot.iter().map(ToString::to_string).collect();
            w.line(word, &words);
        }
    }

    fn says(&self) -> String {
        "NUMBER …".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        *slot = vec![0, u32::try_from(s.below(64)).unwrap_or(1)];
    }
}

/// `garp_extra_if [all] SECS`.
pub(super) struct ExtraIf;

impl Form for ExtraIf {
    type Slot = Option<ExtraInterfaces>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let all = node.argument(0) == Some("all");
        let at = usize::from(all);
        let Some(text) = r.argument(node, at).map(str::to_owned) else {
            r.missing(node);
            return;
        };
        match Secs::parse_decimal(&text).filter(|secs| secs.0.as_secs() <= 86_400) {
            Some(interval) => *slot = Some(ExtraInterfaces { all, interval }),
            None => r.bad_word(node, at + 1, &text, "seconds from 0 to 86400", "the line is passed over"),
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(extra) = slot {
            let secs = extra.interval.to_string();
            if extra.all { w.line(word, &["all", &secs]) } else { w.line(word, &[secs]) }
        }
    }

    fn says(&self) -> String {
        "[all] SECONDS from 0 to 86400".to_owned()
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let interval = Secs::from_secs(s.below(86_400));
        *slot = Some(ExtraInterfaces { all: s.flip(), interval });
    }
}

/// Decimal milliseconds from `.0` to `.1`, at microsecond resolution.
pub(super) struct Millis(pub(super) u32, pub(super) u32);

impl Millis {
    fn holds(&self, time: Duration) -> bool {
        let ms = |value: u32| Duration::from_millis(u64::from(value));
        (ms(self.0)..=ms(self.1)).contains(&time)
    }
}

impl Form for Millis {
    type Slot = Option<Secs>;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        let Some(text) = r.text(node) else { return };
        // Read as seconds, which is a thousand times too much: its milliseconds are microseconds.
        let micros = Secs::parse_decimal(&text).and_then(|read| u64::try_from(read.0.as_millis()).ok());
        let Some(time) = micros.map(Duration::from_micros).filter(|time| self.holds(*time)) else {
            return r.bad(node, &text, &self.says(), "the line is passed over");
        };
        *slot = Some(Secs(time));
        if text.split_once('.').is_some_and(|(_, decimals)| decimals.len() > 3) {
            let problem = format!("\"{text}\" has more than three decimals");
            let consequence = "what is below a microsecond is cut";
            r.find(Level::Warning, node, 1, "too-many-decimals", problem, consequence, "write three at most");
        }
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if let Some(Secs(time)) = slot {
            // A number of milliseconds is written as one of seconds is, a thousand times as long.
            w.line(word, &[Secs(*time * 1000).to_string()]);
        }
    }

    fn says(&self) -> String {
        format!("milliseconds from {} to {}", self.0, self.1)
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        if let Some(time) = slot.take_if(|time| !self.holds(time.0)) {
            i.out_of_range(time, self.says());
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let micros = s.number(i64::from(self.0) * 1000, i64::from(self.1) * 1000);
        *slot = u64::try_from(micros).ok().map(|micros| Secs(Duration::from_micros(micros)));
    }
}

/// What the names of a `track_…` block mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracked {
    Script,
    Interface,
    File,
    Process,
    Bfd,
}

/// `NAME [weight N [reverse|noreverse]]`, one a line; weights from `-.1` to `.1`.
pub(super) struct Tracks(pub(super) Tracked, pub(super) i16);

impl Tracks {
    /// keepalived looks the name up while it reads: what is defined further down is not found.
    fn known(&self, r: &mut Reader, child: &Node<'_>, name: &str) -> bool {
        let (what, keyword) = match self.0 {
            Tracked::Script => ("script", "vrrp_script"),
            Tracked::File => ("file", "track_file"),
            Tracked::Process => ("process", "vrrp_track_process"),
            Tracked::Interface | Tracked::Bfd => return true,
        };
        if r.defined.contains(&(keyword, name.to_owned())) {
            return true;
        }
        let problem = format!("no {keyword} \"{name}\" is defined above this line");
        let fix = format!("write {keyword} {name} {{ … }} before it");
        let consequence = format!("the tracked {what} is passed over, as in keepalived");
        r.find(Level::Warning, child, 0, "unknown-tracker", problem, consequence, fix);
        false
    }

    fn one(&self, r: &mut Reader, child: &Node<'_>) -> Option<Track> {
        let name = child.key();
        if !self.known(r, child, name) {
            return None;
        }
        let mut track = Track { name: name.to_owned(), weight: None, reverse: None };
        track_options(r, child, &child.arguments(), 1, self.1, &mut track);
        Some(track)
    }
}

/// `[weight N] [reverse|noreverse]`; the first of `words` is that word of the line.
pub(super) fn track_options(
    r: &mut Reader,
    line: &Node<'_>,
    words: &[&str],
    first: usize,
    most: i16,
    track: &mut Track,
) {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match (*word, words.get(at + 1).map(|n| n.parse::<i16>())) {
            ("weight", Some(Ok(n))) if (-254..=254).contains(&n) => {
                track.weight = Some(n.clamp(-most, most));
                at += 1;
            }
            ("weight", _) => {
                let text = words.get(at + 1).copied().unwrap_or_default().to_owned();
                let says = format!("a weight from -{most} to {most}");
                r.bad_word(line, first + at + 1, &text, &says, "the weight is passed over");
                at += 1;
            }
            ("reverse", _) => track.reverse = Some(true),
            ("noreverse", _) => track.reverse = Some(false),
            _ => {
                let problem = format!("\"{word}\" is no option of a tracked name");
                let fix = format!("write NAME weight N, with N from -{most} to {most}");
                r.find(Level::Warning, line, first + at, "bad-option", problem, "it is passed over", fix);
            }
        }
        at += 1;
    }
}

impl Form for Tracks {
    type Slot = Vec<Track>;
    const MANY: bool = true;

    fn read(&self, r: &mut Reader, node: &Node<'_>, slot: &mut Self::Slot) {
        for child in node.children() {
            if let Some(track) = self.one(r, &child) {
                r.elements.push(child.place(0));
                slot.push(track);
            }
        }
        r.used = 0;
    }

    fn write(&self, word: &str, slot: &Self::Slot, w: &mut Writer) {
        if slot.is_empty() {
            return;
        }
        w.open::<&str>(word, &[]);
        for track in slot {
            let mut text = w.quote(&track.name);
            if let Some(weight) = track.weight {
                text += &format!(" weight {weight}");
            }
            match track.reverse {
                Some(true) => text += " reverse",
                Some(false) => text += " noreverse",
                None => {}
            }
            w.element(&text);
        }
        w.close();
    }

    fn says(&self) -> String {
        format!("{{ NAME [weight -{0}..{0}] [reverse|noreverse] … }}", self.1)
    }

    fn inspect(&self, slot: &mut Self::Slot, i: &mut Inspection) {
        for track in slot {
            if let Some(weight) = track.weight.take_if(|w| !(-self.1..=self.1).contains(w)) {
                i.out_of_range(
                    format!("{} weight {weight}", track.name),
                    format!("a weight from -{0} to {0}", self.1),
                );
            }
        }
    }

    #[cfg(test)]
    fn sample(&self, s: &mut Sampler, slot: &mut Self::Slot) {
        let name = match self.0 {
            Tracked::Script => s.pick(&s.scripts.clone()),
            Tracked::File => s.pick(&s.files.clone()),
            Tracked::Process => s.pick(&s.processes.clone()),
            Tracked::Bfd => s.pick(&s.bfds.clone()),
            Tracked::Interface => Some(s.interface()),
        };
        let Some(name) = name else { return };
        let weight = s.flip().then(|| i16::try_from(s.number(-253, 253)).unwrap_or(0));
        let reverse = if s.flip() { None } else { Some(s.flip()) };
        slot.push(Track { name, weight, reverse });
    }
}
