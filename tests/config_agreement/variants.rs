//! Small files with one mistake each, with what keepalived said of them: what the corpus does not happen to have.

/// One small file.
pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) rc: i32,
    pub(crate) messages: Vec<String>,
}

/// `=== NAME`, the file, `--- EXIT CODE`, the messages.
pub(crate) fn variants(all: &str) -> Vec<Variant> {
    let mut found: Vec<Variant> = Vec::new();
    let mut in_file = false;
    for line in all.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            let (name, messages) = (name.to_owned(), Vec::new());
            found.push(Variant { name, text: String::new(), rc: 0, messages });
            in_file = true;
            continue;
        }
        let Some(variant) = found.last_mut() else { continue };
        match line.strip_prefix("--- ") {
            Some(rc) => {
                variant.rc = rc.parse().unwrap();
                in_file = false;
            }
            None if in_file => {
                variant.text.push_str(line);
                variant.text.push('\n');
            }
            None => variant.messages.push(line.to_owned()),
        }
    }
    found
}

/// A keyword without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bare {
    pub(crate) block: String,
    pub(crate) keyword: String,
    /// The file, and the keyword's line in it.
    pub(crate) text: String,
    pub(crate) line: u32,
    /// `fatal`, `reported` or `accepted`.
    pub(crate) verdict: String,
}

/// `== BLOCK`, a file with `<>` for the keyword, `VERDICT: KEYWORD …`.
pub(crate) fn bare_keywords(all: &str) -> Vec<Bare> {
    let mut found = Vec::new();
    for section in all.split("\n== ").skip(1) {
        let (block, rest) = section.split_once('\n').unwrap();
        let is_verdict = |line: &&str| {
            ["fatal: ", "reported: ", "accepted: "].iter().any(|verdict| line.starts_with(verdict))
        };
        let (verdicts, file): (Vec<&str>, Vec<&str>) = rest.lines().partition(is_verdict);
        let line = file.iter().position(|line| *line == "<>").unwrap() as u32 + 1;
        let file = file.join("\n") + "\n";
        for (verdict, keywords) in verdicts.iter().filter_map(|line| line.split_once(": ")) {
            found.extend(keywords.split(' ').map(|keyword| Bare {
                block: block.to_owned(),
                keyword: keyword.to_owned(),
                text: file.replace("<>", keyword),
                line,
                verdict: verdict.to_owned(),
            }));
        }
    }
    found
}

#[test]
fn a_variant_is_a_file_and_its_messages() {
    let found = variants("words\n=== a\nx {\n}\n--- 5\nfoo\nbar\n=== b\n--- 0\n");
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].name.as_str(), found[0].text.as_str(), found[0].rc), ("a", "x {\n}\n", 5));
    assert_eq!(found[0].messages, ["foo", "bar"]);
    assert!(found[1].messages.is_empty());
}

#[test]
fn a_bare_keyword_is_put_into_its_file() {
    let found = bare_keywords("words\n\n== b\nb {\n<>\n}\nfatal: x y\naccepted: z\n");
    assert_eq!(found.len(), 3);
    assert_eq!((found[1].text.as_str(), found[1].line), ("b {\ny\n}\n", 2));
    assert_eq!((found[2].keyword.as_str(), found[2].verdict.as_str()), ("z", "accepted"));
}
