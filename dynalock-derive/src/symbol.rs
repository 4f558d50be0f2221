//! Every word that the macro knows, once, and the guess at what a misspelled one was meant to be.

use proc_macro2::Ident;

pub(crate) const DYNALOCK: &str = "dynalock";
pub(crate) const SERDE: &str = "serde";
pub(crate) const DEPRECATED: &str = "deprecated";

pub(crate) const PARTITION_KEY: &str = "partition_key";
pub(crate) const SORT_KEY: &str = "sort_key";
pub(crate) const VERSION: &str = "version";
pub(crate) const START: &str = "start";
pub(crate) const STEP: &str = "step";
pub(crate) const STAMPS: &str = "stamps";
pub(crate) const CRATE: &str = "crate";

/// The words of `#[dynalock(..)]` above a field.
pub(crate) const FIELD_WORDS: &[&str] = &[PARTITION_KEY, SORT_KEY, VERSION, START, STEP];
/// The words of `#[dynalock(..)]` above a struct.
pub(crate) const STRUCT_WORDS: &[&str] = &[STAMPS, CRATE];

/// The one text that `start` takes.
pub(crate) const CLOCK: &str = "clock";

pub(crate) const ALIAS: &str = "alias";
pub(crate) const DESERIALIZE: &str = "deserialize";
const DESERIALIZE_WITH: &str = "deserialize_with";
pub(crate) const FLATTEN: &str = "flatten";
pub(crate) const RENAME: &str = "rename";
pub(crate) const RENAME_ALL: &str = "rename_all";
pub(crate) const SERIALIZE: &str = "serialize";
const SERIALIZE_WITH: &str = "serialize_with";
pub(crate) const SKIP: &str = "skip";
pub(crate) const SKIP_DESERIALIZING: &str = "skip_deserializing";
pub(crate) const SKIP_SERIALIZING: &str = "skip_serializing";
const SKIP_SERIALIZING_IF: &str = "skip_serializing_if";
pub(crate) const TAG: &str = "tag";
const WITH: &str = "with";

/// Words of serde above a struct that let other code decide how items are read or written. serde refuses the last two as
/// well, and then generates no impls. The macro refuses them too, so that the struct gets a dummy impl that needs none.
pub(crate) const SERDE_HIDES_ATTRIBUTES: &[&str] =
    &["from", "try_from", "into", "remote", "transparent", "untagged"];
/// Words of serde above a field that store it in another form than its type does.
pub(crate) const SERDE_CONVERTS: &[&str] = &[WITH, SERIALIZE_WITH, DESERIALIZE_WITH];
/// Words of serde that keep a key or a version from being stored in every item, or from being found there.
pub(crate) const SERDE_NOT_AS_IT_IS: &[&str] = &[
    SKIP,
    SKIP_SERIALIZING,
    SKIP_DESERIALIZING,
    SKIP_SERIALIZING_IF,
    FLATTEN,
    WITH,
    SERIALIZE_WITH,
    DESERIALIZE_WITH,
    ALIAS,
];

/// Names that other libraries, and DynamoDB itself in the past, use for the same thing.
const SYNONYMS: &[(&str, &str)] = &[
    ("hash", PARTITION_KEY),
    ("hash_key", PARTITION_KEY),
    ("id", PARTITION_KEY),
    ("key", PARTITION_KEY),
    ("pk", PARTITION_KEY),
    ("primary_key", PARTITION_KEY),
    ("range", SORT_KEY),
    ("range_key", SORT_KEY),
    ("revision", VERSION),
    ("sk", SORT_KEY),
    ("sort", SORT_KEY),
];

pub(crate) fn is_one_of(word: &Ident, known: &[&str]) -> bool {
    known.iter().any(|known| word == known)
}

/// The known word that was probably meant.
pub(crate) fn did_you_mean(word: &str, known: &[&'static str]) -> Option<&'static str> {
    let word = word.to_lowercase();
    if let Some((_, meant)) = SYNONYMS.iter().find(|(other, meant)| *other == word && known.contains(meant)) {
        return Some(meant);
    }
    known
        .iter()
        .map(|known| (distance(&word, known), *known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// How many letters were added, dropped, changed or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let changed = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (last[j - 1] + changed).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        for (word, meant) in [
            ("versoin", VERSION),
            ("Version", VERSION),
            ("verison", VERSION),
            ("partitionKey", PARTITION_KEY),
            ("partion_key", PARTITION_KEY),
            ("hash_key", PARTITION_KEY),
            ("primary_key", PARTITION_KEY),
            ("sortkey", SORT_KEY),
            ("sort", SORT_KEY),
            ("strat", START),
            ("stepp", STEP),
        ] {
            assert_eq!(did_you_mean(word, FIELD_WORDS), Some(meant), "{word}");
        }
        assert_eq!(did_you_mean("stamp", STRUCT_WORDS), Some(STAMPS));
    }

    #[test]
    fn another_word_is_not_guessed_at() {
        for word in ["", "x", "optimistic", "skip", "stop_it", "ein_schlüssel"] {
            assert_eq!(did_you_mean(word, FIELD_WORDS), None, "{word}");
        }
        assert_eq!(did_you_mean("hash_key", STRUCT_WORDS), None);
    }
}
