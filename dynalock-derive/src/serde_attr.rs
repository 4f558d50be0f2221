//! What `#[serde(..)]` says about names and about what is left out. Read-only and lenient: serde reports its own errors.

use proc_macro2::Ident;
use syn::{Attribute, LitStr, Meta};

use crate::attr::{Piece, Value, Word, split};
use crate::case::Case;
use crate::symbol::{
    ALIAS, DESERIALIZE, FLATTEN, RENAME, RENAME_ALL, SERDE, SERDE_HIDES_ATTRIBUTES, SERDE_NOT_AS_IT_IS,
    SERIALIZE, SKIP, SKIP_DESERIALIZING, SKIP_SERIALIZING, TAG, is_one_of,
};

/// The words of `#[serde(..)]` above the struct that concern names.
#[derive(Default)]
pub(crate) struct SerdeStruct {
    write_case: Option<Case>,
    read_case: Option<Case>,
    /// The attribute that holds the name of the struct.
    pub(crate) tag: Option<LitStr>,
    /// Words that hide which attributes serde reads or writes.
    pub(crate) hides_attributes: Vec<Ident>,
}

impl SerdeStruct {
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let mut read = Self::default();
        for word in serde_words(attrs) {
            if word.name == RENAME_ALL {
                let (write, from) = both_ways(&word);
                read.write_case = write.and_then(|rule| Case::named(&rule.value())).or(read.write_case);
                read.read_case = from.first().and_then(|rule| Case::named(&rule.value())).or(read.read_case);
            } else if word.name == TAG {
                read.tag = word.text();
            } else if is_one_of(&word.name, SERDE_HIDES_ATTRIBUTES) {
                read.hides_attributes.push(word.name);
            }
        }
        read
    }
}

/// The words of `#[serde(..)]` above a field that concern names and omissions.
#[derive(Default)]
pub(crate) struct SerdeField {
    write_name: Option<LitStr>,
    read_names: Vec<LitStr>,
    not_written: bool,
    not_read: bool,
    flattened: bool,
    /// The word `rename`.
    pub(crate) rename: Option<Ident>,
    /// The names in `alias`.
    pub(crate) aliases: Vec<LitStr>,
    /// Words that a key or a version cannot have.
    pub(crate) not_as_it_is: Vec<Ident>,
}

impl SerdeField {
    pub(crate) fn read(attrs: &[Attribute]) -> Self {
        let mut read = Self::default();
        for word in serde_words(attrs) {
            if word.name == RENAME {
                let (write, from) = both_ways(&word);
                read.write_name = write.or(read.write_name);
                read.read_names.extend(from);
                read.rename = Some(word.name);
                continue;
            }
            if word.name == SKIP || word.name == SKIP_SERIALIZING {
                read.not_written = true;
            }
            if word.name == SKIP || word.name == SKIP_DESERIALIZING {
                read.not_read = true;
            }
            if word.name == FLATTEN {
                read.flattened = true;
            }
            read.aliases.extend(word.text().filter(|_| word.name == ALIAS));
            if is_one_of(&word.name, SERDE_NOT_AS_IT_IS) {
                read.not_as_it_is.push(word.name);
            }
        }
        read
    }

    /// Whether serde may write the field under a name of its own.
    pub(crate) fn is_attribute(&self) -> bool {
        !self.not_written && !self.flattened
    }

    /// Whether serde may read the field under names of its own.
    pub(crate) fn is_read(&self) -> bool {
        !self.not_read && !self.flattened
    }

    /// The text that names the attribute, if the field is renamed.
    pub(crate) fn write_name(&self) -> Option<&LitStr> {
        self.write_name.as_ref()
    }

    /// The attribute that serde writes for the field called `field`, and those that it reads, without aliases.
    pub(crate) fn names(&self, field: &str, container: &SerdeStruct) -> (String, Vec<String>) {
        let in_case = |case: Option<Case>| case.map_or_else(|| field.to_owned(), |case| case.apply(field));
        let write = self.write_name.as_ref().map_or_else(|| in_case(container.write_case), LitStr::value);
        let read = if self.read_names.is_empty() {
            vec![in_case(container.read_case)]
        } else {
            self.read_names.iter().map(LitStr::value).collect()
        };
        (write, read)
    }
}

/// The names to write and to read: `= ".."` for both directions, or `(serialize = "..", deserialize = "..")`. serde reads every
/// name that `deserialize` gives it.
fn both_ways(word: &Word) -> (Option<LitStr>, Vec<LitStr>) {
    let Value::List(list) = &word.value else {
        return (word.text(), word.text().into_iter().collect());
    };
    let mut write = None;
    let mut read = Vec::new();
    for direction in split(list.clone()) {
        if let Piece::Word(direction) = direction
            && let Some(text) = direction.text()
        {
            if direction.name == SERIALIZE {
                write = write.or(Some(text));
            } else if direction.name == DESERIALIZE {
                read.push(text);
            }
        }
    }
    (write, read)
}

fn serde_words(attrs: &[Attribute]) -> impl Iterator<Item = Word> {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident(SERDE))
        .filter_map(|attr| match &attr.meta {
            Meta::List(list) => Some(split(list.tokens.clone())),
            _ => None,
        })
        .flatten()
        .filter_map(|piece| match piece {
            Piece::Word(word) => Some(word),
            Piece::Other(_) => None,
        })
}
