//! The code that the macro generates, compared with the files in `snapshots`. `UPDATE_EXPECT=1 cargo test` rewrites them.

use expect_test::{ExpectFile, expect_file};
use proc_macro2::{Group, TokenStream, TokenTree};
use quote::quote;

use crate::versioned;

#[expect(clippy::needless_pass_by_value)] // a call reads best with `quote!` as its argument
fn expands_to(snapshot: ExpectFile, input: TokenStream) {
    let file = syn::parse2(versioned(input)).expect("generated code can be parsed");
    snapshot.assert_eq(&prettyplease::unparse(&file));
}

#[test]
fn a_struct_with_a_partition_key() {
    expands_to(
        expect_file!["../snapshots/partition_key.rs"],
        quote! {
            struct Account {
                #[dynalock(partition_key)]
                id: String,
                balance: i64,
                #[dynalock(version)]
                version: u64,
            }
        },
    );
}

/// Aliases under which something else is stored are left out.
#[test]
fn a_struct_that_says_everything() {
    expands_to(
        expect_file!["../snapshots/everything.rs"],
        quote! {
            #[serde(rename_all = "camelCase", deny_unknown_fields, tag = "kind")]
            #[dynalock(stamps = 8, crate = "crate::storage")]
            pub(crate) struct Line {
                #[serde(rename = "PK")]
                #[dynalock(partition_key)]
                cart_id: CartId,
                #[dynalock(sort_key)]
                r#type: std::num::NonZeroU32,
                #[serde(skip_serializing_if = "Option::is_none", alias = "note", alias = "type", alias = "kind")]
                gift_note: Option<String>,
                #[serde(skip)]
                cached: Vec<u8>,
                #[serde(flatten)]
                others: HashMap<String, String>,
                #[dynalock(version, start = 10, step = 5)]
                row_version: u32,
            }
        },
    );
}

#[test]
fn a_generic_struct() {
    expands_to(
        expect_file!["../snapshots/generic.rs"],
        quote! {
            struct Document<K: Ord, B = Vec<u8>, V = u64, const N: usize = 4>
            where
                B: Clone,
            {
                #[dynalock(partition_key)]
                id: K,
                #[dynalock(sort_key)]
                part: u32,
                body: [B; N],
                #[dynalock(version, start = "clock")]
                version: V,
            }
        },
    );
}

#[test]
fn a_clock_that_starts_the_versions() {
    expands_to(
        expect_file!["../snapshots/clock.rs"],
        quote! {
            struct Session {
                #[dynalock(partition_key)]
                token: String,
                #[dynalock(version, start = "clock")]
                version: i64,
            }
        },
    );
}

#[test]
fn a_refused_struct() {
    expands_to(
        expect_file!["../snapshots/refused.rs"],
        quote! {
            struct Document<B: Clone> {
                #[dynalock(partition_key)]
                id: String,
                #[dynalock(sort_key)]
                part: u32,
                body: B,
                version: u64,
            }
        },
    );
}

/// The inputs are a struct in which a token is missing or doubled.
#[test]
fn no_input_makes_the_macro_panic_or_lets_a_dummy_impl_compile() {
    let input = quote! {
        #[dynalock(stamps = 4, crate = "crate::dynalock")]
        #[serde(rename_all(serialize = "camelCase", deserialize = "kebab-case"), tag = "kind", bound = "")]
        struct Order<'a, T: Iterator<Item = u8> + 'a, const N: usize = { 1 + 2 }> where T: Clone {
            #[dynalock(partition_key)]
            #[serde(rename = "pk", alias = "id")]
            id: <T as Iterator>::Item,
            #[dynalock(sort_key = 1)]
            r#type: Option<[Vec<&'a dyn Fn(u8) -> u8>; { N * 2 }]>,
            #[dynalock(version, start = 10, step = -2)]
            version: std::primitive::u64,
            #[serde(rename(serialize = "_stamp1"), skip_serializing_if = "f", unknown(x = [1, 2]), flatten)]
            last: (),
        }
    };
    let variants = variants(input);
    assert!(variants.len() > 300);
    for variant in variants {
        let output = versioned(variant).to_string();
        assert!(output.contains("impl") || output.contains("compile_error"));
        assert!(!output.contains("loop") || output.contains("compile_error"), "{output}");
    }
}

/// The tokens without each one of them, and with each one of them twice, at every depth.
fn variants(tokens: TokenStream) -> Vec<TokenStream> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut variants = Vec::new();
    for at in 0..tokens.len() {
        let with = |replacement: Vec<TokenTree>| {
            let mut variant = tokens.clone();
            variant.splice(at..=at, replacement);
            variant.into_iter().collect()
        };
        variants.push(with(vec![]));
        variants.push(with(vec![tokens[at].clone(), tokens[at].clone()]));
        if let TokenTree::Group(group) = &tokens[at] {
            for inner in self::variants(group.stream()) {
                variants.push(with(vec![Group::new(group.delimiter(), inner).into()]));
            }
        }
    }
    variants
}
