//! The rules of creates. No version fences them, so they hold whatever is said of the versions.

use std::collections::BTreeMap;

use super::{Action, Answer, Effect, History, Reply, Way, rules::Breaches};

/// I5, of a create.
pub const CREATED_ONCE: &str = "I5: a create is applied once, and a deleted item does not come back";

/// No create is sent again after a doubt.
pub const SENT_ONCE: &str = "a create in doubt is transmitted once";

impl History {
    /// I5 and I6, and that no create is sent again after a doubt.
    ///
    /// Something between the client and the store may deliver one request twice. Where the item is deleted in between, the second
    /// copy creates it anew: that is the limit of every create, and a network under test keeps such copies back. A second request
    /// of the writer's is no such copy.
    pub(super) fn check_creates(&self, breaches: &mut Breaches) {
        let mut created = vec![];
        for effect in self.effects.iter().filter(|effect| effect.before.is_none()) {
            let item = effect.after.as_ref();
            let is_first = !created.contains(&(&effect.key, item));
            breaches.unless(is_first, CREATED_ONCE, effect);
            created.push((&effect.key, item));
        }
        let mut in_doubt = vec![];
        for attempt in &self.attempts {
            let Some(item) = attempt.created() else { continue };
            let is_clear = !in_doubt.contains(&item);
            breaches.unless(is_clear, SENT_ONCE, attempt);
            if attempt.reply == Reply::Doubt {
                in_doubt.push(item);
            }
        }
        self.check_creating_calls(breaches);
    }

    /// I6: the effects of the creates are as many as those that were answered Ok, and some of the unknown. And what a transaction
    /// writes, it writes whole.
    fn check_creating_calls(&self, breaches: &mut Breaches) {
        let mut others: BTreeMap<u32, Vec<&Effect>> = BTreeMap::new();
        let keys: BTreeMap<u32, &str> = self.calls.iter().map(|call| (call.id, &*call.key)).collect();
        for effect in &self.effects {
            if keys.get(&effect.sender).is_some_and(|key| *key != effect.key) {
                others.entry(effect.sender).or_default().push(effect);
            }
        }
        for call in &self.calls {
            let Action::Create(way) = call.action else { continue };
            // With versions that come twice, an old write may put an older list, and its marks, over a newer one.
            let created = self.applications(call).filter(|applied| applied.effect.before.is_none());
            let applied = created.count();
            let least = usize::from(call.answer == Answer::Ok);
            let is_right = (least..=1).contains(&applied);
            breaches.unless(
                is_right,
                "I6: a create that is Ok has one effect, and any other at most one",
                call,
            );
            let others = others.get(&call.id).map_or(0, Vec::len);
            breaches.unless(others <= 1, "I6: a create has one effect at most", call);
            let is_whole = way != Way::TransactTwo || others == applied;
            breaches.unless(is_whole, "a transaction is applied as a whole", call);
        }
    }
}
