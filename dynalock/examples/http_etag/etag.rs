//! Entity tags: a version as a strong one, and those that a client sent.
//!
//! <https://www.rfc-editor.org/rfc/rfc9110.html#section-8.8.3>

use axum::http::HeaderValue;

/// The tag of a version. Strong: two representations with one version are the same, byte by byte.
pub(crate) fn of(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits between quotes")
}

/// A tag that a client sent.
pub(crate) struct Tag {
    is_weak: bool,
    /// With its quotes.
    text: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    /// A weak tag equals nothing.
    Strong,
    Weak,
}

impl Tag {
    /// Whether it equals `own`, a strong tag.
    pub(crate) fn is(&self, own: &HeaderValue, comparison: Comparison) -> bool {
        let is_fit = comparison == Comparison::Weak || !self.is_weak;
        is_fit && self.text == own.as_bytes()
    }
}

/// Tags with commas between them, and spaces; elements may be empty.
pub(crate) fn read_list(mut list: &[u8]) -> Option<Vec<Tag>> {
    let mut tags = Vec::new();
    loop {
        list = list.trim_ascii_start();
        if !matches!(list.first(), None | Some(b',')) {
            let (tag, rest) = read_tag(list)?;
            tags.push(tag);
            list = rest.trim_ascii_start();
        }
        match list.split_first() {
            None => return Some(tags),
            Some((b',', rest)) => list = rest,
            Some(_) => return None,
        }
    }
}

/// The tag that `list` begins with, and what follows.
fn read_tag(list: &[u8]) -> Option<(Tag, &[u8])> {
    let (is_weak, quoted) = match list.strip_prefix(b"W/") {
        Some(quoted) => (true, quoted),
        None => (false, list),
    };
    let length = quoted.strip_prefix(b"\"")?.iter().position(|byte| *byte == b'"')?;
    let (text, rest) = quoted.split_at(length + 2);
    // Visible characters, and whatever is beyond ASCII.
    let is_tag = text.iter().all(|byte| byte.is_ascii_graphic() || *byte >= 0x80);
    is_tag.then(|| (Tag { is_weak, text: text.to_owned() }, rest))
}
