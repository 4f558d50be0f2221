//! What a generic struct must hold to be versioned: its where-clause.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{GenericParam, Generics, Type};

use crate::attr::Start;

/// Whether the type depends on a parameter of the struct. A constant outside the impl cannot name such a type.
pub(crate) fn mentions_parameter(ty: &Type, generics: &Generics) -> bool {
    mentions(ty.to_token_stream(), generics)
}

fn mentions(tokens: TokenStream, generics: &Generics) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => mentions(group.stream(), generics),
        TokenTree::Ident(ident) => {
            ident == "Self"
                || generics.params.iter().any(|parameter| match parameter {
                    GenericParam::Type(parameter) => parameter.ident == ident,
                    GenericParam::Const(parameter) => parameter.ident == ident,
                    GenericParam::Lifetime(_) => false,
                })
        }
        _ => false,
    })
}

/// The struct's own bounds and, if it is generic, those that [`Versioned`] and the schema require.
///
/// [`Versioned`]: https://docs.rs/dynalock/latest/dynalock/trait.Versioned.html
pub(crate) fn where_clause(
    generics: &Generics,
    private: &TokenStream,
    keys: &[&Type],
    version: &Type,
    start: Start,
) -> TokenStream {
    let own = generics.where_clause.as_ref().map(|clause| &clause.predicates);
    if generics.params.is_empty() {
        return generics.where_clause.to_token_stream();
    }
    let mut bounds = vec![quote! {
        Self: #private::Serialize + #private::DeserializeOwned
            + ::core::marker::Send + ::core::marker::Sync + 'static
    }];
    for key in keys.iter().filter(|key| mentions_parameter(key, generics)) {
        bounds.push(quote!(#key: #private::Serialize + #private::DeserializeOwned + 'static));
    }
    if mentions_parameter(version, generics) {
        bounds.push(match start {
            Start::Clock => quote!(#version: #private::ClockVersion),
            Start::At(_) => quote!(#version: #private::VersionNumber),
        });
    }
    let own = own.into_iter().flatten();
    quote!(where #(#own,)* #(#bounds,)*)
}
