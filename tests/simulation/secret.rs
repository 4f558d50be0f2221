//! What no error may show.

use std::error::Error;

use dynalock_tests::history::SECRET;

use crate::document::{LASTING, MORTAL};

/// Returns what an error or one of its causes shows of an item, if anything.
pub(crate) fn leak(error: &(dyn Error + 'static)) -> Option<String> {
    std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source())
        .flat_map(|error| [format!("{error}"), format!("{error:?}"), format!("{error:#?}")])
        .find(|shown| [SECRET, LASTING, MORTAL].iter().any(|value| shown.contains(value)))
}

#[test]
fn a_leak_is_found_at_any_depth() {
    let at_depth = |depth, text: &str| {
        let cause: Box<dyn Error + Send + Sync> = text.into();
        (0..depth).fold(std::io::Error::other(cause), |cause, _| std::io::Error::other(cause))
    };
    for depth in 0..3 {
        assert_eq!(leak(&at_depth(depth, "the check failed")), None);
        assert!(leak(&at_depth(depth, &format!("found {SECRET} 17.2"))).is_some());
        assert!(leak(&at_depth(depth, &format!("no {MORTAL}"))).is_some());
    }
}
