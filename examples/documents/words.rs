//! The words of tandem.conf(5): the keyword tables, with what the model's documentation says of each field.

use std::fmt::Write as _;

use serde_json::Value;
use tandem::config::{self, Word, schema};

/// One section a block, one entry a word.
pub(crate) fn sections() -> String {
    let schema = schema::schema();
    let mut text = String::new();
    let mut block = "";
    for word in config::words() {
        if word.block != block {
            block = word.block;
            let title = if block == "the file" { "outermost level" } else { block };
            let _ = writeln!(text, ".SH WORDS: {}", escaped(&title.to_uppercase()));
        }
        let arguments =
            if word.arguments.is_empty() { String::new() } else { format!(" {}", word.arguments) };
        let _ = writeln!(text, ".TP\n\\fB{}\\fR{}", escaped(word.word), escaped(&arguments));
        let mut about = about(&schema, &word).unwrap_or_default();
        if !word.acted_on {
            about = format!("{about} (Accepted, not acted on yet.)");
        }
        // An entry without a text would swallow the next one.
        let _ = writeln!(
            text,
            "{}",
            if about.trim().is_empty() { "\\&".to_owned() } else { prose(about.trim()) }
        );
    }
    text
}

/// What the schema says of the field that the word sets.
fn about(schema: &Value, word: &Word) -> Option<String> {
    let mut object = match word.type_name {
        "Config" => schema,
        name => schema.pointer(&format!("/$defs/{name}"))?,
    };
    let mut steps = word.field.split('.').peekable();
    while let Some(step) = steps.next() {
        let property = object.pointer(&format!("/properties/{step}"))?;
        if steps.peek().is_none() {
            return property.get("description").and_then(Value::as_str).map(ToOwned::to_owned);
        }
        let inner =
            ["/$ref", "/anyOf/0/$ref", "/items/$ref"].iter().find_map(|place| property.pointer(place))?;
        object = schema.pointer(inner.as_str()?.strip_prefix('#')?)?;
    }
    None
}

/// Words as roff: nothing in them is a request or an escape.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// A paragraph as roff: `words` in bold, hyphens as they are, no line that begins with a control character.
pub(crate) fn prose(text: &str) -> String {
    let mut bold = false;
    let mut roff = String::new();
    for line in text.lines() {
        if line.is_empty() {
            roff.push_str(".PP\n");
            continue;
        }
        if line.starts_with(['.', '\'']) {
            roff.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '`' => {
                    bold = !bold;
                    roff.push_str(if bold { "\\fB" } else { "\\fR" });
                }
                '\\' => roff.push_str("\\e"),
                '-' => roff.push_str("\\-"),
                c => roff.push(c),
            }
        }
        roff.push('\n');
    }
    roff.trim_end().to_owned()
}
