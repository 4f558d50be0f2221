//! The queue of each item: callers of one table take turns, hand on what they know, and may share a write.
//!
//! Each test that is listed in `runtimes` runs as `runtimes::<test>::on_one_thread`, with a paused clock, and as
//! `runtimes::<test>::on_several_threads`, where time is real. All other tests run on one thread only.

mod coalescing;
mod conditions;
mod conflicts;
mod creation;
mod deadlines;
mod denied;
mod dropped;
mod elsewhere;
mod limits;
mod lost;
mod overload;
mod panics;
mod refusals;
mod rejected;
mod turns;
mod world;

mod runtimes {
    dynalock_tests::on_both_runtimes! {
        turns::a_hundred_updates_take_turns_in_their_order_after_one_read;
        turns::updates_of_many_tasks_are_all_applied_once;
        coalescing::callers_that_wait_share_one_write;
        coalescing::updates_of_many_tasks_are_all_applied_in_few_writes;
        conditions::a_call_with_a_condition_is_written_alone_and_in_its_turn;
        conflicts::a_batch_that_is_overtaken_is_made_again_in_the_same_order;
        conflicts::a_caller_that_is_overtaken_keeps_its_turn;
        conflicts::programs_that_queue_within_lose_nothing_to_each_other;
        creation::one_create_carries_all_that_come_after_it;
        creation::a_batch_that_finds_the_item_created_is_made_again_on_top_of_it;
        creation::a_create_of_several_whose_reply_is_lost_is_applied_once;
        dropped::a_caller_dropped_at_any_poll_holds_up_nobody;
        dropped::a_caller_dropped_at_any_poll_of_a_lost_write_holds_up_nobody;
        dropped::a_batch_whose_sender_is_dropped_is_sent_again_as_it_was;
        dropped::tasks_that_are_aborted_hold_up_nobody;
        limits::no_queue_is_left_when_all_callers_are_gone;
        lost::a_lost_batch_is_applied_once_for_each_of_its_callers;
        lost::a_batch_whose_stamp_was_overwritten_is_unknown_to_each_of_its_callers;
        lost::a_refusal_in_a_batch_that_is_lost_for_good_is_run_again;
        lost::an_unknown_outcome_is_handed_to_nobody;
        panics::a_closure_that_panics_changes_nothing_and_holds_up_nobody;
        panics::a_panic_in_a_task_holds_up_nobody;
        refusals::a_refusal_leaves_no_trace_in_a_batch;
        refusals::a_change_of_nothing_is_answered_with_what_is_stored;
        refusals::a_change_of_nothing_on_an_item_that_was_handed_over_is_read_and_run_again;
        refusals::an_absence_is_handed_over_to_those_who_were_there;
        refusals::an_absence_is_asked_for_again_by_who_came_later;
        refusals::an_item_that_cannot_be_read_is_told_to_each_and_read_again_by_who_came_later;
        rejected::an_item_over_400_kb_fails_only_who_made_it_so;
        rejected::what_dynamodb_rejects_fails_only_who_wrote_it;
    }
}
