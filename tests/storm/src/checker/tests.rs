//! Histories that are as they should be, and those that the checker must not let pass.

use super::*;

/// A history as it is written down.
#[derive(Default, Clone)]
struct Story(Vec<Record>);

impl Story {
    fn begin(mut self, id: &str, kind: Kind, key: &str) -> Self {
        let keys = key.split(' ').map(str::to_owned).collect();
        self.0.push(Record::Begin(Call { id: id.to_owned(), kind, keys, held: None }));
        self
    }

    fn holding(mut self, held: &Entry) -> Self {
        if let Some(Record::Begin(call)) = self.0.last_mut() {
            call.held = Some(Seen::of(held));
        }
        self
    }

    fn end(mut self, id: &str, answer: Answer) -> Self {
        self.0.push(Record::End { id: id.to_owned(), answer });
        self
    }

    fn ok(self, id: &str, entry: &Entry) -> Self {
        self.end(id, Answer::Ok(vec![Seen::of(entry)]))
    }

    /// A call that nothing overlaps.
    fn call(self, id: &str, kind: Kind, entry: &Entry) -> Self {
        self.begin(id, kind, &entry.key).ok(id, entry)
    }

    /// What the checker says of it, as the kinds that it names.
    fn kinds(&self, stored: &[Entry]) -> BTreeSet<String> {
        let found = violations(&self.0, stored);
        found.iter().map(|violation| violation.split(':').next().unwrap_or_default().to_owned()).collect()
    }
}

#[track_caller]
fn assert_finds(kind: &str, story: &Story, stored: &[Entry]) {
    let kinds = story.kinds(stored);
    assert!(kinds.contains(kind), "{kinds:?}");
}

#[track_caller]
fn assert_holds(story: &Story, stored: &[Entry]) {
    assert_eq!(violations(&story.0, stored), [""; 0]);
}

fn entry(key: &str, version: u64, marks: &[&str]) -> Entry {
    let marks = marks.iter().map(|mark| (*mark).to_owned()).collect();
    Entry { key: key.to_owned(), marks, balance: 0, version }
}

fn tally(version: u64, marks: &[&str]) -> Entry {
    entry("tally-0-0", version, marks)
}

fn ticket(version: u64, marks: &[&str]) -> Entry {
    entry("ticket-0", version, marks)
}

fn failed(stored: Option<&Entry>) -> Answer {
    Answer::Failed { error: "refused".to_owned(), stored: stored.map(Seen::of) }
}

const UNKNOWN: Answer = Answer::Unknown { applied: None };

/// `a` creates a tally.
fn created() -> Story {
    Story::default().call("a", Kind::Create, &tally(1, &["a"]))
}

/// `a` creates a ticket, and `d` deletes it.
fn deleted() -> Story {
    let born = ticket(1, &["a"]);
    let story = Story::default().call("a", Kind::Create, &born);
    story.begin("d", Kind::Delete, "ticket-0").holding(&born).end("d", Answer::Deleted)
}

#[test]
fn a_history_without_faults_holds() {
    let story = created()
        .call("b", Kind::Update, &tally(2, &["a", "b"]))
        .call("r", Kind::Get, &tally(2, &["a", "b"]))
        .call("t", Kind::Touch, &tally(3, &["a", "b"]))
        .begin("c", Kind::Save, "tally-0-0")
        .holding(&tally(2, &["a", "b"]))
        .end("c", failed(Some(&tally(3, &["a", "b"]))));
    assert_holds(&story, &[tally(3, &["a", "b"])]);
    let story = deleted().begin("n", Kind::Get, "ticket-0").end("n", Answer::NoItem);
    assert_holds(&story, &[]);
    let again = story.call("e", Kind::Create, &ticket(9, &["e"]));
    assert_holds(&again, &[ticket(9, &["e"])]);
}

#[test]
fn a_call_without_answer_may_or_may_not_have_been_applied() {
    for unanswered in [created().begin("b", Kind::Update, "tally-0-0"), {
        created().begin("b", Kind::Update, "tally-0-0").end("b", UNKNOWN)
    }] {
        assert_holds(&unanswered, &[tally(1, &["a"])]);
        assert_holds(&unanswered, &[tally(2, &["a", "b"])]);
        assert_finds("doubled", &unanswered, &[tally(3, &["a", "b", "b"])]);
    }
}

#[test]
fn an_effect_that_is_there_twice_is_found() {
    let story = created().call("b", Kind::Update, &tally(3, &["a", "b", "b"]));
    assert_finds("doubled", &story, &[tally(3, &["a", "b", "b"])]);
    // In the item that was deleted, and in the one that followed.
    let born = ticket(2, &["a", "b"]);
    let story = Story::default()
        .call("a", Kind::Create, &ticket(1, &["a"]))
        .begin("b", Kind::Update, "ticket-0")
        .call("r", Kind::Get, &born)
        .begin("d", Kind::Delete, "ticket-0")
        .holding(&born)
        .end("d", Answer::Deleted)
        .call("e", Kind::Create, &ticket(9, &["e"]));
    assert_finds("doubled", &story, &[ticket(10, &["e", "b"])]);
}

#[test]
fn a_success_that_is_not_there_is_found() {
    let story = created().call("b", Kind::Update, &tally(2, &["a", "b"]));
    assert_finds("lost", &story, &[tally(1, &["a"])]);
    assert_finds("lost", &story, &[tally(2, &["a", "c"])]);
    assert_finds("vanished", &story, &[]);
    let learned =
        created().begin("b", Kind::Update, "tally-0-0").end("b", Answer::Unknown { applied: Some(true) });
    assert_finds("lost", &learned, &[tally(1, &["a"])]);
}

#[test]
fn a_change_that_was_overwritten_is_found() {
    // Both answered with their own change at the same place of a ticket that is gone.
    let held = ticket(3, &["a", "c"]);
    let story = Story::default()
        .call("a", Kind::Create, &ticket(1, &["a"]))
        .begin("b", Kind::Update, "ticket-0")
        .begin("c", Kind::Update, "ticket-0")
        .ok("b", &ticket(2, &["a", "b"]))
        .ok("c", &held)
        .begin("d", Kind::Delete, "ticket-0")
        .holding(&held)
        .end("d", Answer::Deleted);
    assert_finds("lost", &story, &[]);
    // At a later version there is less than at an earlier one.
    let story = created().begin("r", Kind::Get, "tally-0-0").begin("s", Kind::Get, "tally-0-0");
    let story = story.begin("b", Kind::Update, "tally-0-0").ok("r", &tally(3, &["a"]));
    assert_finds("lost", &story.ok("s", &tally(2, &["a", "b"])), &[tally(4, &["a", "b"])]);
}

#[test]
fn an_update_that_shared_a_write_is_not_forgotten() {
    // It says nothing of the version, but its change was there before the read began.
    let shared = Seen::inexact(&tally(1, &["a", "b"]));
    let story = created().begin("b", Kind::Update, "tally-0-0").end("b", Answer::Ok(vec![shared]));
    let late = story.call("r", Kind::Get, &tally(1, &["a"]));
    assert_finds("went back", &late, &[tally(2, &["a", "b"])]);
}

#[test]
fn a_success_without_its_own_change_is_found() {
    let story = created().call("b", Kind::Update, &tally(1, &["a"]));
    assert_finds("phantom", &story, &[tally(1, &["a"])]);
}

#[test]
fn a_refused_change_that_is_there_is_found() {
    let refusals = [failed(None), Answer::NoItem, Answer::Unknown { applied: Some(false) }];
    for refusal in refusals {
        let story = created().begin("b", Kind::Update, "tally-0-0").end("b", refusal);
        assert_finds("refused but applied", &story, &[tally(2, &["a", "b"])]);
    }
}

#[test]
fn a_change_that_nobody_made_there_is_found() {
    assert_finds("phantom", &created(), &[tally(2, &["a", "z"])]);
    let elsewhere = created().begin("b", Kind::Update, "tally-0-1");
    assert_finds("phantom", &elsewhere, &[tally(2, &["a", "b"])]);
    let read = created().begin("b", Kind::Get, "tally-0-0");
    assert_finds("phantom", &read, &[tally(2, &["a", "b"])]);
}

#[test]
fn a_version_that_is_written_twice_is_found() {
    let story = created().call("b", Kind::Touch, &tally(2, &["a"])).call("c", Kind::Touch, &tally(2, &["a"]));
    assert_finds("version twice", &story, &[tally(2, &["a"])]);
    let story =
        created().call("b", Kind::Update, &tally(2, &["a", "b"])).call("r", Kind::Get, &tally(2, &["a"]));
    assert_finds("version twice", &story, &[tally(2, &["a", "b"])]);
}

#[test]
fn a_state_that_is_older_than_what_was_confirmed_is_found() {
    let story = created().call("t", Kind::Touch, &tally(2, &["a"])).call("r", Kind::Get, &tally(1, &["a"]));
    assert_finds("went back", &story, &[tally(2, &["a"])]);
    // One that was read before is no older.
    let story = created()
        .begin("r", Kind::Get, "tally-0-0")
        .call("t", Kind::Touch, &tally(2, &["a"]))
        .ok("r", &tally(1, &["a"]));
    assert_holds(&story, &[tally(2, &["a"])]);
    assert_finds("went back", &created().call("t", Kind::Touch, &tally(2, &["a"])), &[tally(1, &["a"])]);
}

#[test]
fn a_refusal_by_the_expected_state_is_found() {
    let held = tally(1, &["a"]);
    let story = created().begin("b", Kind::Save, "tally-0-0").holding(&held).end("b", failed(Some(&held)));
    assert_finds("false conflict", &story, &[held]);
}

#[test]
fn half_a_transaction_is_found() {
    let keys = "account-0-0 account-0-1";
    let accounts = ["account-0-0", "account-0-1"];
    let opened = accounts.into_iter().zip(["a", "b"]).fold(Story::default(), |story, (key, id)| {
        story.call(id, Kind::Create, &Entry::new(key, id, MONEY / 2))
    });
    let account = |place: usize, mark: Option<&str>, balance| Entry {
        key: accounts[place].to_owned(),
        marks: [["a", "b"][place]].into_iter().chain(mark).map(str::to_owned).collect(),
        balance,
        version: u64::from(mark.is_some()),
    };
    let story = opened.begin("x", Kind::Transfer, keys);
    let half = MONEY / 2;
    assert_holds(&story, &[account(0, Some("x"), half - 1), account(1, Some("x"), half + 1)]);
    assert_holds(&story, &[account(0, None, half), account(1, None, half)]);
    assert_finds("torn", &story, &[account(0, Some("x"), half - 1), account(1, None, half)]);
    assert_finds("total", &story, &[account(0, Some("x"), half - 1), account(1, None, half)]);
    let audit = story.begin("s", Kind::Audit, keys).end("s", Answer::Total(MONEY - 1));
    assert_finds("total", &audit, &[account(0, None, half), account(1, None, half)]);
}

#[test]
fn an_item_that_comes_back_is_found() {
    let back = deleted().call("r", Kind::Get, &ticket(1, &["a"]));
    assert_finds("came back", &back, &[]);
    assert_finds("came back", &deleted(), &[ticket(1, &["a"])]);
    let held = ticket(1, &["a"]);
    let overlapping = Story::default()
        .begin("a", Kind::Create, "ticket-0")
        .begin("d", Kind::Delete, "ticket-0")
        .holding(&held)
        .ok("a", &held)
        .end("d", Answer::Deleted);
    assert_holds(&overlapping, &[]);
    assert_finds("came back", &overlapping, &[held]);
    // Others found no item, or another one, in between.
    let unknown = Story::default()
        .call("a", Kind::Create, &ticket(1, &["a"]))
        .begin("d", Kind::Delete, "ticket-0")
        .holding(&ticket(1, &["a"]))
        .end("d", UNKNOWN);
    let between = unknown.clone().begin("n", Kind::Get, "ticket-0").end("n", Answer::NoItem);
    assert_holds(&between, &[]);
    assert_finds("came back", &between, &[ticket(1, &["a"])]);
    let between = unknown.call("e", Kind::Create, &ticket(9, &["e"]));
    assert_finds("came back", &between, &[ticket(1, &["a"])]);
}

#[test]
fn an_item_that_goes_without_a_delete_is_found() {
    let created = Story::default().call("a", Kind::Create, &ticket(1, &["a"]));
    assert_finds("vanished", &created, &[]);
    assert_finds(
        "vanished",
        &created.clone().begin("n", Kind::Get, "ticket-0").end("n", Answer::NoItem),
        &[],
    );
    // Two are created, and none deleted.
    let twice = created.clone().call("b", Kind::Create, &ticket(9, &["b"]));
    assert_finds("vanished", &twice, &[ticket(9, &["b"])]);
    // The delete came later, or was refused.
    let held = ticket(1, &["a"]);
    let late = twice.begin("d", Kind::Delete, "ticket-0").holding(&held).end("d", UNKNOWN);
    assert_finds("vanished", &late, &[ticket(9, &["b"])]);
    let refused = created.begin("d", Kind::Delete, "ticket-0").holding(&held).end("d", failed(None));
    assert_finds("vanished", &refused, &[]);
}

#[test]
fn a_delete_over_a_change_is_found() {
    let story = deleted().begin("b", Kind::Update, "ticket-0").ok("b", &ticket(2, &["a", "b"]));
    assert_finds("lost", &story, &[]);
}

#[test]
fn an_item_that_is_deleted_twice_is_found() {
    let story = deleted().begin("f", Kind::Delete, "ticket-0").holding(&ticket(1, &["a"]));
    assert_holds(&story.clone().end("f", Answer::NoItem), &[]);
    assert_finds("doubled", &story.end("f", Answer::Deleted), &[]);
}
