//! A plan as text, like a diff.

use crate::core::plan::{Action, Entry, InstanceNow, Kind, Plan, When};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// The whole text. `looked`: the machine was looked at; `errors`: what of it could not be read.
pub(super) fn text(heading: &str, plan: &Plan, looked: bool, errors: &[String], colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    page.line(BOLD, heading);
    let of = |kinds: &[Kind]| -> Vec<&Entry> {
        plan.entries.iter().filter(|entry| kinds.contains(&entry.kind)).collect()
    };
    let objects = of(&[Kind::Object]);
    if !objects.is_empty() {
        page.gap();
        page.line("", "objects of the file");
        objects.iter().for_each(|entry| page.entry(entry));
    }
    let addresses = of(&[Kind::Address, Kind::Route, Kind::Rule]);
    let fixed: Vec<&&Entry> = addresses.iter().filter(|entry| entry.of.is_none()).collect();
    if !fixed.is_empty() {
        page.gap();
        page.line("", "static addresses, routes and rules");
        fixed.iter().for_each(|entry| page.entry(entry));
    }
    for instance in &plan.instances {
        page.gap();
        page.instance(instance);
        let its = |entry: &&&Entry| entry.of.as_deref() == Some(instance.name.as_str());
        addresses.iter().filter(its).for_each(|entry| page.entry(entry));
    }
    let of_no_instance = |entry: &&&Entry| {
        entry.of.is_some()
            && !plan.instances.iter().any(|instance| entry.of.as_deref() == Some(instance.name.as_str()))
    };
    let orphans: Vec<&&Entry> = addresses.iter().filter(of_no_instance).collect();
    if !orphans.is_empty() {
        page.gap();
        page.line("", "of instances that go");
        orphans.iter().for_each(|entry| page.entry(entry));
    }
    page.services(&of(&[Kind::Service, Kind::Destination]));
    page.gap();
    for note in &plan.notes {
        page.line(YELLOW, &format!("note: {note}"));
    }
    page.line(BOLD, &summary(plan, looked && errors.is_empty()));
    if !plan.instances.is_empty() {
        page.line("", &as_roles(&plan.instances));
    }
    if !errors.is_empty() {
        page.line(RED, "the plan is not whole: a part of the kernel could not be read, see the error");
    }
    page.text
}

struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn line(&mut self, colour: &str, text: &str) {
        if self.colour && !colour.is_empty() {
            self.text += &format!("{colour}{text}{PLAIN}\n");
        } else {
            self.text += &format!("{text}\n");
        }
    }

    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn instance(&mut self, instance: &InstanceNow) {
        let InstanceNow { name, interface, vrid, role, because, .. } = instance;
        self.line("", &format!("instance {name} ({interface}, VRID {vrid}): {role}: {because}"));
        if instance.addresses > 0 {
            self.line("", &format!("      {}", as_roles(std::slice::from_ref(instance))));
        }
    }

    fn services(&mut self, entries: &[&Entry]) {
        let mut section: Option<&str> = None;
        for entry in entries {
            let service = entry.of.as_deref().unwrap_or(entry.subject.as_str());
            if section != Some(service) {
                if entry.action != Action::Leave || section.is_none() {
                    self.gap();
                }
                if entry.kind == Kind::Destination {
                    self.line("", &format!("  service {service}"));
                }
                section = Some(service);
            }
            self.entry(entry);
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let sign = match entry.action {
            Action::Add => '+',
            Action::Change => '~',
            Action::Remove => '-',
            Action::Leave => '=',
        };
        let (mark, colour) = match (entry.when, entry.action) {
            (When::Now, Action::Add) => (format!("{sign} "), GREEN),
            (When::Now, Action::Change) => (format!("{sign} "), YELLOW),
            (When::Now, Action::Remove) => (format!("{sign} "), RED),
            (_, Action::Leave) => (format!("{sign} "), DIM),
            (When::AsMaster | When::OnceHealthy | When::OnceInterface, _) => (format!("?{sign}"), CYAN),
        };
        let noun = match entry.kind {
            Kind::Object => "  ",
            Kind::Address => "  address ",
            Kind::Route => "  route ",
            Kind::Rule => "  rule ",
            Kind::Service => "service ",
            Kind::Destination => "  destination ",
        };
        let mut line = format!("{mark}{noun}{}", entry.subject);
        if !entry.detail.is_empty() {
            line += &format!(" ({})", entry.detail);
        }
        let left_alone = if entry.action == Action::Leave { "left alone: " } else { "" };
        let mut more = Vec::new();
        match entry.settings.as_slice() {
            [] => line += &format!(": {left_alone}{}", entry.cause),
            [only] => line += &format!(": {only} ({})", entry.cause),
            several => {
                line += &format!(": {}", entry.cause);
                more = several.iter().map(|setting| format!("        {setting}")).collect();
            }
        }
        self.line(colour, &line);
        more.iter().for_each(|line| self.line(colour, line));
    }
}

/// `+2 ~1`, or `none`.
fn signed(counts: &[(char, usize)]) -> String {
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(sign, n)| format!("{sign}{n}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(" ") }
}

fn summary(plan: &Plan, whole: bool) -> String {
    let mut parts = Vec::new();
    for (kind, noun) in [
        (Kind::Object, "objects"),
        (Kind::Address, "addresses"),
        (Kind::Route, "routes"),
        (Kind::Rule, "rules"),
        (Kind::Service, "services"),
        (Kind::Destination, "destinations"),
    ] {
        let count = |action| plan.count(kind, action, When::Now);
        let counts =
            signed(&[('+', count(Action::Add)), ('~', count(Action::Change)), ('-', count(Action::Remove))]);
        if counts != "none" {
            parts.push(format!("{noun} {counts}"));
        }
    }
    let later = plan.entries.iter().filter(|e| e.when != When::Now && e.action != Action::Leave).count();
    let mut text = match (parts.is_empty(), whole) {
        (true, true) => "now: nothing would change".to_owned(),
        (true, false) => "now: nothing of what was looked at would change".to_owned(),
        (false, _) => format!("now: {}", parts.join("; ")),
    };
    if later > 0 {
        text += &format!(" ({later} more when roles, checks or interfaces say so)");
    }
    text
}

/// What the roles would bring, all of these instances together.
fn as_roles(instances: &[InstanceNow]) -> String {
    let sum = |field: fn(&InstanceNow) -> usize| instances.iter().map(field).sum::<usize>();
    let addresses = |counts: String| if counts == "none" { counts } else { format!("addresses {counts}") };
    format!(
        "as MASTER: {}; as BACKUP: {}",
        addresses(signed(&[('+', sum(|i| i.master_adds)), ('~', sum(|i| i.master_changes))])),
        addresses(signed(&[('-', sum(|i| i.backup_removes))])),
    )
}

#[cfg(test)]
mod tests;
