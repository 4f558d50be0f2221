//! The changes of an `UpdateItem`: the attributes that it sets and removes, and the update expression that says so.

use std::borrow::Cow;
use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::item::invalid::Invalid;
use crate::item::schema::Schema;
use crate::item::snapshot::Snapshot;
use crate::item::{Attributes, Item};
use crate::write::placeholders::{Placeholders, check_length};

/// The attributes that an `UpdateItem` sets and removes, apart from the version.
#[derive(Default)]
pub(crate) struct Changes {
    set: Attributes,
    remove: Vec<Cow<'static, str>>,
}

impl Changes {
    /// Every attribute of the struct: those that serde wrote are set, and those that it omitted are removed.
    pub(crate) fn all(snapshot: Snapshot) -> Self {
        let schema = snapshot.schema;
        Self { remove: snapshot.omitted().collect(), set: snapshot.attributes }.without_aliases(schema)
    }

    /// The differences between two states of one object.
    pub(crate) fn between(before: &Snapshot, after: Snapshot) -> Self {
        let remove = before
            .attributes
            .iter()
            .filter(|(name, _)| !after.attributes.iter().any(|(kept, _)| kept == name))
            .map(|(name, _)| name.clone())
            .collect();
        let schema = after.schema;
        let before = &before.attributes;
        // Both lists mostly have the same names in the same order, so each search starts where the last one ended. Only a
        // flattened map may change its order.
        let mut cursor = 0;
        let mut set = after.attributes;
        set.retain(|(name, value)| {
            let at = |range: Range<usize>| {
                let start = range.start;
                before[range].iter().position(|(old, _)| old == name).map(|index| start + index)
            };
            match at(cursor..before.len()).or_else(|| at(0..cursor)) {
                Some(index) => {
                    cursor = index + 1;
                    !same(&before[index].1, value)
                }
                None => true,
            }
        });
        Self { set, remove }.without_aliases(schema)
    }

    /// Also removes the other names of each changed attribute. serde would read an old value under such a name, or refuse the
    /// item because its field appears twice.
    fn without_aliases(mut self, schema: &Schema) -> Self {
        for &(attribute, alias) in schema.aliases {
            if self.has(attribute) {
                self.remove.push(alias.into());
            }
        }
        self
    }

    /// Whether the attribute is set or removed.
    pub(super) fn has(&self, attribute: &str) -> bool {
        self.set.iter().any(|(name, _)| name == attribute) || self.remove.iter().any(|name| name == attribute)
    }

    /// Applies the changes to an item.
    pub(crate) fn apply(&self, item: &mut Item) {
        for name in &self.remove {
            item.remove(&**name);
        }
        item.extend(self.set.iter().map(|(name, value)| (name.to_string(), value.clone())));
    }

    /// Adds later changes.
    pub(crate) fn merge(&mut self, later: Self) {
        // The later change of an attribute replaces the earlier one: DynamoDB refuses an expression that names an attribute
        // twice.
        self.set.retain(|(name, _)| !later.has(name));
        self.remove.retain(|name| !later.has(name));
        self.set.extend(later.set);
        self.remove.extend(later.remove);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// The attributes that are set.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.set.iter().map(|(name, value)| (&**name, value))
    }

    /// The update expression of the changes, which also sets the version and, if there is one, the stamp. Each of these is the
    /// name of an attribute and its value.
    pub(crate) fn render(
        self,
        version: (&str, u64),
        stamp: Option<(&str, AttributeValue)>,
        placeholders: &mut Placeholders,
    ) -> Result<String, Invalid> {
        let set_count = self.set.len();
        let remove_count = self.remove.len();
        let mut expression = String::with_capacity(30 + 10 * set_count + 5 * remove_count);
        // The other three are for the version, the stamp, and the version check of the condition.
        placeholders.names.reserve(set_count + remove_count + 3);
        placeholders.values.reserve(set_count + 3);
        expression.push_str("SET #_v=:_w");
        placeholders.name("#_v", version.0);
        placeholders.value(":_w", AttributeValue::N(version.1.to_string()));
        if let Some((slot, stamp)) = stamp {
            expression.push_str(",#_s=:_s");
            placeholders.name("#_s", slot);
            placeholders.value(":_s", stamp);
        }
        for (index, (name, value)) in self.set.into_iter().enumerate() {
            let digits = index.to_string();
            let name_placeholder = ["#_", &digits].concat();
            let value_placeholder = [":_", &digits].concat();
            expression.extend([",", &name_placeholder, "=", &value_placeholder]);
            placeholders.name(name_placeholder, &name);
            placeholders.value(value_placeholder, value);
        }
        // The numbers continue where those of the set attributes end, so that no two names share a placeholder.
        for (index, name) in (set_count..).zip(self.remove) {
            let name_placeholder = ["#_", &index.to_string()].concat();
            expression.extend([if index == set_count { " REMOVE " } else { "," }, &name_placeholder]);
            placeholders.name(name_placeholder, &name);
        }
        check_length("update", &expression)?;
        Ok(expression)
    }
}

/// Whether two values are the same to DynamoDB, whose sets have no order.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
fn same(one: &AttributeValue, other: &AttributeValue) -> bool {
    fn same_set<T: Clone + Ord>(one: &[T], other: &[T]) -> bool {
        let sorted = |set: &[T]| {
            let mut set = set.to_vec();
            set.sort_unstable();
            set
        };
        one == other || one.len() == other.len() && sorted(one) == sorted(other)
    }
    use AttributeValue::{Bs, L, M, Ns, Ss};
    match (one, other) {
        (Ss(one), Ss(other)) | (Ns(one), Ns(other)) => same_set(one, other),
        (Bs(one), Bs(other)) => {
            let bytes = |set: &[aws_sdk_dynamodb::primitives::Blob]| {
                set.iter().map(|blob| blob.as_ref().to_vec()).collect::<Vec<_>>()
            };
            same_set(&bytes(one), &bytes(other))
        }
        (L(one), L(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (M(one), M(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use aws_sdk_dynamodb::primitives::Blob;

    use super::*;

    fn number(value: i32) -> AttributeValue {
        AttributeValue::N(value.to_string())
    }

    fn strings(values: &[&str]) -> AttributeValue {
        AttributeValue::Ss(values.iter().map(ToString::to_string).collect())
    }

    fn map(entries: &[(&str, AttributeValue)]) -> AttributeValue {
        AttributeValue::M(entries.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
    }

    fn snapshot(attributes: &[(&'static str, AttributeValue)]) -> Snapshot {
        let key = std::collections::BTreeMap::from([("id", "x")]);
        let mut snapshot = Snapshot::new(&key, Schema::EXAMPLE, Some(1), u64::MAX).unwrap();
        snapshot.attributes =
            attributes.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone())).collect();
        snapshot
    }

    /// The names that are set and removed on the way from one state to the other.
    fn diff(
        before: &[(&'static str, AttributeValue)],
        after: &[(&'static str, AttributeValue)],
    ) -> (Vec<String>, Vec<String>) {
        let changes = Changes::between(&snapshot(before), snapshot(after));
        let set = changes.set.iter().map(|(name, _)| name.to_string()).collect();
        (set, changes.remove.iter().map(ToString::to_string).collect())
    }

    fn owned<const N: usize>(names: [&str; N]) -> Vec<String> {
        names.map(str::to_owned).to_vec()
    }

    #[test]
    fn changes_are_empty_if_nothing_is_set_and_nothing_removed() {
        let is_empty =
            |before: &[_], after: &[_]| Changes::between(&snapshot(before), snapshot(after)).is_empty();
        assert!(is_empty(&[("a", number(1))], &[("a", number(1))]));
        assert!(!is_empty(&[("a", number(1))], &[("a", number(2))]), "one is set");
        assert!(!is_empty(&[("a", number(1))], &[]), "one is removed");
    }

    #[test]
    fn the_diff_names_exactly_what_differs() {
        let [one, two] = [number(1), number(2)];
        let before = [("a", one.clone()), ("b", one.clone()), ("c", one.clone())];
        let cases: [(&[_], _, _); 7] = [
            (&before, owned([]), owned([])),
            (&[("a", one.clone()), ("b", two.clone()), ("c", one.clone())], owned(["b"]), owned([])),
            (&[("a", one.clone()), ("c", one.clone())], owned([]), owned(["b"])),
            (&[("a", two.clone()), ("c", two.clone())], owned(["a", "c"]), owned(["b"])),
            (&[], owned([]), owned(["a", "b", "c"])),
            (&[("d", one.clone())], owned(["d"]), owned(["a", "b", "c"])),
            (
                &[("a", AttributeValue::S("1".into())), ("b", one.clone()), ("c", one.clone())],
                owned(["a"]),
                owned([]),
            ),
        ];
        for (after, set, removed) in cases {
            assert_eq!(diff(&before, after), (set, removed), "{after:?}");
        }
        assert_eq!(diff(&[], &before), (owned(["a", "b", "c"]), owned([])));
    }

    /// Merged changes make the same item as the changes one after the other. They name no attribute twice, which DynamoDB would
    /// refuse.
    #[test]
    fn later_changes_are_added_to_earlier_ones() {
        let [one, two, three] = [1, 2, 3].map(number);
        let states = [
            vec![("a", one.clone()), ("b", one.clone())],
            vec![("a", two), ("c", one)],
            vec![("b", three.clone()), ("c", three)],
            vec![],
        ];
        let item = |state: &[(&str, AttributeValue)]| -> Item {
            state.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
        };
        for turn in 0..states.len().pow(3) {
            let [first, second, third] = [1, 4, 16].map(|part| &states[turn / part % 4]);
            let mut changes = Changes::between(&snapshot(first), snapshot(second));
            let mut found = item(first);
            changes.apply(&mut found);
            assert_eq!(found, item(second));

            changes.merge(Changes::between(&snapshot(second), snapshot(third)));
            let mut found = item(first);
            changes.apply(&mut found);
            assert_eq!(found, item(third), "{first:?} {second:?}");
            let set = changes.set.iter().map(|(name, _)| name);
            let names: Vec<_> = set.chain(&changes.remove).collect();
            assert_eq!(
                names.iter().collect::<std::collections::HashSet<_>>().len(),
                names.len(),
                "{names:?}"
            );
        }
    }

    /// A flattened map may serialize in another order each time.
    #[test]
    fn the_order_of_attributes_is_no_difference() {
        let attributes: Vec<_> = ["a", "b", "c", "d", "e"].into_iter().zip((0..).map(number)).collect();
        for turn in 0..attributes.len() {
            let mut turned = attributes.clone();
            turned.rotate_left(turn);
            turned.swap(0, 3);
            assert!(Changes::between(&snapshot(&attributes), snapshot(&turned)).is_empty());
            turned[2].1 = number(77);
            let changed = turned[2].0.to_owned();
            assert_eq!(diff(&attributes, &turned), (vec![changed], vec![]));
        }
    }

    /// DynamoDB keeps no order in sets and maps, but does in lists.
    #[test]
    fn only_lists_have_an_order() {
        let blobs = |values: [u8; 2]| AttributeValue::Bs(values.map(|byte| Blob::new([byte])).to_vec());
        let numbers = |values: [i32; 2]| AttributeValue::Ns(values.map(|value| value.to_string()).to_vec());
        let list = |values: [i32; 2]| AttributeValue::L(values.map(number).to_vec());
        assert!(same(&strings(&["x", "y"]), &strings(&["y", "x"])));
        assert!(same(&numbers([1, 2]), &numbers([2, 1])));
        assert!(same(&blobs([1, 2]), &blobs([2, 1])));
        assert!(!same(&list([1, 2]), &list([2, 1])));
        let nested = |set: &[&str]| AttributeValue::L(vec![map(&[("s", strings(set))])]);
        assert!(same(&nested(&["x", "y"]), &nested(&["y", "x"])));
    }

    #[test]
    fn what_differs_in_depth_differs() {
        assert!(!same(&strings(&["x", "y"]), &strings(&["x", "z"])));
        assert!(!same(&strings(&["x"]), &strings(&["x", "y"])));
        assert!(!same(&strings(&["1"]), &AttributeValue::Ns(vec!["1".into()])));
        assert!(!same(&map(&[("a", number(1))]), &map(&[("a", number(2))])));
        assert!(!same(&map(&[("a", number(1))]), &map(&[("b", number(1))])));
        assert!(!same(&map(&[]), &map(&[("a", number(1))])));
        assert!(!same(&AttributeValue::L(vec![number(1)]), &AttributeValue::L(vec![])));
        assert!(!same(&AttributeValue::Null(true), &AttributeValue::Bool(true)));
    }

    fn render(changes: Changes) -> (String, Placeholders) {
        let mut placeholders = Placeholders::default();
        (changes.render(("version", 8), None, &mut placeholders).unwrap(), placeholders)
    }

    #[test]
    fn changes_render_in_their_order_with_the_version_first() {
        let after = [("c", number(3)), ("a", number(1))];
        let changes = Changes::between(&snapshot(&[("x", number(0)), ("y", number(0))]), snapshot(&after));
        let (expression, placeholders) = render(changes);
        assert_eq!(expression, "SET #_v=:_w,#_0=:_0,#_1=:_1 REMOVE #_2,#_3");
        let names = [("#_v", "version"), ("#_0", "c"), ("#_1", "a"), ("#_2", "x"), ("#_3", "y")];
        let names = names.map(|(placeholder, name)| (placeholder.to_owned(), name.to_owned()));
        assert_eq!(placeholders.names, HashMap::from(names));
        let values = [(":_w", number(8)), (":_0", number(3)), (":_1", number(1))];
        assert_eq!(placeholders.values, HashMap::from(values.map(|(name, value)| (name.to_owned(), value))));
    }

    #[test]
    fn no_changes_raise_the_version_alone() {
        let (expression, placeholders) = render(Changes::default());
        assert_eq!(expression, "SET #_v=:_w");
        assert_eq!((placeholders.names.len(), placeholders.values.len()), (1, 1));
    }

    /// Declared attributes that serde omitted are removed, but never the key and the version.
    #[test]
    fn all_changes_set_the_written_attributes_and_remove_the_omitted_ones() {
        let changes = Changes::all(snapshot(&[("b", number(1)), ("extra", number(2))]));
        let set: Vec<_> = changes.attributes().map(|(name, _)| name).collect();
        assert_eq!((set, &changes.remove[..]), (vec!["b", "extra"], &["a".into(), "c".into()][..]));
    }

    /// An attribute that was stored under another name must not keep it in addition to the new one, nor in place of a removed
    /// one.
    #[test]
    fn what_is_set_or_removed_is_removed_under_its_other_names_too() {
        const SCHEMA: &Schema =
            &Schema { aliases: &[("a", "old_a"), ("a", "older_a"), ("b", "old_b")], ..*Schema::EXAMPLE };
        let snapshot = |attributes: &[_]| {
            let mut snapshot = snapshot(attributes);
            snapshot.schema = SCHEMA;
            snapshot
        };
        let removed = |changes: Changes| changes.remove.iter().map(ToString::to_string).collect::<Vec<_>>();
        let [one, two] = [number(1), number(2)];

        let before = snapshot(&[("a", one.clone()), ("b", one.clone())]);
        let between = |after: &[_]| removed(Changes::between(&before, snapshot(after)));
        assert_eq!(between(&[("a", one.clone()), ("b", one.clone())]), owned([]));
        assert_eq!(between(&[("a", two.clone()), ("b", one.clone())]), owned(["old_a", "older_a"]));
        assert_eq!(between(&[("a", one.clone())]), owned(["b", "old_b"]));
        let all = Changes::all(snapshot(&[("a", one.clone())]));
        assert_eq!(removed(all), owned(["b", "c", "old_a", "older_a", "old_b"]));
    }

    /// DynamoDB's limit counts the expression with its placeholders, but not the names and values that these stand for.
    #[test]
    fn an_expression_at_the_limit_passes_and_one_beyond_is_refused() {
        assert!(check_length("update", &"x".repeat(4096)).is_ok());
        let refused = check_length("update", &"x".repeat(4097)).unwrap_err().in_table("").to_string();
        assert!(
            refused.contains("4097") && refused.contains("4096") && refused.contains("replace"),
            "{refused}"
        );

        let many = |count: usize| {
            let name =
                |index| Cow::Owned(format!("a name that takes more room than its placeholder {index}"));
            let set = (0..count).map(|index| (name(index), number(0))).collect();
            Changes { set, remove: Vec::new() }.render(("version", 8), None, &mut Placeholders::default())
        };
        assert!(many(300).is_ok());
        assert!(many(400).is_err());
    }
}
