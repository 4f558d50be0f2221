//! Collects the errors, so that one compilation reports every mistake.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::Ident;
use quote::ToTokens;

/// What is wrong so far.
#[derive(Default)]
pub(crate) struct Ctxt {
    errors: RefCell<Vec<syn::Error>>,
}

impl Ctxt {
    /// Reports a mistake at what the user must edit, with the cure on a line of its own.
    pub(crate) fn error(&self, at: impl ToTokens, what: impl Display, help: impl Display) {
        self.point_at(at, format!("{what}\nhelp: {help}"));
    }

    /// Reports a word that stands twice where it may stand once.
    pub(crate) fn second(&self, first: &Ident, second: &Ident) {
        let what = format!("a struct has one `{second}`, but this is the second");
        self.error(second, what, "remove one of them");
        self.point_at(first, format!("the first `{first}` is here"));
    }

    /// Points at a place; alone, at another one that belongs to the mistake just reported.
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
