//! What a page is to have: a header, a value in its JSON.

/// `Name: value` as name and value, blanks around them left out; a name alone has no value. `None`: no name of a header
/// (RFC 9110, token) stands before the colon.
pub fn header(text: &str) -> Option<(&str, Option<&str>)> {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name.trim(), Some(value.trim())),
        None => (text.trim(), None),
    };
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!name.is_empty() && name.bytes().all(token)).then_some((name, value))
}

/// The steps of a path into JSON: `a.b.0`, or a JSON pointer `/a/b/0` (RFC 6901: `~1` is a slash, `~0` a tilde) for keys with
/// dots in them. `None`: a step is empty, or a tilde means nothing.
pub fn json_path(text: &str) -> Option<Vec<String>> {
    let Some(pointer) = text.strip_prefix('/') else {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        return steps.iter().all(|step| !step.is_empty()).then_some(steps);
    };
    let step = |step: &str| {
        let known = step.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        known.then(|| step.replace("~1", "/").replace("~0", "~"))
    };
    pointer.split('/').map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        for (text, wanted) in [
            ("X-State: ready now", Some(("X-State", Some("ready now")))),
            ("X-State:ready", Some(("X-State", Some("ready")))),
            (" X-State :  a:b ", Some(("X-State", Some("a:b")))),
            ("X-State:", Some(("X-State", Some("")))),
            ("X-State", Some(("X-State", None))),
            ("X State: ready", None),
            (": ready", None),
            ("", None),
            ("ß: x", None),
        ] {
            assert_eq!(header(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn paths() {
        for (text, wanted) in [
            ("status", Some(&["status"][..])),
            ("a.b.0", Some(&["a", "b", "0"])),
            ("/a/b.c/0", Some(&["a", "b.c", "0"])),
            ("/a~1b/~0~01", Some(&["a/b", "~~1"])),
            // A pointer may have an empty key.
            ("/a/", Some(&["a", ""])),
            ("a..b", None),
            ("", None),
            (".a", None),
            ("/a~2", None),
            ("/a~", None),
        ] {
            let got = json_path(text);
            assert_eq!(
                got.as_deref(),
                wanted.map(|steps| steps.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text:?}"
            );
        }
    }
}
