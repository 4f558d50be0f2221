//! Whether what transactions saw and did could have happened one after another.
//!
//! Every transaction appends a mark of its own to the lists of the items that it writes, and tells the lists that it read.
//! The final lists then show in which order the items were written, and so what every transaction came before: one that
//! it overwrote, one that it read from, one that overwrote what it read, and one that began after it had ended. They fit into
//! one order if and only if these dependencies make no circle. (This is the method of Elle,
//! <https://arxiv.org/abs/2003.10554>, for lists.)

use std::collections::{BTreeMap, HashMap, HashSet};

/// The lists by the keys of their items.
pub(crate) type Lists = BTreeMap<String, Vec<String>>;

/// What its caller knows of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It was applied, or only read.
    Ok,
    /// It may have been applied.
    Unknown,
    /// Its closure refused: what it read counts, what it wanted to write does not.
    Refused,
    /// It was not applied, and what it read is open.
    Failed,
}

/// What the last run of a transaction did.
#[derive(Debug, Clone)]
pub(crate) struct Transaction {
    /// What it appended. Begins with its name and a dot; the runs before the last one had other marks.
    pub(crate) mark: String,
    /// The lists that it read, before it appended to them.
    pub(crate) reads: Lists,
    /// The items that it appended to.
    pub(crate) writes: Vec<String>,
    pub(crate) end: End,
    /// When it began and ended, on a clock that counts such events.
    pub(crate) time: (u64, u64),
}

/// Says why these transactions could not have happened one after another and left these lists.
pub(crate) fn check(transactions: &[Transaction], lists: &Lists) -> Result<(), String> {
    let by_mark: HashMap<&str, usize> =
        transactions.iter().enumerate().map(|(place, transaction)| (&*transaction.mark, place)).collect();
    check_writes(transactions, &by_mark, lists)?;
    let visible: HashSet<&str> = lists.values().flatten().map(String::as_str).collect();
    let took_place = |transaction: &Transaction| match transaction.end {
        End::Ok | End::Refused => true,
        End::Unknown => visible.contains(&*transaction.mark),
        End::Failed => false,
    };
    let mut after = vec![HashSet::new(); transactions.len()];
    for list in lists.values() {
        for pair in list.windows(2) {
            after[by_mark[&*pair[0]]].insert(by_mark[&*pair[1]]);
        }
    }
    for (reader, transaction) in transactions.iter().enumerate().filter(|(_, reader)| took_place(reader)) {
        for (key, read) in &transaction.reads {
            let list = &lists[key];
            if !list.starts_with(read) {
                return Err(format!("{} read {read:?} of {list:?}", transaction.mark));
            }
            let (written, overwritten) = (read.last(), list.get(read.len()));
            written.map(|mark| after[by_mark[&**mark]].insert(reader));
            overwritten.map(|mark| after[reader].insert(by_mark[&**mark]));
        }
        let later =
            |(_, other): &(usize, &Transaction)| took_place(other) && other.time.0 > transaction.time.1;
        // When the answer never came, the transaction may have taken place at any later time.
        if transaction.end != End::Unknown {
            after[reader].extend(transactions.iter().enumerate().filter(later).map(|(place, _)| place));
        }
    }
    for (place, after) in after.iter_mut().enumerate() {
        // It overwrites what it read itself.
        after.remove(&place);
    }
    match circle(&after) {
        Some(circle) => {
            Err(format!("{:#?}", circle.into_iter().map(|at| &transactions[at]).collect::<Vec<_>>()))
        }
        None => Ok(()),
    }
}

/// Whoever was told so was applied once, to all of its items or to none, and nothing else was.
fn check_writes(
    transactions: &[Transaction],
    by_mark: &HashMap<&str, usize>,
    lists: &Lists,
) -> Result<(), String> {
    if let Some(stray) = lists.values().flatten().find(|mark| !by_mark.contains_key(&***mark)) {
        return Err(format!("{stray} is visible, but that run came to nothing"));
    }
    for Transaction { mark, writes, end, .. } in transactions {
        for (key, list) in lists {
            let times = list.iter().filter(|other| *other == mark).count();
            let wanted = usize::from(writes.contains(key));
            let applied = writes.first().is_some_and(|first| lists[first].contains(mark));
            let expected = match end {
                End::Ok => wanted,
                End::Unknown if applied => wanted,
                End::Unknown | End::Refused | End::Failed => 0,
            };
            if times != expected {
                return Err(format!(
                    "{mark} ended with {end:?}, and stands {times} times in {key}: {list:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Some nodes that each come before the next, and the last before the first.
fn circle(after: &[HashSet<usize>]) -> Option<Vec<usize>> {
    let mut left: HashSet<usize> = (0..after.len()).collect();
    // Whoever comes before nobody that is left is in no circle.
    while let Some(free) = left.iter().copied().find(|node| after[*node].is_disjoint(&left)) {
        left.remove(&free);
    }
    let mut path = vec![left.iter().copied().min()?];
    loop {
        let next = after[*path.last()?].iter().copied().filter(|next| left.contains(next)).min()?;
        if let Some(begin) = path.iter().position(|node| *node == next) {
            return Some(path.split_off(begin));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(lists: &[(&str, &str)]) -> Lists {
        let split = |list: &str| list.split_whitespace().map(str::to_owned).collect();
        lists.iter().map(|(key, list)| ((*key).to_owned(), split(list))).collect()
    }

    /// A transaction that ran while all others did.
    fn transaction(mark: &str, reads: &[(&str, &str)], writes: &[&str]) -> Transaction {
        let writes = writes.iter().map(|key| (*key).to_owned()).collect();
        Transaction { mark: mark.to_owned(), reads: lists(reads), writes, end: End::Ok, time: (0, u64::MAX) }
    }

    fn at(time: (u64, u64), transaction: Transaction) -> Transaction {
        Transaction { time, ..transaction }
    }

    fn ended(end: End, transaction: Transaction) -> Transaction {
        Transaction { end, ..transaction }
    }

    #[test]
    fn one_after_another_is_an_order() {
        let transactions = [
            transaction("a", &[("x", ""), ("y", "")], &["x", "y"]),
            transaction("b", &[("x", "a"), ("y", "a")], &["x"]),
            transaction("c", &[("x", "a b")], &[]),
            transaction("d", &[("y", "a"), ("x", "a b")], &["y"]),
        ];
        assert_eq!(check(&transactions, &lists(&[("x", "a b"), ("y", "a d")])), Ok(()));
    }

    #[test]
    fn a_lost_update_is_a_circle() {
        let transactions = [transaction("a", &[("x", "")], &["x"]), transaction("b", &[("x", "")], &["x"])];
        assert!(check(&transactions, &lists(&[("x", "a b")])).is_err());
    }

    #[test]
    fn a_write_skew_is_a_circle() {
        let both = [("x", ""), ("y", "")];
        let transactions = [transaction("a", &both, &["x"]), transaction("b", &both, &["y"])];
        assert!(check(&transactions, &lists(&[("x", "a"), ("y", "b")])).is_err());
    }

    #[test]
    fn a_torn_read_is_a_circle_also_before_a_refusal() {
        let writer = transaction("a", &[], &["x", "y"]);
        let reader = transaction("b", &[("x", ""), ("y", "a")], &[]);
        let lists = lists(&[("x", "a"), ("y", "a")]);
        for end in [End::Ok, End::Refused] {
            assert!(check(&[writer.clone(), ended(end, reader.clone())], &lists).is_err());
        }
        assert_eq!(check(&[writer, ended(End::Failed, reader)], &lists), Ok(()), "nobody relies on it");
    }

    #[test]
    fn a_read_of_what_was_overwritten_before_it_began_is_a_circle() {
        let writer = at((1, 2), transaction("a", &[], &["x"]));
        let late = at((3, 4), transaction("b", &[("x", "")], &[]));
        let in_time = at((2, 4), late.clone());
        let lists = lists(&[("x", "a")]);
        assert!(check(&[writer.clone(), late], &lists).is_err());
        assert_eq!(check(&[writer, in_time], &lists), Ok(()));
    }

    #[test]
    fn what_came_to_nothing_is_not_visible() {
        let writer = transaction("a.2", &[], &["x"]);
        for (end, visible) in
            [(End::Failed, "a.2"), (End::Refused, "a.2"), (End::Ok, "a.1 a.2"), (End::Ok, "")]
        {
            let transactions = [ended(end, writer.clone())];
            assert!(check(&transactions, &lists(&[("x", visible)])).is_err(), "{end:?} {visible}");
        }
        let reader = transaction("b", &[("x", "a.2")], &[]);
        assert!(check(&[ended(End::Failed, writer), reader], &lists(&[("x", "")])).is_err());
    }

    #[test]
    fn a_transaction_is_applied_once_and_as_a_whole_or_not_at_all() {
        let writer = ended(End::Unknown, transaction("a", &[], &["x", "y"]));
        for (x, y, fits) in
            [("a", "a", true), ("", "", true), ("a", "", false), ("", "a", false), ("a a", "a", false)]
        {
            let applied = check(std::slice::from_ref(&writer), &lists(&[("x", x), ("y", y)]));
            assert_eq!(applied.is_ok(), fits, "{x:?} {y:?}: {applied:?}");
        }
    }
}
