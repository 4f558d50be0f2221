//! What a refused struct gets: the errors, and a dummy impl so that its uses add no errors of their own.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Type};

use crate::bounds::mentions_parameter;
use crate::check::{Roles, can_count};
use crate::expand::{allow_deprecated, key_type};
use crate::model::Model;

/// The errors and the dummy impl. It keeps the key and version types of the struct where they are usable.
pub(crate) fn fallback(
    input: &DeriveInput,
    krate: &TokenStream,
    model: Option<&Model<'_>>,
    errors: &syn::Error,
) -> TokenStream {
    let errors = errors.to_compile_error();
    let private = quote!(#krate::__private);
    let ident = &input.ident;
    let (impl_generics, type_generics, _) = input.generics.split_for_impl();
    let own = input.generics.where_clause.iter().flat_map(|clause| &clause.predicates);

    let roles = model.map(Roles::of);
    let owned =
        |ty: &&Type| !mentions_parameter(ty, &input.generics) && input.generics.lifetimes().next().is_none();
    let keys: Vec<&Type> = roles.iter().flat_map(Roles::keys).map(|field| field.ty).collect();
    let key = if keys.is_empty() || !keys.iter().all(owned) {
        quote!(::std::string::String)
    } else {
        key_type(&private, &keys)
    };
    let version =
        roles.and_then(|roles| roles.version).map(|field| field.ty).filter(owned).filter(|ty| can_count(ty));
    let version = version.map_or_else(|| quote!(::core::primitive::u64), |ty| quote!(#ty));
    let allow_deprecated = model.and_then(allow_deprecated);
    quote! {
        #errors
        #[automatically_derived]
        #allow_deprecated
        impl #impl_generics #krate::Versioned for #ident #type_generics
        where
            #(#own,)*
            for<'__dynalock> Self: #private::Stored<'__dynalock>,
        {
            type Key = #key;
            type Version = #version;
            const SCHEMA: #private::Schema = #private::REFUSED;
            fn __version(&self) -> Self::Version {
                loop {}
            }
            fn __set_version(&mut self, _: Self::Version) {}
        }
    }
}
