//! Collects the errors, so that one compilation reports every mistake.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::Ident;
use quote::ToTokens;

/// The errors that have been reported so far.
#[derive(Default)]
pub(crate) struct Ctxt {
    errors: RefCell<Vec<syn::Error>>,
}

impl Ctxt {
    /// Reports a mistake at what the user must edit, with the cure on a line of its own.
    pub(crate) fn error(&self, at: impl ToTokens, what: impl Display, help: impl Display) {
        self.point_at(at, format!("{what}\nhelp: {help}"));
    }

    /// Reports a word that appears twice but may appear only once.
    pub(crate) fn second(&self, first: &Ident, second: &Ident) {
        let what = format!("a struct has one `{second}`, but this is the second");
        self.error(second, what, "remove one of them");
        self.point_at(first, format!("the first `{first}` is here"));
    }

    /// Reports a message at a place. On its own, it points at a second place of the mistake that was reported before it.
    pub(crate) fn point_at(&self, at: impl ToTokens, message: impl Display) {
        self.errors.borrow_mut().push(syn::Error::new_spanned(at, message));
    }

    /// All mistakes as one error, or `None` if there are none.
    pub(crate) fn finish(self) -> Option<syn::Error> {
        self.errors.into_inner().into_iter().reduce(|mut all, error| {
            all.combine(error);
            all
        })
    }
}
