//! The struct with its attributes, borrowed from the input of the macro.

use std::collections::HashSet;

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Fields, Generics, LitStr, Meta, Type};

use crate::attr::{FieldAttrs, Piece, StructAttrs, split};
use crate::ctxt::Ctxt;
use crate::serde_attr::{SerdeField, SerdeStruct};
use crate::symbol::{DEPRECATED, is_one_of};

/// A struct with named fields.
pub(crate) struct Model<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
    pub(crate) attrs: &'a StructAttrs,
    pub(crate) serde: SerdeStruct,
    pub(crate) fields: Vec<Field<'a>>,
    /// Whether an attribute of the struct or of a field is `deprecated`, or allows deprecated items.
    pub(crate) uses_deprecated: bool,
}

impl<'a> Model<'a> {
    /// Reads the input, and reports it if it is not a struct with named fields.
    pub(crate) fn read(cx: &Ctxt, input: &'a DeriveInput, attrs: &'a StructAttrs) -> Option<Self> {
        let named = match &input.data {
            Data::Struct(data) => match &data.fields {
                Fields::Named(fields) => &fields.named,
                Fields::Unnamed(_) | Fields::Unit => {
                    let help = "the names of the fields become the names of the attributes in DynamoDB";
                    cx.error(&input.ident, "a versioned struct needs named fields", help);
                    return None;
                }
            },
            Data::Enum(data) => {
                report_not_a_struct(cx, &data.enum_token, "enum");
                return None;
            }
            Data::Union(data) => {
                report_not_a_struct(cx, &data.union_token, "union");
                return None;
            }
        };
        let serde = SerdeStruct::read(&input.attrs);
        let fields = named.iter().filter_map(|field| Field::read(cx, field, &serde)).collect();
        let mut written = input.attrs.iter().chain(named.iter().flat_map(|field| &field.attrs));
        let uses_deprecated = written.any(is_about_deprecated);
        Some(Self { ident: &input.ident, generics: &input.generics, attrs, serde, fields, uses_deprecated })
    }

    /// The fields that serde writes under names of their own.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter().filter(|field| field.serde.is_attribute())
    }

    /// The attributes that serde also reads under another name, with that name. A name that several fields read belongs to the
    /// first of them. A name under which something else is stored is left out.
    pub(crate) fn aliases(&self) -> Vec<(&str, String)> {
        let mut aliases = Vec::new();
        let mut taken = HashSet::new();
        for field in self.fields.iter().filter(|field| field.serde.is_read()) {
            let mut names = field.all_read_names();
            names.retain(|name| taken.insert(name.clone()));
            if field.serde.is_attribute() && names.contains(&field.attribute) {
                names.retain(|name| !name.is_empty() && !self.is_stored(name));
                aliases.extend(names.into_iter().map(|name| (field.attribute.as_str(), name)));
            }
        }
        aliases
    }

    /// Whether serde stores a field or the tag under `name`.
    fn is_stored(&self, name: &str) -> bool {
        self.serde.tag.as_ref().is_some_and(|tag| tag.value() == name)
            || self.attributes().any(|field| field.attribute == name)
    }
}

/// Whether the attribute is `#[deprecated]`, `#[allow(deprecated)]` or similar.
fn is_about_deprecated(attr: &Attribute) -> bool {
    match &attr.meta {
        Meta::List(list) if ["allow", "expect"].iter().any(|level| attr.path().is_ident(level)) => {
            let is_lint = |piece| matches!(piece, Piece::Word(word) if is_one_of(&word.name, &[DEPRECATED, "warnings"]));
            split(list.tokens.clone()).into_iter().any(is_lint)
        }
        _ => attr.path().is_ident(DEPRECATED),
    }
}

fn report_not_a_struct(cx: &Ctxt, keyword: &impl ToTokens, kind: &str) {
    let help = format!("keep the {kind} as a field of a struct that also holds the key and the version");
    cx.error(keyword, "only a struct can be versioned", help);
}

/// A named field.
pub(crate) struct Field<'a> {
    pub(crate) ident: &'a Ident,
    /// The type as it was written, without invisible groups.
    pub(crate) ty: &'a Type,
    pub(crate) attrs: FieldAttrs,
    pub(crate) serde: SerdeField,
    /// The name of the attribute that serde writes.
    pub(crate) attribute: String,
    /// The names of the attributes that serde reads, without aliases.
    pub(crate) read_names: Vec<String>,
}

impl<'a> Field<'a> {
    fn read(cx: &Ctxt, field: &'a syn::Field, container: &SerdeStruct) -> Option<Self> {
        let ident = field.ident.as_ref()?;
        let serde = SerdeField::read(&field.attrs);
        let (attribute, read_names) = serde.names(&ident.unraw().to_string(), container);
        let attrs = FieldAttrs::read(cx, &field.attrs);
        Some(Self { ident, ty: visible(&field.ty), attrs, serde, attribute, read_names })
    }

    /// The names that serde reads, aliases included.
    fn all_read_names(&self) -> Vec<String> {
        let aliases = self.serde.aliases.iter().map(LitStr::value);
        self.read_names.iter().cloned().chain(aliases).collect()
    }

    /// What gives the attribute its name: the text of a `rename`, or the field.
    pub(crate) fn named_by(&self) -> TokenStream {
        match self.serde.write_name() {
            Some(name) => name.to_token_stream(),
            None => self.ident.to_token_stream(),
        }
    }

    /// The name of the field, for messages.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

/// The type within the invisible group that `macro_rules!` puts around it.
pub(crate) fn visible(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => visible(&group.elem),
        Type::Paren(paren) => visible(&paren.elem),
        ty => ty,
    }
}

/// A type, or the length of an array, spelled as in source code, for messages.
pub(crate) fn spelled(written: &impl ToTokens) -> String {
    let mut text = String::new();
    spell(written.to_token_stream(), &mut text);
    text
}

fn spell(tokens: TokenStream, text: &mut String) {
    let mut after_word = false;
    for token in tokens {
        let is_word = matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        if is_word && after_word {
            text.push(' ');
        }
        after_word = is_word;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                spell(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                text.push(punct.as_char());
                if matches!(punct.as_char(), ',' | ';') && punct.spacing() == Spacing::Alone {
                    text.push(' ');
                }
            }
            token => text.push_str(&token.to_string()),
        }
    }
}
