//! Collects the errors, so that one compilation reports every mistake.

use std::cell::RefCell;
use std::fmt::Display;

use quote::ToTokens;

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Ctxt {
    errors: RefCell<Vec<syn::Error>>,
}

impl Ctxt {
    /// Reports a mistake at what the user must edit, with the cure on a line of its own.
    pub(crate) fn error(&self, at: impl ToTokens, what: impl Display, help: impl Display) {
        self.push(at, format!("{what}\nhelp: {help}"));
    }

    /// Reports a word that stands twice where it may stand once.
    pub(crate) fn second(&self, word: &str, first: impl ToTokens, second: impl ToTokens) {
        self.push(
            second,
            format!("a struct has one `{word}`, but this is the second\nhelp: remove one of them"),
        );
        self.also(first, format!("the first `{word}` is here"));
    }

    /// Points at another place that belongs to the mistake just reported.
    pub(crate) fn also(&self, at: impl ToTokens, what: impl Display) {
        self.push(at, what);
    }

    /// All mistakes as one error, or `None` if there are none.
    pub(crate) fn finish(self) -> Option<syn::Error> {
        self.errors.into_inner().into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        })
    }

    fn push(&self, at: impl ToTokens, message: impl Display) {
        self.errors.borrow_mut().push(syn::Error::new_spanned(at, message));
    }
}
