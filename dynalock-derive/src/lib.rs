//! The derive macro of `dynalock`, optimistic locking for Amazon DynamoDB.
//!
//! Depend on `dynalock`, which re-exports the macro: the generated code names that crate.

mod attr;
mod bounds;
mod case;
mod check;
mod ctxt;
mod expand;
mod fallback;
mod model;
mod serde_attr;
mod symbol;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::attr::StructAttrs;
use crate::check::Roles;
use crate::ctxt::Ctxt;
use crate::expand::Checked;
use crate::model::Model;

/// Makes a struct a versioned item of a DynamoDB table.
///
/// One field is the partition key, one may be the sort key, and one is the version:
///
/// ```
/// use dynalock::Versioned;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, Versioned)]
/// struct Account {
///     #[dynalock(partition_key)]
///     id: String,
///     balance: i64,
///     #[dynalock(version)]
///     version: u64,
/// }
/// ```
///
/// The struct must be serializable and deserializable with serde, and own its data. The macro does not change it.
///
/// # Above the struct
///
/// - `#[dynalock(stamps = 4)]`: how many write stamps an item keeps, 0 to 32. After a lost reply, they show whether a write was
///   applied. 4 is the default, 0 keeps none.
/// - `#[dynalock(crate = storage::dynalock)]`: where `dynalock` is found, for crates that re-export it and for a dependency
///   that `Cargo.toml` renames. A macro may write `$crate::dynalock`. The path may be in quotes.
///
/// # Above a field
///
/// - `#[dynalock(partition_key)]`: the field that identifies the item. Strings, integers, bytes (such as
///   `serde_bytes::ByteBuf`) and every type that serde stores as one of these. The type must be as visible as the struct.
/// - `#[dynalock(sort_key)]`: the second part of the key, where the table has one. The same types.
/// - `#[dynalock(version)]`: the version, a `u8`, `u16`, `u32`, `u64`, `i32` or `i64`. 0 means that the item was never
///   stored. dynalock reads and sets it.
/// - `#[dynalock(version, start = 10, step = 2)]`: the first version, and the number that each write adds. Both are 1 or more,
///   and 1 by default.
/// - `#[dynalock(version, start = "clock")]`: the first version is the time in microseconds since 1970, so that an item
///   that is deleted and created again never uses a version twice. This holds as long as no clock is behind the clock of the
///   writer that created the key before, and versions rise by less than a million a second. Needs a `u64` or an `i64`.
///
/// # Names
///
/// Attributes are named as serde names them: `rename`, `rename_all` and `rename(serialize = ..)` apply. Hand-written impls of
/// serde's traits must use the names of the fields. The names `_stamp0` to `_stamp31` are reserved.
///
/// - The key and the version must be stored in every item as they are, under the name that they are read under. For these fields,
///   serde's `skip`, `with`, `flatten`, `alias` and the like are refused, and so are renames of one direction.
/// - They must be fields of the struct itself: the macro does not see the fields of a flattened struct.
/// - Another field's `alias` is read as serde reads it, and removed when that field is written.
/// - Above the struct, serde's `from`, `try_from`, `into`, `remote` and `transparent` are refused: they hide which attributes
///   are read or written. The types of fields may use them.
///
/// # Generics
///
/// A struct may have type and constant parameters, but no lifetimes. It implements `Versioned` if it is `Serialize`,
/// `DeserializeOwned`, `Send`, `Sync` and `'static`, and if its version type can count versions. Whether a type parameter can be
/// a key, and whether `start` and `step` fit into it, is not checked at compile time.
#[proc_macro_derive(Versioned, attributes(dynalock))]
pub fn derive_versioned(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    versioned(input.into()).into()
}

fn versioned(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let cx = Ctxt::default();
    let attrs = StructAttrs::read(&cx, &input.attrs);
    let model = Model::read(&cx, &input, &attrs);
    let checked = model.as_ref().and_then(|model| checked(&cx, model));
    match (cx.finish(), checked) {
        (None, Some(checked)) => expand::expand(checked),
        (errors, _) => {
            let errors = errors.unwrap_or_else(|| unexplained(&input));
            fallback::fallback(&input, &attrs.krate(), model.as_ref(), &errors)
        }
    }
}

/// An error for a struct that lacks a field although no rule has reported it: the dummy impl must never compile.
fn unexplained(input: &DeriveInput) -> syn::Error {
    syn::Error::new_spanned(&input.ident, "a versioned struct needs a partition key and a version")
}

/// The fields that the impl needs; `None` if one is missing, which is then among the errors.
fn checked<'m>(cx: &Ctxt, model: &'m Model<'m>) -> Option<Checked<'m>> {
    check::check(cx, model);
    let Roles { partition_key, sort_key, version } = Roles::of(model);
    Some(Checked { model, partition_key: partition_key?, sort_key, version: version? })
}
