//! Where each word of a YAML text stands. The typed reader keeps no places; this reads the same text once more for
//! them alone, and the keyword tables lay them beside the model.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, Span};

use super::diagnostic::Place;

/// A node of the text: where it begins, and what is in it. An alias stands where it is written, and has in it what its
/// anchor has.
#[derive(Clone, Debug)]
pub(in crate::config) struct Mark {
    line: u32,
    column: u32,
    inner: Rc<Inner>,
}

#[derive(Debug)]
enum Inner {
    Scalar(String),
    List(Vec<Mark>),
    /// Keys and values.
    Map(Vec<(Mark, Mark)>),
}

/// A list or map that is not closed yet.
struct Open {
    line: u32,
    column: u32,
    anchor: usize,
    is_map: bool,
    /// Elements, or keys and values in turn.
    nodes: Vec<Mark>,
}

/// The root of the first document; `None` where the text has none, or is no YAML.
pub(in crate::config) fn read(text: &str) -> Option<Mark> {
    let mut parser = Parser::new_from_str(text);
    let mut anchors: BTreeMap<usize, Rc<Inner>> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        let (line, column) = position(span);
        let (anchor, mark) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push(Open { line, column, anchor, is_map: false, nodes: Vec::new() });
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push(Open { line, column, anchor, is_map: true, nodes: Vec::new() });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let done = open.pop()?;
                let inner = if done.is_map { Inner::Map(pairs(done.nodes)) } else { Inner::List(done.nodes) };
                (done.anchor, Mark { line: done.line, column: done.column, inner: Rc::new(inner) })
            }
            Event::Scalar(text, _, anchor, _) => {
                (anchor, Mark { line, column, inner: Rc::new(Inner::Scalar(text.into_owned())) })
            }
            Event::Alias(anchor) => (0, Mark { line, column, inner: Rc::clone(anchors.get(&anchor)?) }),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            Event::DocumentEnd | Event::StreamEnd => return None,
        };
        if anchor > 0 {
            anchors.insert(anchor, Rc::clone(&mark.inner));
        }
        match open.last_mut() {
            Some(outer) => outer.nodes.push(mark),
            None => return Some(mark),
        }
    }
    None
}

/// Line and column from 1.
fn position(span: Span) -> (u32, u32) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (number(span.start.line()), number(span.start.col()).saturating_add(1))
}

fn pairs(nodes: Vec<Mark>) -> Vec<(Mark, Mark)> {
    let mut nodes = nodes.into_iter();
    std::iter::from_fn(|| Some((nodes.next()?, nodes.next()?))).collect()
}

impl Mark {
    /// Where it stands in a file.
    pub(in crate::config) fn place(&self, file: &Arc<PathBuf>) -> Place {
        Place { file: Arc::clone(file), line: self.line, column: self.column }
    }

    /// The elements of a list.
    pub(in crate::config) fn elements(&self) -> &[Self] {
        match &*self.inner {
            Inner::List(elements) => elements,
            Inner::Scalar(_) | Inner::Map(_) => &[],
        }
    }

    /// The value of a key, and the place to point at: the value's own, or the key's where the value begins below it.
    pub(in crate::config) fn value(&self, key: &str) -> Option<(&Self, u32, u32)> {
        let Inner::Map(pairs) = &*self.inner else { return None };
        let is_it = |mark: &Self| matches!(&*mark.inner, Inner::Scalar(text) if text == key);
        let (name, value) = pairs.iter().find(|(name, _)| is_it(name))?;
        let at = if value.line == name.line { value } else { name };
        Some((value, at.line, at.column))
    }

    /// The value of a field, `connection.connect_ip` where it lies one deeper.
    pub(in crate::config) fn field(&self, path: &str) -> Option<(&Self, u32, u32)> {
        let (outer, last) = match path.rsplit_once('.') {
            Some((outer, last)) => (self.field(outer)?.0, last),
            None => (self, path),
        };
        outer.value(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &[&str]) -> Option<(u32, u32)> {
        let root = read(text)?;
        let mut place = (root.line, root.column);
        let mut mark = root;
        for step in path {
            let (next, line, column) = match step.parse::<usize>() {
                Ok(n) => mark.elements().get(n).map(|mark| (mark.clone(), mark.line, mark.column))?,
                Err(_) => mark.field(step).map(|(mark, line, column)| (mark.clone(), line, column))?,
            };
            (mark, place) = (next, (line, column));
        }
        Some(place)
    }

    #[test]
    fn words_are_found_where_they_stand() {
        let text = "a: 1\nb:\n  - c: é\n    d: {e: x, f: [1, 22]}\n  - &n\n    c: y\ng: *n\nh:\n  i: 5\n";
        for (path, place) in [
            (&["a"][..], Some((1, 4))),
            // A list below its key: the key.
            (&["b"], Some((2, 1))),
            (&["b", "0"], Some((3, 5))),
            (&["b", "0", "c"], Some((3, 8))),
            (&["b", "0", "d.e"], Some((4, 12))),
            (&["b", "0", "d.f", "1"], Some((4, 22))),
            (&["b", "1", "c"], Some((6, 8))),
            // An alias stands where it is written; what is in it, at the anchor.
            (&["g"], Some((7, 4))),
            (&["g", "c"], Some((6, 8))),
            (&["h.i"], Some((9, 6))),
            (&["h.j"], None),
            (&["a.i"], None),
            (&["b", "7"], None),
        ] {
            assert_eq!(at(text, path), place, "{path:?}");
        }
    }

    #[test]
    fn what_is_no_yaml_has_no_places() {
        for text in ["", "# nothing\n", "a: [1", "a: *b\n", "\t", "- a\nb: c"] {
            assert!(at(text, &["a"]).is_none(), "{text:?}");
        }
    }

    #[test]
    fn many_aliases_cost_nothing() {
        let mut text = "a0: &a0 [x, x]\n".to_owned();
        for n in 1..60 {
            text += &format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1);
        }
        assert_eq!(at(&text, &["a59", "0"]).map(|(line, _)| line), Some(60));
    }
}
