//! The model as keepalived.conf text.

/// Text under construction. What cannot be written is noted, not guessed.
#[derive(Default)]
pub(in crate::config) struct Writer {
    pub(in crate::config) text: String,
    depth: usize,
    /// What keepalived.conf has no way to say, as sentences.
    pub(in crate::config) impossible: Vec<String>,
}

impl Writer {
    /// A keyword with its arguments, already quoted where they need it.
    pub(in crate::config) fn line<S: AsRef<str>>(&mut self, word: &str, arguments: &[S]) {
        self.indent();
        self.text.push_str(word);
        for argument in arguments {
            if !(word.is_empty() && self.text.ends_with(' ')) {
                self.text.push(' ');
            }
            self.text.push_str(argument.as_ref());
        }
        self.text.push('\n');
    }

    /// A line without keyword: an element of a block.
    pub(in crate::config) fn element(&mut self, text: &str) {
        self.indent();
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// Begins a block.
    pub(in crate::config) fn open<S: AsRef<str>>(&mut self, word: &str, arguments: &[S]) {
        self.indent();
        self.text.push_str(word);
        for argument in arguments {
            self.text.push(' ');
            self.text.push_str(argument.as_ref());
        }
        self.text.push_str(" {\n");
        self.depth += 1;
    }

    /// Ends a block.
    pub(in crate::config) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.indent();
        self.text.push_str("}\n");
    }

    fn indent(&mut self) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
    }

    /// A text as one word: in double quotes when it needs them.
    pub(in crate::config) fn quote(&mut self, text: &str) -> String {
        if text.contains(['"', '\n', '\r', '\0']) || text.contains("${_") || text.len() > 900 {
            self.impossible.push(format!("keepalived.conf has no way to write the text {text:?}"));
        }
        // At the start of a line these would be something else than an element.
        let special = text.starts_with(['~', '$']) || text.starts_with("include");
        if !special
            && !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || "#!{}@\\'\u{feff}".contains(c))
        {
            return text.to_owned();
        }
        format!("\"{text}\"")
    }

    /// A command: its words in one double-quoted word, which is split again when it is read.
    pub(in crate::config) fn command(&mut self, argv: &[String]) -> String {
        let plain = |word: &String| {
            !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || "\"'\\#!{}".contains(c))
        };
        if let [only] = argv
            && plain(only)
        {
            return self.quote(only);
        }
        let words: Vec<String> = argv
            .iter()
            .map(|word| {
                if plain(word) {
                    self.quote(word)
                } else {
                    if word.contains(['\'', '"', '\\', '\n', '\r', '\0']) || word.contains("${_") {
                        self.impossible
                            .push(format!("keepalived.conf has no way to write the argument {word:?}"));
                    }
                    format!("'{word}'")
                }
            })
            .collect();
        format!("\"{}\"", words.join(" "))
    }
}
