//! Is a document what the description of the interface says? As much of JSON Schema as that description has; a word that
//! this does not know is an error, so that nothing is passed over.

use serde_json::{Map, Value};

/// Words that say nothing about what is valid.
const WORDS: [&str; 6] = ["description", "title", "default", "format", "$schema", "summary"];

/// The description of the interface.
pub struct Description(Value);

impl Description {
    pub fn new(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// What is wrong with the answer to that request, one line each.
    pub fn problems(&self, method: &str, path: &str, status: u16, answer: &Value) -> Vec<String> {
        let operation = &self.0["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{method} {path} is not described");
        let said = &operation["responses"][status.to_string()];
        // Refusals that any path may answer with.
        let said = if said.is_null() { &operation["responses"]["default"] } else { said };
        let schema = &said["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} has no document");
        let mut problems = Vec::new();
        self.check(answer, schema, "", &mut problems);
        problems
    }

    /// What is wrong with a document that has this name in the description.
    pub fn problems_of(&self, name: &str, document: &Value) -> Vec<String> {
        let schema = &self.0["components"]["schemas"][name];
        assert!(schema.is_object(), "there is no {name}");
        let mut problems = Vec::new();
        self.check(document, schema, "", &mut problems);
        problems
    }

    /// Every operation that is described: its method, and its path with the variable parts in braces.
    pub fn operations(&self) -> Vec<(String, String)> {
        let paths = self.0["paths"].as_object().unwrap();
        let methods = |path: &Value| path.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let all = paths.iter().flat_map(|(path, of)| {
            methods(of).into_iter().map(|method| (method.to_uppercase(), path.clone()))
        });
        all.collect()
    }

    /// The media type of the answer to that request when all is well.
    pub fn media(&self, method: &str, path: &str) -> String {
        let content = &self.0["paths"][path][method.to_lowercase()]["responses"]["200"]["content"];
        let mut kinds = content.as_object().unwrap().keys();
        let kind = kinds.next().unwrap().clone();
        assert!(kinds.next().is_none(), "{method} {path} has several");
        kind
    }

    fn check(&self, value: &Value, schema: &Value, at: &str, problems: &mut Vec<String>) {
        let schema = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return problems.push(format!("{at}: nothing may be here")),
            Value::Object(schema) => schema,
            other => panic!("no schema: {other}"),
        };
        for (word, said) in schema {
            match word.as_str() {
                "$ref" => {
                    let place = said.as_str().unwrap().strip_prefix('#').unwrap();
                    let there = self.0.pointer(place).unwrap_or_else(|| panic!("{place} leads nowhere"));
                    self.check(value, there, at, problems);
                }
                "type" => {
                    let types: Vec<&str> = match said {
                        Value::String(one) => vec![one],
                        several => {
                            several.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
                        }
                    };
                    if !types.iter().any(|one| is(value, one)) {
                        problems.push(format!("{at}: {value} is no {types:?}"));
                    }
                }
                "enum" if !said.as_array().unwrap().contains(value) => {
                    problems.push(format!("{at}: {value} is none of {said}"));
                }
                "const" if said != value => problems.push(format!("{at}: {value} is not {said}")),
                "minimum" if value.as_f64().is_some_and(|n| n < said.as_f64().unwrap()) => {
                    problems.push(format!("{at}: {value} is below {said}"));
                }
                "maximum" if value.as_f64().is_some_and(|n| n > said.as_f64().unwrap()) => {
                    problems.push(format!("{at}: {value} is above {said}"));
                }
                "anyOf" => {
                    let fits = |one: &Value| {
                        let mut own = Vec::new();
                        self.check(value, one, at, &mut own);
                        own.is_empty()
                    };
                    if !said.as_array().unwrap().iter().any(fits) {
                        problems.push(format!("{at}: {value} is none of its forms"));
                    }
                }
                "items" => {
                    for (n, one) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(one, said, &format!("{at}/{n}"), problems);
                    }
                }
                "required" => {
                    for name in said.as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
                        if value.as_object().is_some_and(|fields| !fields.contains_key(name)) {
                            problems.push(format!("{at}: {name} is missing"));
                        }
                    }
                }
                "properties" => {}
                "additionalProperties" => {}
                "enum" | "const" | "minimum" | "maximum" => {}
                word => assert!(
                    WORDS.contains(&word),
                    "the description has a word that this does not know: {word}"
                ),
            }
        }
        if let Some(fields) = value.as_object() {
            self.fields(fields, schema, at, problems);
        }
    }

    fn fields(
        &self,
        fields: &Map<String, Value>,
        schema: &Map<String, Value>,
        at: &str,
        problems: &mut Vec<String>,
    ) {
        let (known, others) = (schema.get("properties"), schema.get("additionalProperties"));
        if known.is_none() && others.is_none() {
            return;
        }
        for (name, value) in fields {
            let at = format!("{at}/{name}");
            match (known.and_then(|known| known.get(name)), others) {
                (Some(own), _) => self.check(value, own, &at, problems),
                (None, Some(others)) => self.check(value, others, &at, problems),
                // A reader may pass over it; here it is a field that the description forgot.
                (None, None) => problems.push(format!("{at} is not described")),
            }
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type: {other}"),
    }
}

#[test]
fn what_is_wrong_is_found() {
    let text = r##"{ "paths": { "/x": { "get": { "responses": {
        "200": { "content": { "application/json": { "schema": { "$ref": "#/a" } } } },
        "default": { "content": { "application/json": { "schema": { "type": "null" } } } } } } } },
        "a": { "type": "object", "required": ["n"], "properties": {
            "n": { "type": ["integer", "null"], "minimum": 0 },
            "of": { "anyOf": [{ "$ref": "#/a" }, { "type": "null" }] },
            "map": { "type": "object", "additionalProperties": { "type": "string" } },
            "list": { "type": "array", "items": { "type": "boolean" } } } } }"##;
    let description = Description::new(text);
    let problems = |status, answer: &str| {
        description.problems("GET", "/x", status, &serde_json::from_str(answer).unwrap()).join("; ")
    };
    assert_eq!(problems(200, r#"{"n": 1, "of": {"n": null}, "map": {"x": "y"}, "list": [true]}"#), "");
    assert_eq!(problems(400, "null"), "");
    for (answer, wanted) in [
        ("[]", "is no [\"object\"]"),
        ("{}", "n is missing"),
        (r#"{"n": -1}"#, "is below"),
        (r#"{"n": 1.5}"#, "is no [\"integer\""),
        (r#"{"n": 1, "m": 1}"#, "/m is not described"),
        (r#"{"n": 1, "of": {}}"#, "none of its forms"),
        (r#"{"n": 1, "map": {"x": 1}}"#, "/map/x"),
        (r#"{"n": 1, "list": [1]}"#, "/list/0"),
    ] {
        assert!(problems(200, answer).contains(wanted), "{answer}: {}", problems(200, answer));
    }
}
