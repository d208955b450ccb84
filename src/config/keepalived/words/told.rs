//! Checkers that are told: by a program, by a file, by a BFD session.

use crate::config::diagnostic::Level;
use crate::config::keepalived::form::{Flag, LONGEST, Number, Seconds, Switch};
use crate::config::keepalived::forms::{Script, ScriptUserOf};
use crate::config::keepalived::keyword::{Block, Table, WholeForm, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::keepalived::writer::Writer;
use crate::config::model::{BfdCheck, Command, FileCheck, MiscCheck};

use super::check::paced;
use super::tracker::Weight;

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

const MISC: Table<MiscCheck> = paced! { MiscCheck:
    "misc_path" => { misc_path: Script };
    "misc_timeout" => { misc_timeout: Seconds(0.000_001, LONGEST) };
    "misc_dynamic" => { misc_dynamic: Flag };
    "user" => { misc_path.user: ScriptUserOf };
};

impl Block for MiscCheck {
    const WHAT: &'static str = "MISC_CHECK";
    origin!();

    fn table() -> Table<Self> {
        MISC
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(Command::default()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.misc_path.argv.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            let fix = "write misc_path \"/path/to/program\" into it";
            r.find(Level::Error, node, 0, "no-command", "MISC_CHECK has no misc_path", consequence, fix);
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(Command { argv: s.argv(), user: None })
    }
}

const FILE: Table<FileCheck> = keywords! { FileCheck:
    "track_file" => { * FileName };
    "weight" => { * Weight(254) };
    "alpha" => { pace.alpha: Switch };
};

impl Block for FileCheck {
    const WHAT: &'static str = "FILE_CHECK";
    origin!();

    fn table() -> Table<Self> {
        FILE
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(String::new()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.track_file.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            let problem = "FILE_CHECK has no track_file that is defined above";
            r.find(Level::Error, node, 0, "no-file", problem, consequence, "write track_file NAME into it");
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(s.files.first().cloned().unwrap_or_else(|| "never".to_owned()))
    }
}

/// The name of a file that is defined above.
struct FileName;

impl WholeForm<FileCheck> for FileName {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut FileCheck) {
        let Some(name) = r.text(node) else { return };
        if r.defined.contains(&("track_file", name.clone())) {
            object.track_file = name;
            return;
        }
        let problem = format!("no track_file \"{name}\" is defined above this line");
        let fix = format!("write track_file {name} {{ … }} before it");
        r.find(Level::Warning, node, 1, "unknown-tracker", problem, "the line is passed over", fix);
    }
    fn write(&self, word: &str, object: &FileCheck, w: &mut Writer) {
        let name = w.quote(&object.track_file);
        w.line(word, &[name]);
    }
    fn is_set(&self, object: &FileCheck) -> bool {
        !object.track_file.is_empty()
    }
    fn says(&self) -> String {
        "NAME".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut FileCheck) {}
}

const BFD: Table<BfdCheck> = keywords! { BfdCheck:
    "name" => { * SessionName };
    "alpha" => { alpha: Switch };
};

impl Block for BfdCheck {
    const WHAT: &'static str = "BFD_CHECK";
    origin!();

    fn table() -> Table<Self> {
        BFD
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::new(String::new()))
    }

    fn complete(&mut self, r: &mut Reader, node: &Node<'_>) -> bool {
        let good = !self.name.is_empty();
        if !good {
            let consequence = "the check is dropped: the real server counts as up without it";
            r.find(
                Level::Error,
                node,
                0,
                "no-name",
                "BFD_CHECK has no name",
                consequence,
                "write name BFD_INSTANCE into it",
            );
        }
        good
    }

    #[cfg(test)]
    fn blank(s: &mut Sampler) -> Self {
        Self::new(s.name())
    }
}

struct SessionName;

impl WholeForm<BfdCheck> for SessionName {
    fn read(&self, r: &mut Reader, node: &Node<'_>, object: &mut BfdCheck) {
        if let Some(name) = r.text(node) {
            object.name = name;
        }
    }
    fn write(&self, word: &str, object: &BfdCheck, w: &mut Writer) {
        let name = w.quote(&object.name);
        w.line(word, &[name]);
    }
    fn is_set(&self, object: &BfdCheck) -> bool {
        !object.name.is_empty()
    }
    fn says(&self) -> String {
        "NAME".to_owned()
    }
    #[cfg(test)]
    fn sample(&self, _: &mut Sampler, _: &mut BfdCheck) {}
}
