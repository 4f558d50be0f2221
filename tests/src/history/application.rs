//! Where a call's change was applied.

use super::{Call, Effect, History, log, version};

/// A call's change in one of the store's effects, which may carry those of other calls too.
#[derive(Clone, Copy, Debug)]
pub struct Application<'h> {
    /// The index of the effect.
    pub index: usize,
    /// What the store did.
    pub effect: &'h Effect,
    /// How many changes it carries up to this one; 0 if the call leaves no mark.
    place: usize,
}

impl Application<'_> {
    /// The mark that the call left.
    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        self.effect.appended[..self.place].last().map(String::as_str)
    }

    /// Whether no other change follows it, so that it leaves what is stored.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self.place, 0) || self.place == self.effect.appended.len()
    }

    /// The version and the list that the change left: with the changes before it, at the version from before unless it is the
    /// last.
    #[must_use]
    pub fn left(&self) -> (u64, Vec<String>) {
        if self.is_last() {
            return (version(&self.effect.after), log(&self.effect.after));
        }
        let mut list = log(&self.effect.before);
        list.extend_from_slice(&self.effect.appended[..self.place]);
        (version(&self.effect.before), list)
    }
}

impl History {
    /// Every time that the call's change was applied. What a call appends tells that, whoever of its program has sent it.
    pub fn applications<'h>(&'h self, call: &Call) -> impl Iterator<Item = Application<'h>> {
        let (id, program, is_marked) = (call.id, call.program, call.action.appends());
        let key = call.key.clone();
        let is_own = move |effect: &Effect| effect.program == program && effect.key == key;
        let effects = self.effects.iter().enumerate().filter(move |(_, effect)| is_own(effect));
        effects.flat_map(move |(index, effect)| {
            let unmarked = (!is_marked && effect.sender == id).then_some(0);
            let marks = effect.appended.iter().zip(1..);
            let marks = marks.filter(move |(mark, _)| is_marked && call_of(mark) == Some(id));
            let places = marks.map(|(_, place)| place).chain(unmarked);
            places.map(move |place| Application { index, effect, place })
        })
    }
}

/// The call whose mark this is.
#[must_use]
pub fn call_of(mark: &str) -> Option<u32> {
    let (_, mark) = mark.rsplit_once(' ')?;
    mark.split_once('.')?.0.parse().ok()
}
