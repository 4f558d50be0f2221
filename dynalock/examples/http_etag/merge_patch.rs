//! JSON merge patches: members replace, null removes.
//!
//! <https://www.rfc-editor.org/rfc/rfc7396.html>

use serde_json::{Map, Value};

pub(crate) fn apply(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, change) in patch {
        if change.is_null() {
            target.remove(&name);
        } else {
            apply(target.entry(name).or_insert(Value::Null), change);
        }
    }
}
