//! The impl that a checked struct gets. Nothing fails here.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Type;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use crate::attr::Start;
use crate::bounds::{mentions_parameter, where_clause};
use crate::check::{key_help, not_a_key};
use crate::model::{Field, Model, spelled};

/// The fields of a struct that passed every check.
#[derive(Clone, Copy)]
pub(crate) struct Checked<'m> {
    pub(crate) model: &'m Model<'m>,
    pub(crate) partition_key: &'m Field<'m>,
    pub(crate) sort_key: Option<&'m Field<'m>>,
    pub(crate) version: &'m Field<'m>,
}

impl<'m> Checked<'m> {
    fn keys(&self) -> impl Iterator<Item = &'m Field<'m>> {
        std::iter::once(self.partition_key).chain(self.sort_key)
    }
}

pub(crate) fn expand(checked: Checked<'_>) -> TokenStream {
    let Checked { model, partition_key, version, .. } = checked;
    let krate = model.attrs.krate();
    let private = quote!(#krate::__private);
    let ident = model.ident;
    let keys: Vec<&Type> = checked.keys().map(|field| field.ty).collect();
    let (impl_generics, type_generics, _) = model.generics.split_for_impl();
    let bounds = where_clause(model.generics, &private, &keys, version.ty, version.attrs.start());

    let key = key_type(&private, &keys);
    let key = quote_spanned!(here(partition_key.ty.span())=> type Key = #key;);
    let schema = schema(checked, &private);
    let version_type = version.ty;
    let version_item = quote_spanned!(here(version_type.span())=> type Version = #version_type;);
    let version_field = version.ident;
    let checks = constant_checks(checked, &private);
    let allow_deprecated = allow_deprecated(model);
    quote! {
        #[automatically_derived]
        #allow_deprecated
        impl #impl_generics #krate::Versioned for #ident #type_generics #bounds {
            #key
            #version_item
            const SCHEMA: #private::Schema = #schema;
            fn __version(&self) -> #version_type {
                ::core::clone::Clone::clone(&self.#version_field)
            }
            fn __set_version(&mut self, __version: #version_type) {
                self.#version_field = __version;
            }
        }
        #checks
    }
}

/// The type `Versioned::Key`: that of the partition key, or `PartitionAndSort` of both key types.
pub(crate) fn key_type(private: &TokenStream, keys: &[&Type]) -> TokenStream {
    match keys {
        [key] => quote!(#key),
        keys => quote!(#private::PartitionAndSort<#(#keys),*>),
    }
}

fn schema(checked: Checked<'_>, private: &TokenStream) -> TokenStream {
    let Checked { model, partition_key, sort_key, version } = checked;
    let name = model.ident.unraw().to_string();
    let partition_key = key_attribute(partition_key, private);
    let sort_key = sort_key.map_or_else(
        || quote!(::core::option::Option::None),
        |field| {
            let sort_key = key_attribute(field, private);
            quote!(::core::option::Option::Some(#sort_key))
        },
    );
    let version_name = &version.attribute;
    let attributes = model.attributes().map(|field| &field.attribute);
    let aliases = model.aliases();
    let aliases = aliases.iter().map(|(attribute, alias)| quote!((#attribute, #alias)));
    let start = match version.attrs.start() {
        Start::Clock => quote!(#private::Start::Clock),
        Start::At(first) => {
            let first = Literal::u64_unsuffixed(first);
            quote!(#private::Start::At(#first))
        }
    };
    let step = Literal::u64_unsuffixed(version.attrs.step());
    let stamps = Literal::u8_unsuffixed(model.attrs.stamps());
    quote! {
        #private::Schema {
            name: #name,
            partition_key: #partition_key,
            sort_key: #sort_key,
            version: #version_name,
            attributes: &[#(#attributes),*],
            aliases: &[#(#aliases),*],
            start: #start,
            step: #step,
            stamps: #stamps,
        }
    }
}

fn key_attribute(field: &Field<'_>, private: &TokenStream) -> TokenStream {
    let name = &field.attribute;
    let ty = field.ty;
    quote!(#private::KeyAttribute { name: #name, scalar_type: #private::scalar_type::<#ty> })
}

/// The checks that only the compiler can make, of types behind aliases and of literals. Each is in a constant of its own, so that
/// the compiler reports every mistake.
fn constant_checks(checked: Checked<'_>, private: &TokenStream) -> TokenStream {
    let generics = checked.model.generics;
    let mut checks = Vec::new();
    for key in checked.keys() {
        if !mentions_parameter(key.ty, generics) {
            checks.push(key_check(key.ty, private));
        }
    }
    if !mentions_parameter(checked.version.ty, generics) {
        checks.extend(number_checks(checked.version, private));
    }
    let allow_deprecated = allow_deprecated(checked.model);
    quote! {
        #(
            #allow_deprecated
            const _: () = { #checks };
        )*
    }
}

/// `#[allow(deprecated)]`, if the struct or a field has an attribute about deprecation: generated code names the same types, so
/// it may use a deprecated one where the struct may. Any other struct gets no `allow`, which is an error under
/// `forbid(deprecated)`.
pub(crate) fn allow_deprecated(model: &Model<'_>) -> Option<TokenStream> {
    model.uses_deprecated.then(|| quote!(#[allow(deprecated)]))
}

fn key_check(ty: &Type, private: &TokenStream) -> TokenStream {
    let message = format!("{}\nhelp: {}", not_a_key(ty), key_help(ty));
    let at = here(ty.span());
    let private = moved(private, at);
    quote_spanned! {at=>
        use #private::Allowed as _;
        #private::check(!#private::KeyProbe::<#ty>::REFUSED, #message);
    }
}

fn number_checks(version: &Field<'_>, private: &TokenStream) -> Vec<TokenStream> {
    let ty = version.ty;
    let mut checks = Vec::new();
    let fits = |word: &str, number: u64, at: Span| {
        let message = format!(
            "`{word} = {number}` does not fit into `{}`\nhelp: use a smaller number or a wider type, such as `u64`",
            spelled(ty)
        );
        let number = Literal::u64_unsuffixed(number);
        let at = here(at);
        let private = moved(private, at);
        quote_spanned!(at=> #private::check(#number <= <#ty as #private::VersionNumber>::MAX, #message);)
    };
    if let Some(start) = &version.attrs.start {
        match start.value {
            Some(Start::At(first)) => checks.push(fits("start", first, start.at)),
            Some(Start::Clock) => {
                let at = here(ty.span());
                let private = moved(private, at);
                checks.push(quote_spanned!(at=> #private::clock_version::<#ty>();));
            }
            None => {}
        }
    }
    if let Some(step) = &version.attrs.step
        && let Some(number) = step.value
    {
        checks.push(fits("step", number, step.at));
    }
    checks
}

/// A place in the user's code where names resolve as in the macro's own code, so that lints for hand-written code ignore it.
fn here(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// The same path at another place, so that an error about it points only there. Its names still resolve as where it was written,
/// as `$crate` must.
fn moved(path: &TokenStream, at: Span) -> TokenStream {
    let tokens = path.clone().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(token.span().located_at(at));
            token
        })
        .collect()
}
