//! Patterns: PCRE2 itself, so that a file's patterns and options mean what they mean to keepalived.

#![allow(unsafe_code, reason = "PCRE2 is a C library; every call is in this file")]

use std::fmt;
use std::ptr::{self, NonNull};

use pcre2_sys as ffi;

/// What one search may cost from each place where a match may begin: a pattern that goes astray there ends within some
/// milliseconds, named as such. In a long text there are many such places.
const MATCH_LIMIT: u32 = 1_000_000;

/// keepalived's `regex_options` and their bits.
const OPTIONS: &[(&str, u32)] = &[
    ("allow_empty_class", ffi::PCRE2_ALLOW_EMPTY_CLASS),
    ("alt_bsux", ffi::PCRE2_ALT_BSUX),
    ("auto_callout", ffi::PCRE2_AUTO_CALLOUT),
    ("caseless", ffi::PCRE2_CASELESS),
    ("dollar_endonly", ffi::PCRE2_DOLLAR_ENDONLY),
    ("dotall", ffi::PCRE2_DOTALL),
    ("dupnames", ffi::PCRE2_DUPNAMES),
    ("extended", ffi::PCRE2_EXTENDED),
    ("firstline", ffi::PCRE2_FIRSTLINE),
    ("match_unset_backref", ffi::PCRE2_MATCH_UNSET_BACKREF),
    ("multiline", ffi::PCRE2_MULTILINE),
    ("never_ucp", ffi::PCRE2_NEVER_UCP),
    ("never_utf", ffi::PCRE2_NEVER_UTF),
    ("no_auto_capture", ffi::PCRE2_NO_AUTO_CAPTURE),
    ("no_auto_possess", ffi::PCRE2_NO_AUTO_POSSESS),
    ("no_dotstar_anchor", ffi::PCRE2_NO_DOTSTAR_ANCHOR),
    ("no_start_optimize", ffi::PCRE2_NO_START_OPTIMIZE),
    ("ucp", ffi::PCRE2_UCP),
    ("ungreedy", ffi::PCRE2_UNGREEDY),
    ("utf", ffi::PCRE2_UTF),
    ("never_backslash_c", ffi::PCRE2_NEVER_BACKSLASH_C),
    ("alt_circumflex", ffi::PCRE2_ALT_CIRCUMFLEX),
    ("alt_verbnames", ffi::PCRE2_ALT_VERBNAMES),
    // Where a match may begin is compared after it was found: `regex_max_offset` needs no option.
    ("use_offset_limit", 0),
];

/// Why a pattern cannot be used, or a search came to no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The pattern is none.
    #[error("at byte {at}: {words}")]
    Pattern {
        /// Where in the pattern, bytes from 0.
        at: usize,
        /// PCRE2's words.
        words: String,
    },
    /// No such option.
    #[error("{0:?} is no option of it")]
    Option(String),
    /// The search itself failed.
    #[error("{0}")]
    Search(String),
}

/// A compiled pattern with what a search needs. One search at a time.
pub struct Regex {
    code: NonNull<ffi::pcre2_code_8>,
    data: NonNull<ffi::pcre2_match_data_8>,
    context: NonNull<ffi::pcre2_match_context_8>,
    /// Null: PCRE2's own, 32 KiB of the thread's stack.
    stack: *mut ffi::pcre2_jit_stack_8,
}

// SAFETY: the objects are owned by this one value, PCRE2 keeps no thread-local state, and a search needs `&mut`.
unsafe impl Send for Regex {}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Regex").finish_non_exhaustive()
    }
}

impl Regex {
    /// Compiles a pattern with options by keepalived's names; `stack` is the least and greatest size of the matcher's
    /// stack, bytes (`regex_stack`).
    ///
    /// # Errors
    /// [`Error::Pattern`] and [`Error::Option`].
    pub fn new(pattern: &str, options: &[String], stack: Option<(usize, usize)>) -> Result<Self, Error> {
        let code = compile(pattern, options)?;
        // SAFETY: `code` was just made; null means PCRE2's own allocator. What cannot be compiled to machine code
        // (or where the system forbids it) is interpreted: the result is of no importance.
        let (data, context) = unsafe {
            ffi::pcre2_jit_compile_8(code.as_ptr(), ffi::PCRE2_JIT_COMPLETE);
            let data = ffi::pcre2_match_data_create_from_pattern_8(code.as_ptr(), ptr::null_mut());
            (data, ffi::pcre2_match_context_create_8(ptr::null_mut()))
        };
        let (Some(data), Some(context)) = (NonNull::new(data), NonNull::new(context)) else {
            // SAFETY: each was made above or is null, which these functions take; none is used again.
            unsafe {
                ffi::pcre2_match_data_free_8(data);
                ffi::pcre2_match_context_free_8(context);
                ffi::pcre2_code_free_8(code.as_ptr());
            }
            return Err(Error::Search("no memory for it".to_owned()));
        };
        let mut made = Self { code, data, context, stack: ptr::null_mut() };
        // SAFETY: the context lives as long as `made`; the stack is assigned to it and freed after it, in `drop`.
        unsafe {
            ffi::pcre2_set_match_limit_8(context.as_ptr(), MATCH_LIMIT);
            if let Some((least, most)) = stack.filter(|(_, most)| *most > 0) {
                made.stack = ffi::pcre2_jit_stack_create_8(least.clamp(1, most), most, ptr::null_mut());
                if !made.stack.is_null() {
                    ffi::pcre2_jit_stack_assign_8(context.as_ptr(), None, made.stack.cast());
                }
            }
        }
        Ok(made)
    }

    /// Where the first match at or after `from` begins, bytes from 0.
    ///
    /// # Errors
    /// [`Error::Search`], above all when the search would cost too much.
    pub fn find(&mut self, text: &[u8], from: usize) -> Result<Option<usize>, Error> {
        if from > text.len() {
            return Ok(None);
        }
        // SAFETY: code, data and context live as long as `self`, and `&mut` keeps a second search away; the text is a
        // readable slice with its length, and `from` is not beyond it.
        let result = unsafe {
            ffi::pcre2_match_8(
                self.code.as_ptr(),
                text.as_ptr(),
                text.len(),
                from,
                0,
                self.data.as_ptr(),
                self.context.as_ptr(),
            )
        };
        if result == ffi::PCRE2_ERROR_NOMATCH {
            return Ok(None);
        }
        if result < 0 {
            return Err(Error::Search(words(result)));
        }
        // SAFETY: after a match the vector has at least one pair, and lives as long as `data`.
        let start = unsafe { *ffi::pcre2_get_ovector_pointer_8(self.data.as_ptr()) };
        Ok(Some(start))
    }
}

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: each was made in `new` (the stack may be null, which is taken), and nothing is used after this.
        unsafe {
            ffi::pcre2_match_data_free_8(self.data.as_ptr());
            ffi::pcre2_match_context_free_8(self.context.as_ptr());
            ffi::pcre2_jit_stack_free_8(self.stack);
            ffi::pcre2_code_free_8(self.code.as_ptr());
        }
    }
}

/// Whether a pattern can be compiled with those options.
///
/// # Errors
/// [`Error::Pattern`] and [`Error::Option`].
pub fn verify(pattern: &str, options: &[String]) -> Result<(), Error> {
    let code = compile(pattern, options)?;
    // SAFETY: it was just made, and nobody else knows it.
    unsafe { ffi::pcre2_code_free_8(code.as_ptr()) };
    Ok(())
}

fn compile(pattern: &str, options: &[String]) -> Result<NonNull<ffi::pcre2_code_8>, Error> {
    let mut bits = 0;
    for option in options {
        let known = OPTIONS.iter().find(|(name, _)| name == option);
        bits |= known.ok_or_else(|| Error::Option(option.clone()))?.1;
    }
    if bits & ffi::PCRE2_UTF != 0 {
        // A page with a byte that is no UTF-8 is searched all the same.
        bits |= ffi::PCRE2_MATCH_INVALID_UTF;
    }
    let (mut number, mut at) = (0, 0usize);
    // SAFETY: the pattern is a readable slice with its length; both out-parameters outlive the call; a null context
    // means defaults.
    let code = unsafe {
        ffi::pcre2_compile_8(pattern.as_ptr(), pattern.len(), bits, &mut number, &mut at, ptr::null_mut())
    };
    NonNull::new(code).ok_or_else(|| Error::Pattern { at, words: words(number) })
}

/// PCRE2's words for one of its errors.
fn words(number: i32) -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: the buffer is writable for its length; PCRE2 ends the text with a zero within it.
    let length = unsafe { ffi::pcre2_get_error_message_8(number, buffer.as_mut_ptr(), buffer.len()) };
    match usize::try_from(length).ok().and_then(|length| buffer.get(..length)) {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => format!("error {number} of PCRE2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, options: &[&str], text: &[u8], from: usize) -> Result<Option<usize>, Error> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        Regex::new(pattern, &options, Some((1 << 12, 1 << 18)))?.find(text, from)
    }

    #[test]
    fn patterns_mean_what_they_mean_to_pcre2() {
        type Row = (&'static str, &'static [&'static str], &'static str, usize, Option<usize>);
        let table: &[Row] = &[
            ("b+c", &[], "abbbc", 0, Some(1)),
            ("b+c", &[], "abbbc", 2, Some(2)),
            ("B+C", &[], "abbbc", 0, None),
            ("B+C", &["caseless"], "abbbc", 0, Some(1)),
            ("a.c", &[], "a\nc", 0, None),
            ("a.c", &["dotall"], "a\nc", 0, Some(0)),
            ("^c", &["multiline"], "ab\nc", 0, Some(3)),
            ("a b # words", &["extended"], "xab", 0, Some(1)),
            // What only PCRE2 has: branch reset, recursion, lookbehind.
            (r"(?|(a)|(b))\1", &[], "xbb", 0, Some(1)),
            (r"\((?:[^()]|(?R))*\)", &[], "x(a(b)c)", 0, Some(1)),
            (r"(?<=x)y", &[], "xy", 1, Some(1)),
            ("b$", &["firstline"], "a\nb", 0, None),
            (r"\w", &["utf", "ucp"], "é", 0, Some(0)),
            ("x", &[], "", 0, None),
            ("", &[], "", 0, Some(0)),
            ("x", &[], "x", 2, None),
        ];
        for &(pattern, options, text, from, wanted) in table {
            assert_eq!(
                find(pattern, options, text.as_bytes(), from),
                Ok(wanted),
                "{pattern} {options:?} {text:?}"
            );
        }
        assert_eq!(find("b", &["utf"], b"\xff\xfeb", 0), Ok(Some(2)));
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        assert!(matches!(find("(a", &[], b"", 0), Err(Error::Pattern { at: 2, .. })));
        assert_eq!(find("a", &["bogus"], b"", 0), Err(Error::Option("bogus".to_owned())));
    }

    #[test]
    fn a_pattern_that_goes_astray_ends() {
        let text = [b'a'; 5000];
        let result = find(r"(a+)+(a+)+(a+)+b\1?", &["no_start_optimize", "no_auto_possess"], &text, 0);
        assert!(matches!(&result, Err(Error::Search(words)) if words.contains("limit")), "{result:?}");
    }
}
