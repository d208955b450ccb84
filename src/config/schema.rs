//! The JSON Schema of the YAML form: from the model's types and their documentation, with the ranges of the keyword
//! tables. Editors complete and validate with it (`tandem schema`).

use serde_json::{Value, json};

use super::keepalived;
use super::model::Config;

/// The schema as a document of draft 2020-12.
pub fn schema() -> Value {
    let mut schema = schemars::SchemaGenerator::default().into_root_schema_for::<Config>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Tandem configuration"));
        root.insert("description".to_owned(), json!(
            "The YAML form of a Tandem configuration: keepalived's words in lower case. What stands behind a block's word \
             is a key (name, address, port); what can occur several times is a list."
        ));
    }
    for entry in keepalived::tables() {
        let Some((low, high)) = entry.limits else { continue };
        let (owner, field) = match entry.field.split_once('.') {
            Some(("connection", field)) => ("Connection", field),
            Some(("pace", field)) => ("Pace", field),
            Some(_) => continue,
            None => (entry.type_name, entry.field),
        };
        let pointer = if owner == "Config" {
            format!("/properties/{field}")
        } else {
            format!("/$defs/{owner}/properties/{field}")
        };
        if let Some(property) = schema.pointer_mut(&pointer).and_then(Value::as_object_mut) {
            property.insert("minimum".to_owned(), json!(low));
            property.insert("maximum".to_owned(), json!(high));
        }
    }
    schema
}

/// The same as text, indented, as it is committed.
pub fn schema_text() -> String {
    // A JSON value always has a text.
    serde_json::to_string_pretty(&schema()).unwrap_or_default() + "\n"
}
