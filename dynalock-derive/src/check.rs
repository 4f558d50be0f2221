//! The rules that a versioned struct keeps, one function each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, Type, TypePath};

use crate::attr::{MAX_STAMPS, Setting};
use crate::ctxt::Ctxt;
use crate::model::{Field, Model, spelled, visible};
use crate::symbol::{ALIAS, FLATTEN, PARTITION_KEY, SERDE_CONVERTS, START, STEP, VERSION, is_one_of};

/// The fields that make a struct a versioned one.
pub(crate) struct Roles<'m> {
    pub(crate) partition_key: Option<&'m Field<'m>>,
    pub(crate) sort_key: Option<&'m Field<'m>>,
    pub(crate) version: Option<&'m Field<'m>>,
}

impl<'m> Roles<'m> {
    pub(crate) fn of(model: &'m Model<'m>) -> Self {
        Self {
            partition_key: model.fields.iter().find(|field| field.attrs.partition_key.is_some()),
            sort_key: model.fields.iter().find(|field| field.attrs.sort_key.is_some()),
            version: model.fields.iter().find(|field| field.attrs.version.is_some()),
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'m Field<'m>> {
        self.partition_key.into_iter().chain(self.sort_key)
    }

    fn all(&self) -> impl Iterator<Item = &'m Field<'m>> {
        self.keys().chain(self.version)
    }
}

/// Reports every rule that the struct breaks.
pub(crate) fn check(cx: &Ctxt, model: &Model<'_>) {
    let roles = Roles::of(model);
    check_struct_owns_its_data(cx, model);
    check_serde_shows_the_attributes(cx, model);
    check_word_is_not_repeated(cx, model, |field| field.attrs.partition_key.as_ref());
    check_word_is_not_repeated(cx, model, |field| field.attrs.sort_key.as_ref());
    check_word_is_not_repeated(cx, model, |field| field.attrs.version.as_ref());
    check_there_is_a_partition_key(cx, model, &roles);
    check_there_is_a_version(cx, model, &roles);
    check_key_is_not_version(cx, model);
    check_key_is_not_both(cx, model);
    check_start_and_step_stand_beside_version(cx, model);
    check_key_types(cx, model, &roles);
    check_version_type(cx, &roles);
    check_stored_as_it_is(cx, &roles);
    check_written_and_read_under_one_name(cx, &roles);
    check_names_are_not_reserved(cx, model);
    check_names_are_not_shared(cx, model);
}

fn check_struct_owns_its_data(cx: &Ctxt, model: &Model<'_>) {
    if let Some(first) = model.generics.lifetimes().next() {
        let help = "use owned types, such as `String` in place of `&str`: items are read into it and outlive the answer";
        cx.error(&first.lifetime, "a versioned struct owns its data", help);
    }
}

/// The type that `from` reads may have aliases, which the macro does not see. A write must remove them: an item with both the old
/// and the new name could not be read again.
fn check_serde_shows_the_attributes(cx: &Ctxt, model: &Model<'_>) {
    for word in &model.serde.hides_attributes {
        let help =
            format!("remove `{word}`: the fields of a versioned struct are the attributes of its item");
        cx.error(word, format!("`#[serde({word})]` hides which attributes serde reads or writes"), help);
    }
}

fn check_word_is_not_repeated<'m>(
    cx: &Ctxt,
    model: &'m Model<'_>,
    setting: impl Fn(&'m Field<'m>) -> Option<&'m Setting<()>>,
) {
    let mut settings = model.fields.iter().filter_map(setting);
    if let Some(first) = settings.next() {
        for second in settings {
            cx.second(&first.word, &second.word);
        }
    }
}

fn check_there_is_a_partition_key(cx: &Ctxt, model: &Model<'_>, roles: &Roles<'_>) {
    if roles.partition_key.is_none() && !may_be_misread(model, PARTITION_KEY) {
        let what = format!("`{}` has no partition key", model.ident);
        cx.error(model.ident, what, "mark the identifying field with `#[dynalock(partition_key)]`");
    }
}

fn check_there_is_a_version(cx: &Ctxt, model: &Model<'_>, roles: &Roles<'_>) {
    // `start` or `step` without `version` is a mistake of its own, which another rule reports.
    let has_start_or_step =
        model.fields.iter().any(|field| field.attrs.start.is_some() || field.attrs.step.is_some());
    if roles.version.is_some() || has_start_or_step || may_be_misread(model, VERSION) {
        return;
    }
    if let Some(field) = model.fields.iter().find(|field| field.name() == VERSION && can_be_version(field)) {
        let what = "this field is not marked as the version";
        cx.error(field.ident, what, "write `#[dynalock(version)]` above it");
    } else {
        let what = format!("`{}` has no version field", model.ident);
        cx.error(model.ident, what, format!("add {}", version_to_add(model)));
    }
}

fn can_be_version(field: &Field<'_>) -> bool {
    field.attrs.key().is_none() && can_count(field.ty)
}

/// A version field to suggest, under a name that no other field has.
fn version_to_add(model: &Model<'_>) -> &'static str {
    let is_taken = |name| model.fields.iter().any(|field| field.name() == name && !can_be_version(field));
    if !is_taken(VERSION) {
        "`#[dynalock(version)] version: u64`"
    } else if !is_taken("row_version") {
        "`#[dynalock(version)] row_version: u64`"
    } else {
        "a field of its own with `#[dynalock(version)]`"
    }
}

fn may_be_misread(model: &Model<'_>, role: &str) -> bool {
    model.attrs.misread.may_mean(role) || model.fields.iter().any(|field| field.attrs.misread.may_mean(role))
}

fn check_key_is_not_version(cx: &Ctxt, model: &Model<'_>) {
    for field in &model.fields {
        if let (Some(_), Some(version)) = (field.attrs.key(), &field.attrs.version) {
            let what =
                "a key field cannot be the version: every write raises the version and keys never change";
            cx.error(&version.word, what, format!("mark another field, such as {}", version_to_add(model)));
        }
    }
}

fn check_key_is_not_both(cx: &Ctxt, model: &Model<'_>) {
    for field in &model.fields {
        if let (Some(_), Some(sort_key)) = (&field.attrs.partition_key, &field.attrs.sort_key) {
            let help = "remove one of the two; a key may consist of a partition key alone";
            cx.error(&sort_key.word, "one field cannot be both `partition_key` and `sort_key`", help);
        }
    }
}

fn check_start_and_step_stand_beside_version(cx: &Ctxt, model: &Model<'_>) {
    for field in model.fields.iter().filter(|field| field.attrs.version.is_none()) {
        if field.attrs.misread.may_mean(VERSION) {
            continue;
        }
        let start = field.attrs.start.as_ref().map(|start| (START, &start.word));
        let step = field.attrs.step.as_ref().map(|step| (STEP, &step.word));
        for (name, word) in start.into_iter().chain(step) {
            let help = format!("write `#[dynalock(version, {name} = ..)]` above the version field");
            cx.error(word, format!("`{name}` belongs to the version field"), help);
        }
    }
}

fn check_key_types(cx: &Ctxt, model: &Model<'_>, roles: &Roles<'_>) {
    for field in roles.keys() {
        let stored_otherwise =
            field.serde.not_as_it_is.iter().any(|word| is_one_of(word, SERDE_CONVERTS) || word == FLATTEN);
        let borrowed = matches!(field.ty, Type::Reference(_)) && model.generics.lifetimes().next().is_some();
        if !stored_otherwise && !borrowed && !can_be_key(field.ty) {
            cx.error(field.ty, not_a_key(field.ty), key_help(field.ty));
        }
    }
}

fn check_version_type(cx: &Ctxt, roles: &Roles<'_>) {
    if let Some(field) = roles.version
        && field.attrs.key().is_none()
        && !can_count(field.ty)
    {
        let what = format!("`{}` cannot count versions", spelled(field.ty));
        let help = match known(field.ty) {
            Known::Generic(name) if name == "Option" => {
                "use `u64`: an item that was never stored has version 0, so no `Option` is needed"
            }
            _ => "expected an integer: `u8`, `u16`, `u32`, `u64`, `i32` or `i64`",
        };
        cx.error(field.ty, what, help);
    }
}

fn check_stored_as_it_is(cx: &Ctxt, roles: &Roles<'_>) {
    for field in roles.all() {
        for word in &field.serde.not_as_it_is {
            let converts = is_one_of(word, SERDE_CONVERTS);
            let help = if converts && field.attrs.key().is_some() {
                let newtype = format!("struct Key(#[serde({word} = \"..\")] {})", spelled(field.ty));
                format!(
                    "put it into a newtype, `{newtype}`, so that keys that are passed to calls are stored alike"
                )
            } else if converts {
                format!("remove `{word}`: a version is stored as a number")
            } else if word == ALIAS {
                format!("remove `{word}`: a condition checks one name only")
            } else {
                format!("remove `{word}`")
            };
            cx.error(word, format!("`{}` must be stored in every item as it is", field.name()), help);
        }
    }
}

fn check_written_and_read_under_one_name(cx: &Ctxt, roles: &Roles<'_>) {
    for field in roles.all().filter(|field| field.read_names.iter().any(|name| *name != field.attribute)) {
        let what = format!("`{}` must be written and read under one name", field.name());
        let one_name = format!("rename = \"{}\"", field.attribute);
        match &field.serde.rename {
            Some(rename) => cx.error(rename, what, format!("write `{one_name}`")),
            None => {
                let help = format!(
                    "write `#[serde({one_name})]` above it, or give both directions of `rename_all` one case"
                );
                cx.error(field.ident, what, help);
            }
        }
    }
}

fn check_names_are_not_reserved(cx: &Ctxt, model: &Model<'_>) {
    let written = attributes(model).map(|used| (used.name, used.named_by));
    let read = model.attributes().flat_map(|field| {
        let names = field.read_names.iter().filter(|name| **name != field.attribute);
        let aliases = field.serde.aliases.iter().map(|alias| (alias.value(), alias.to_token_stream()));
        names.map(|name| (name.clone(), field.named_by())).chain(aliases)
    });
    for (name, named_by) in written.chain(read) {
        if is_stamp(&name) {
            let what = format!("the attribute name \"{name}\" is reserved for write stamps");
            cx.error(named_by, what, "choose another name");
        }
    }
}

fn check_names_are_not_shared(cx: &Ctxt, model: &Model<'_>) {
    let mut first_uses: HashMap<String, Attribute> = HashMap::new();
    for used in attributes(model) {
        match first_uses.entry(used.name.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(used);
            }
            Entry::Occupied(entry) => {
                let first = entry.get();
                let what = format!(
                    "{} and {} are both stored as attribute \"{}\"",
                    first.user, used.user, used.name
                );
                cx.error(used.named_by, what, "rename one of them");
                cx.point_at(&first.named_by, "first used here");
            }
        }
    }
}

/// An attribute that serde writes for a field or for the tag.
struct Attribute {
    name: String,
    /// What gives it its name.
    named_by: TokenStream,
    /// What is stored in it, for messages.
    user: String,
}

/// The tag, if there is one, then the fields.
fn attributes(model: &Model<'_>) -> impl Iterator<Item = Attribute> {
    let tag = model.serde.tag.iter().map(|tag| Attribute {
        name: tag.value(),
        named_by: tag.to_token_stream(),
        user: "serde's `tag`".to_owned(),
    });
    tag.chain(model.attributes().map(|field| Attribute {
        name: field.attribute.clone(),
        named_by: field.named_by(),
        user: format!("`{}`", field.name()),
    }))
}

/// `_stamp0` to `_stamp31`.
fn is_stamp(attribute: &str) -> bool {
    (0..MAX_STAMPS).any(|slot| attribute == format!("_stamp{slot}"))
}

/// What the name of a type shows. A name that may be that of a user's own type is left to the compiler.
enum Known {
    /// A name without arguments, such as `bool`.
    Plain(String),
    /// A name of the standard library with arguments, such as `Option<..>`.
    Generic(String),
    /// Built of other types: a tuple, an array, a reference, a pointer, a function.
    Built,
    Nothing,
}

fn known(ty: &Type) -> Known {
    match ty {
        Type::Path(TypePath { qself: None, path, .. }) => {
            let Some(last) = path.segments.last() else {
                return Known::Nothing;
            };
            let is_std = is_one_of(&path.segments[0].ident, &["std", "core", "alloc"]);
            let name = last.ident.to_string();
            match last.arguments {
                PathArguments::None if path.segments.len() == 1 || is_std => Known::Plain(name),
                PathArguments::AngleBracketed(_) if path.segments.len() == 1 || is_std => {
                    Known::Generic(name)
                }
                _ => Known::Nothing,
            }
        }
        Type::Array(_)
        | Type::FnPtr(_)
        | Type::Never(_)
        | Type::Ptr(_)
        | Type::Reference(_)
        | Type::Slice(_)
        | Type::TraitObject(_)
        | Type::Tuple(_) => Known::Built,
        _ => Known::Nothing,
    }
}

const COLLECTIONS: &[&str] =
    &["Option", "Vec", "VecDeque", "LinkedList", "BinaryHeap", "HashMap", "BTreeMap", "HashSet", "BTreeSet"];

fn can_be_key(ty: &Type) -> bool {
    match known(ty) {
        Known::Plain(name) => !["bool", "f32", "f64", "i128", "u128", "str"].contains(&name.as_str()),
        Known::Generic(name) => !COLLECTIONS.contains(&name.as_str()),
        Known::Built => false,
        Known::Nothing => true,
    }
}

pub(crate) fn not_a_key(ty: &Type) -> impl Display {
    format!("`{}` cannot be a DynamoDB key", spelled(ty))
}

pub(crate) fn key_help(ty: &Type) -> String {
    const EXPECTED: &str = "expected a string, an integer or bytes";
    let as_bytes = match ty {
        Type::Reference(_) => return "use an owned type, such as `String`".to_owned(),
        Type::Array(array) if is_byte(&array.elem) => {
            format!("serde_bytes::ByteArray<{}>", spelled(&array.len))
        }
        Type::Path(TypePath { path, .. })
            if path.segments.last().is_some_and(|last| {
                is_one_of(&last.ident, &["Vec", "Box", "Rc", "Arc", "Cow"]) && holds_bytes(&last.arguments)
            }) =>
        {
            "serde_bytes::ByteBuf".to_owned()
        }
        _ => return EXPECTED.to_owned(),
    };
    format!("{EXPECTED}; serde stores bytes as such for `{as_bytes}`")
}

/// `<u8>` or `<[u8]>`
fn holds_bytes(arguments: &PathArguments) -> bool {
    let PathArguments::AngleBracketed(arguments) = arguments else {
        return false;
    };
    arguments.args.iter().any(|argument| match argument {
        GenericArgument::Type(ty) => match visible(ty) {
            Type::Slice(slice) => is_byte(&slice.elem),
            ty => is_byte(ty),
        },
        _ => false,
    })
}

fn is_byte(ty: &Type) -> bool {
    matches!(visible(ty), Type::Path(path) if path.path.is_ident("u8"))
}

/// Whether the type can count versions, as far as its name shows.
pub(crate) fn can_count(ty: &Type) -> bool {
    const NOT: &[&str] =
        &["bool", "char", "f32", "f64", "i8", "i16", "i128", "isize", "str", "String", "u128", "usize"];
    match known(ty) {
        Known::Plain(name) => !NOT.contains(&name.as_str()),
        Known::Generic(name) => !COLLECTIONS.contains(&name.as_str()),
        Known::Built => false,
        Known::Nothing => true,
    }
}
