//! `$NAME=value`, `$NAME`, `${NAME}`, and the variables that are always there.

use std::path::Path;

/// Names within values within values; deeper is a circle.
const DEEPEST: usize = 32;

/// What a line's variables may depend on.
pub(super) struct Context<'c> {
    pub(super) config_id: &'c str,
    /// Folder of the file that is being read.
    pub(super) directory: &'c Path,
}

/// The variables defined so far.
pub(super) struct Variables {
    values: super::Map,
    random: u64,
    /// The line under way named a character that begins a comment.
    comment: bool,
}

/// A line with its variables replaced.
#[derive(Default)]
pub(super) struct Replaced {
    pub(super) text: String,
    /// Parts as (offset in the result, offset in the line, whether the part is the line's own text).
    pub(super) parts: Vec<(usize, usize, bool)>,
    /// Names that mean nothing, as they were written.
    pub(super) undefined: Vec<String>,
    pub(super) too_large: bool,
    /// `${_HASH}` or `${_BANG}` was in it: a comment may begin there.
    pub(super) comment: bool,
}

/// `$NAME=value`: no blank before `=`.
pub(super) fn definition(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('$')?.split_once('=')?;
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    good.then_some((name, value))
}

/// The use of a variable at the start of a text (behind its `$`): the name, what stands behind the name in braces, and
/// how many bytes it takes.
fn usage(behind: &str) -> Option<(&str, &str, usize)> {
    if let Some(inner) = behind.strip_prefix('{') {
        let end = inner.find('}')?;
        let whole = inner.get(..end)?;
        let (name, arguments) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
        return Some((name, arguments.trim(), end + 2));
    }
    let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len());
    let name = behind.get(..end)?;
    // The bare form ends at a blank, comma, parenthesis or the end of the line.
    let ends_well = behind.get(end..)?.chars().next().is_none_or(|c| " \t,)\n".contains(c));
    (ends_well && !name.is_empty()).then_some((name, "", end))
}

impl Variables {
    pub(super) const fn new(seed: u64) -> Self {
        Self { values: super::Map::new(), random: seed ^ 0x5dee_ce66_d1ce_4e5b, comment: false }
    }

    pub(super) fn define(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// Replaces what is defined; what is not stays as it is. `room` limits the size of the result.
    pub(super) fn replaced(&mut self, line: &str, context: &Context<'_>, room: usize) -> Replaced {
        let mut result = Replaced::default();
        self.comment = false;
        let mut rest = 0;
        while let Some(found) = line.get(rest..).and_then(|text| text.find('$')) {
            let at = rest + found;
            push(&mut result, line, rest, at);
            let behind = line.get(at + 1..).unwrap_or_default();
            let Some((name, arguments, length)) = usage(behind) else {
                push(&mut result, line, at, at + 1);
                rest = at + 1;
                continue;
            };
            rest = at + 1 + length;
            match self.value(name, arguments, context, room.saturating_sub(result.text.len()), 0) {
                Some(Some(value)) => {
                    result.parts.push((result.text.len(), at, false));
                    result.text.push_str(&value);
                }
                Some(None) => {
                    result.too_large = true;
                    return result;
                }
                None => {
                    push(&mut result, line, at, rest);
                    let is_name = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
                    if is_name {
                        result.undefined.push(line.get(at..rest).unwrap_or_default().to_owned());
                    }
                }
            }
        }
        push(&mut result, line, rest, line.len());
        result.comment = self.comment;
        result
    }

    /// What a name means: `None` = nothing, `Some(None)` = more than there is room for.
    fn value(
        &mut self,
        name: &str,
        arguments: &str,
        context: &Context<'_>,
        room: usize,
        depth: usize,
    ) -> Option<Option<String>> {
        if depth > DEEPEST {
            return Some(None);
        }
        if let Some(value) = self.values.get(name) {
            // Several lines are replayed: what they name is replaced then.
            if !value.contains('$') || value.contains('\n') {
                return Some((value.len() <= room).then(|| value.clone()));
            }
            let value = value.clone();
            return Some(self.inner(&value, context, room, depth));
        }
        self.comment |= matches!(name, "_HASH" | "_BANG");
        let always = match name {
            "_HASH" => "#".to_owned(),
            "_BANG" => "!".to_owned(),
            "_INSTANCE" => context.config_id.to_owned(),
            "_PWD" => directory(context.directory),
            "_ENV" => std::env::var(arguments).unwrap_or_default(),
            "_RANDOM" => self.random(arguments)?,
            _ => return None,
        };
        Some(Some(always))
    }

    /// A value with the variables that stand in it; a bare name within it ends like one on a line.
    fn inner(&mut self, value: &str, context: &Context<'_>, room: usize, depth: usize) -> Option<String> {
        let mut out = String::new();
        let mut rest = value;
        while let Some(at) = rest.find('$') {
            out.push_str(rest.get(..at)?);
            let behind = rest.get(at + 1..)?;
            let used = match usage(behind) {
                Some((name, arguments, length)) => {
                    match self.value(name, arguments, context, room.saturating_sub(out.len()), depth + 1) {
                        Some(inner) => out.push_str(&inner?),
                        None => out.push_str(rest.get(at..at + 1 + length)?),
                    }
                    length
                }
                None => {
                    out.push('$');
                    0
                }
            };
            if out.len() > room {
                return None;
            }
            rest = rest.get(at + 1 + used..)?;
        }
        out.push_str(rest);
        (out.len() <= room).then_some(out)
    }

    /// `${_RANDOM [MIN [MAX]]}`: 0 to 32767 when nothing is said.
    fn random(&mut self, arguments: &str) -> Option<String> {
        let mut numbers = arguments.split_whitespace().map(str::parse::<u64>);
        let low = numbers.next().unwrap_or(Ok(0)).ok()?;
        let high = numbers.next().unwrap_or(Ok(32_767)).ok()?;
        // splitmix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^= z >> 27;
        let span = high.checked_sub(low)?.checked_add(1)?;
        Some((low + z % span).to_string())
    }
}

fn push(result: &mut Replaced, line: &str, from: usize, to: usize) {
    if let Some(text) = line.get(from..to).filter(|text| !text.is_empty()) {
        result.parts.push((result.text.len(), from, true));
        result.text.push_str(text);
    }
}

/// A folder as an absolute path, where that can be told.
fn directory(path: &Path) -> String {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}
