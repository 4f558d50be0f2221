//! `#[dynalock(..)]` as values that know where they were written.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::{Attribute, Lit, LitStr, Meta, Path};

use crate::ctxt::Ctxt;
use crate::symbol::{
    CLOCK, CRATE, DYNALOCK, FIELD_WORDS, PARTITION_KEY, SORT_KEY, STAMPS, START, STEP, STRUCT_WORDS, VERSION,
    did_you_mean, is_one_of,
};

const DEFAULT_STAMPS: u8 = 4;
pub(crate) const MAX_STAMPS: u8 = 32;

/// A word with its value. The value is `None` if it was reported as wrong.
pub(crate) struct Setting<T> {
    pub(crate) word: Ident,
    pub(crate) value: Option<T>,
    pub(crate) at: Span,
}

/// The value of `start`.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    At(u64),
    Clock,
}

/// The words of `#[dynalock(..)]` above the struct.
#[derive(Default)]
pub(crate) struct StructAttrs {
    stamps: Option<Setting<u8>>,
    krate: Option<Setting<Path>>,
    pub(crate) misread: Misread,
}

impl StructAttrs {
    pub(crate) fn read(cx: &Ctxt, attrs: &[Attribute]) -> Self {
        let mut read = Self::default();
        for word in dynalock_words(cx, attrs, Place::Struct, &mut read.misread) {
            if word.name == STAMPS {
                once(cx, &word, &mut read.stamps, stamps);
            } else if word.name == CRATE {
                once(cx, &word, &mut read.krate, path);
            }
        }
        read
    }

    /// How many write stamps an item keeps.
    pub(crate) fn stamps(&self) -> u8 {
        self.stamps.as_ref().and_then(|stamps| stamps.value).unwrap_or(DEFAULT_STAMPS)
    }

    /// The path of the crate `dynalock`.
    pub(crate) fn krate(&self) -> TokenStream {
        let written = self.krate.as_ref().and_then(|krate| krate.value.as_ref());
        written.map_or_else(|| quote!(::dynalock), ToTokens::to_token_stream)
    }
}

/// The words of `#[dynalock(..)]` above a field.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub(crate) partition_key: Option<Setting<()>>,
    pub(crate) sort_key: Option<Setting<()>>,
    pub(crate) version: Option<Setting<()>>,
    pub(crate) start: Option<Setting<Start>>,
    pub(crate) step: Option<Setting<u64>>,
    pub(crate) misread: Misread,
}

impl FieldAttrs {
    pub(crate) fn read(cx: &Ctxt, attrs: &[Attribute]) -> Self {
        let mut read = Self::default();
        for word in dynalock_words(cx, attrs, Place::Field, &mut read.misread) {
            if word.name == PARTITION_KEY {
                once(cx, &word, &mut read.partition_key, nothing);
            } else if word.name == SORT_KEY {
                once(cx, &word, &mut read.sort_key, nothing);
            } else if word.name == VERSION {
                once(cx, &word, &mut read.version, nothing);
            } else if word.name == START {
                once(cx, &word, &mut read.start, start);
            } else if word.name == STEP {
                once(cx, &word, &mut read.step, step);
            }
        }
        read
    }

    /// The first version.
    pub(crate) fn start(&self) -> Start {
        self.start.as_ref().and_then(|start| start.value).unwrap_or(Start::At(1))
    }

    /// What each write adds to the version.
    pub(crate) fn step(&self) -> u64 {
        self.step.as_ref().and_then(|step| step.value).unwrap_or(1)
    }

    /// The key's word, if the field is part of the key.
    pub(crate) fn key(&self) -> Option<&Ident> {
        self.partition_key.as_ref().or(self.sort_key.as_ref()).map(|key| &key.word)
    }
}

/// The roles that words already reported as wrong were probably meant as. These roles are not reported as missing too.
#[derive(Default)]
pub(crate) struct Misread {
    roles: Vec<&'static str>,
    /// Whether a word was reported that may have been meant as any role.
    any_role: bool,
}

impl Misread {
    pub(crate) fn may_mean(&self, role: &str) -> bool {
        self.any_role || self.roles.contains(&role)
    }

    fn note(&mut self, meant: Option<&'static str>) {
        match meant {
            Some(role) => self.roles.push(role),
            None => self.any_role = true,
        }
    }
}

/// Where an attribute is written, which decides the words that it takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Struct,
    Field,
}

impl Place {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Struct => STRUCT_WORDS,
            Self::Field => FIELD_WORDS,
        }
    }

    /// The other place, with the words that do not belong here.
    fn other(self) -> Self {
        match self {
            Self::Struct => Self::Field,
            Self::Field => Self::Struct,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Struct => "the struct",
            Self::Field => "a field",
        }
    }

    fn choice(self) -> &'static str {
        match self {
            Self::Struct => "a struct takes `stamps` and `crate`",
            Self::Field => {
                "a field takes `partition_key`, `sort_key`, `version`, and with `version` also `start` and `step`"
            }
        }
    }
}

/// The words of all `#[dynalock(..)]` that belong at this place. Reports the others.
fn dynalock_words(cx: &Ctxt, attrs: &[Attribute], place: Place, misread: &mut Misread) -> Vec<Word> {
    let mut known = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(DYNALOCK)) {
        let Meta::List(list) = &attr.meta else {
            cx.error(&attr.meta, "`dynalock` needs words in parentheses", place.choice());
            misread.any_role = true;
            continue;
        };
        for piece in split(list.tokens.clone()) {
            match piece {
                Piece::Word(word) if is_one_of(&word.name, place.words()) => {
                    known.push(word);
                }
                Piece::Word(word) => misread.note(report_word(cx, &word.name, place)),
                Piece::Other(tokens) => {
                    let what = format!("expected a name such as `{}`, without quotes", place.words()[0]);
                    cx.error(tokens, what, place.choice());
                    misread.any_role = true;
                }
            }
        }
    }
    known
}

/// Reports a word that doesn't belong at this place, and returns what it was probably meant to be.
fn report_word(cx: &Ctxt, word: &Ident, place: Place) -> Option<&'static str> {
    if let Some(misplaced) = STRUCT_WORDS.iter().chain(FIELD_WORDS).find(|known| word == known) {
        match place {
            Place::Field => {
                let what = format!("`{misplaced}` describes the whole item, not one field");
                cx.error(word, what, format!("move `#[dynalock({misplaced} = ..)]` above the struct"));
            }
            Place::Struct => {
                let what = format!("`{misplaced}` describes one field, not the whole item");
                cx.error(word, what, format!("move `#[dynalock({misplaced})]` above that field"));
            }
        }
        return Some(misplaced);
    }
    let here = did_you_mean(&word.to_string(), place.words());
    let there = did_you_mean(&word.to_string(), place.other().words());
    let help = match (here, there) {
        (Some(meant), _) => format!("did you mean `{meant}`? {}", place.choice()),
        (None, Some(meant)) => format!("did you mean `{meant}`? it goes above {}", place.other().name()),
        (None, None) => place.choice().to_owned(),
    };
    cx.error(word, format!("unknown dynalock attribute `{word}`"), help);
    here.or(there)
}

/// Reads the value of a word. If the word appears twice, keeps the first and reports the second.
fn once<T>(cx: &Ctxt, word: &Word, slot: &mut Option<Setting<T>>, read: fn(&Ctxt, &Word) -> Option<T>) {
    let value = read(cx, word);
    match slot {
        Some(first) => cx.second(&first.word, &word.name),
        None => *slot = Some(Setting { word: word.name.clone(), value, at: word.span() }),
    }
}

fn nothing(cx: &Ctxt, word: &Word) -> Option<()> {
    if let Value::None = word.value {
        return Some(());
    }
    let name = &word.name;
    let help = if name == VERSION {
        "write `#[dynalock(version)]`; the first number and the step follow it, as in `version, start = 10, step = 2`"
            .to_owned()
    } else {
        format!("write `#[dynalock({name})]`; the attribute's name follows `#[serde(rename = \"..\")]`")
    };
    cx.error(word, format!("`{name}` takes no value"), help);
    None
}

fn start(cx: &Ctxt, word: &Word) -> Option<Start> {
    const HELP: &str = "write `start = 10` or `start = \"clock\"`";
    match word.literal() {
        Some(Lit::Str(text)) if text.value() == CLOCK => return Some(Start::Clock),
        Some(Lit::Str(text)) if did_you_mean(&text.value(), &[CLOCK]).is_some() => {
            cx.error(text, "`start` expects a whole number or \"clock\"", "did you mean \"clock\"?");
        }
        Some(Lit::Int(number)) => match number.base10_parse().ok() {
            Some(0) => {
                cx.error(word, "`start` must be 1 or more", "version 0 means that an item was never stored");
            }
            Some(first) => return Some(Start::At(first)),
            None => cx.error(word, "`start` must be from 1 to 2^64 - 1", HELP),
        },
        _ => cx.error(word, "`start` expects a whole number or \"clock\"", HELP),
    }
    None
}

fn step(cx: &Ctxt, word: &Word) -> Option<u64> {
    const HELP: &str = "write `step = 2`";
    match word.literal() {
        Some(Lit::Int(number)) => match number.base10_parse().ok() {
            Some(0) => cx.error(word, "`step` must be 1 or more", "every write must raise the version"),
            Some(step) => return Some(step),
            None => cx.error(word, "`step` must be from 1 to 2^64 - 1", HELP),
        },
        _ => cx.error(word, "`step` expects a whole number", HELP),
    }
    None
}

fn stamps(cx: &Ctxt, word: &Word) -> Option<u8> {
    const HELP: &str = "write `stamps = 4`, the default; 0 keeps none";
    match word.literal() {
        Some(Lit::Int(number)) => {
            let stamps: Option<u8> = number.base10_parse().ok();
            match stamps.filter(|stamps| *stamps <= MAX_STAMPS) {
                Some(stamps) => return Some(stamps),
                None => cx.error(number, format!("`stamps` must be from 0 to {MAX_STAMPS}"), HELP),
            }
        }
        _ => cx.error(word, format!("`stamps` expects a whole number from 0 to {MAX_STAMPS}"), HELP),
    }
    None
}

fn path(cx: &Ctxt, word: &Word) -> Option<Path> {
    let path = match (&word.value, word.text()) {
        (_, Some(text)) => text.parse_with(Path::parse_mod_style).ok(),
        (Value::Is(tokens), None) => Path::parse_mod_style.parse2(tokens.clone()).ok(),
        _ => None,
    };
    if path.is_none() {
        cx.error(word, "`crate` expects the path of dynalock", "write `crate = \"path::to::dynalock\"`");
    }
    path
}

/// One entry of an attribute's list.
pub(crate) enum Piece {
    Word(Word),
    Other(TokenStream),
}

/// A word and what follows it.
pub(crate) struct Word {
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    None,
    /// `= ..`
    Is(TokenStream),
    /// `(..)`
    List(TokenStream),
    Other(TokenStream),
}

impl Word {
    /// The value after `=`, if it is a single literal.
    pub(crate) fn literal(&self) -> Option<Lit> {
        match &self.value {
            Value::Is(tokens) => syn::parse2(tokens.clone()).ok(),
            _ => None,
        }
    }

    /// The value after `=`, if it is a single text.
    pub(crate) fn text(&self) -> Option<LitStr> {
        match self.literal()? {
            Lit::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// What an error about the word's value points at: the value, or the word where there is none.
impl ToTokens for Word {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.value {
            Value::Is(value) | Value::List(value) | Value::Other(value) if !value.is_empty() => {
                value.to_tokens(tokens);
            }
            _ => self.name.to_tokens(tokens),
        }
    }
}

/// Splits a list at its commas. It reports no errors, since it also reads the words of other libraries.
pub(crate) fn split(list: TokenStream) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut current = Vec::new();
    for token in flat(list) {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
            pieces.extend(piece(std::mem::take(&mut current)));
        } else {
            current.push(token);
        }
    }
    pieces.extend(piece(current));
    pieces
}

fn piece(tokens: Vec<TokenTree>) -> Option<Piece> {
    let name = match tokens.first()? {
        TokenTree::Ident(name) => name.clone(),
        _ => return Some(Piece::Other(tokens.into_iter().collect())),
    };
    let value = match tokens.get(1) {
        None => Value::None,
        Some(TokenTree::Punct(punct)) if punct.as_char() == '=' => {
            Value::Is(tokens[2..].iter().cloned().collect())
        }
        Some(TokenTree::Group(group)) if tokens.len() == 2 && group.delimiter() == Delimiter::Parenthesis => {
            Value::List(group.stream())
        }
        Some(_) => Value::Other(tokens[1..].iter().cloned().collect()),
    };
    Some(Piece::Word(Word { name, value }))
}

/// The tokens without the invisible groups that `macro_rules!` puts around what it substitutes.
fn flat(tokens: TokenStream) -> Vec<TokenTree> {
    let mut visible = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                visible.extend(flat(group.stream()));
            }
            token => visible.push(token),
        }
    }
    visible
}
