//! The page to look at: one document that asks for nothing from anywhere else. Markup, style and the parts of the script are files here;
//! the browser is told by their digests that it may run these and nothing else.

use std::sync::LazyLock;

use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};

const MARKUP: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
/// One function from the first line of the first file to the last of the last.
const SCRIPT: &str = concat!(
    include_str!("page/tools.js"),
    include_str!("page/cards.js"),
    include_str!("page/grid.js"),
    include_str!("page/live.js"),
);

struct Page {
    body: Bytes,
    policy: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let digest = |text: &str| openssl::base64::encode_block(&Sha256::digest(text.as_bytes()));
    Page {
        body: Bytes::from(MARKUP.replace("{{style}}", STYLE).replace("{{script}}", SCRIPT)),
        policy: format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            digest(SCRIPT),
            digest(STYLE)
        ),
    }
});

/// The document.
pub(super) fn body() -> Bytes {
    PAGE.body.clone()
}

/// Its Content-Security-Policy.
pub(super) fn policy() -> &'static str {
    &PAGE.policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_without_anything_from_elsewhere() {
        let body = body();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.starts_with("<!doctype html>") && text.contains("<title>"));
        assert!(!text.contains("{{"), "a place was not filled");
        assert_eq!((text.matches("<script").count(), text.matches("<style").count()), (1, 1));
        // What the digests are of is what the browser finds between the tags.
        for (tag, part) in [("script", SCRIPT), ("style", STYLE)] {
            let begin = text.find(&format!("<{tag}>")).unwrap() + tag.len() + 2;
            assert_eq!(text[begin..].split(&format!("</{tag}>")).next(), Some(part));
        }
        for bad in [
            "src=\"http",
            "href=\"http",
            "url(http",
            "@import",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            " style=\"",
            " onclick=",
            "eval(",
        ] {
            assert!(!text.contains(bad), "{bad}");
        }
        assert!(text.len() < 200 * 1024, "{} bytes", text.len());
    }
}
