//! What each call answers when requests and replies are lost. "Row" in these tests is a row of the fault matrix: one
//! fault, the calls it strikes, and the answer that is promised. Rows hold for items that keep write stamps and, where
//! they promise less, for items that keep none.
//!
//! The tests that prove a row are listed in `matrix`. Each runs as `matrix::<test>::on_one_thread`, with a paused clock, and
//! as `matrix::<test>::on_several_threads`, where time is real. All other tests run on one thread only.

mod answers;
mod batch;
mod calls;
mod clocks;
mod closures;
mod creates;
mod deadlines;
mod denied;
mod dropped;
mod foreign;
mod hooks;
mod kinds;
mod late;
mod later;
mod lost;
mod naive;
mod queue;
mod reads;
mod refused;
mod rivals;
mod silence;
mod slots;
mod stamped;
mod transactions;
mod untold;
mod world;

mod matrix {
    dynalock_tests::on_both_runtimes! {
        1, 2 => lost::a_request_lost_before_the_store_is_sent_again_and_applied_once;
        1, 2 => lost::requests_lost_ten_times_in_a_row_are_sent_again_and_applied_once;
        3, 4, 5, 6, 17, 19 => lost::a_reply_lost_after_the_store_never_applies_a_second_time;
        3, 4, 6, 17, 19 => batch::replies_lost_to_a_batch_double_nothing_and_leave_the_other_items_alone;
        3, 17, 19 => lost::a_lost_reply_among_lost_requests_never_applies_a_second_time;
        7, 49 => stamped::a_failed_check_on_our_own_stamp_is_ok_though_no_attempt_was_lost;
        50 => lost::a_delete_says_whether_it_may_have_been_its_own;
        7 => lost::a_delete_that_finds_nothing_is_already_gone;
        8, 9 => stamped::a_lost_reply_is_ok_behind_fewer_rivals_than_slots_and_unknown_behind_more;
        8, 9 => transactions::a_stamp_that_rivals_overwrote_leaves_the_outcome_unknown_and_runs_no_closure_again;
        10 => stamped::a_lost_reply_is_unknown_behind_a_foreign_put_that_drops_the_slots;
        10 => stamped::a_lost_reply_is_unknown_behind_a_rival_that_replaces_the_item;
        11 => stamped::a_lost_reply_is_ok_behind_foreign_updates_that_keep_the_slots;
        12 => rivals::a_rivals_write_after_a_lost_request_leaves_the_outcome_unknown_where_there_are_no_stamps;
        12 => rivals::a_rivals_write_after_a_refused_connection_is_a_conflict_and_never_lost;
        12, 34 => stamped::a_rivals_write_after_a_lost_request_is_a_known_conflict_and_the_closure_runs_again;
        12 => stamped::several_rivals_after_a_lost_request_are_a_known_conflict_while_the_stamp_of_the_first_is_there;
        12 => stamped::two_foreign_writes_after_a_lost_request_leave_the_outcome_unknown;
        12 => slots::what_is_no_stamp_does_not_hide_a_rivals_step;
        12 => transactions::a_rival_that_is_known_to_have_come_first_runs_the_closure_again;
        13 => rivals::a_rival_that_writes_identical_content_is_a_conflict;
        13 => stamped::a_rival_that_writes_identical_content_after_a_lost_request_is_a_conflict_and_never_ok;
        14 => late::a_late_duplicate_after_ok_has_no_effect;
        14 => late::a_late_duplicate_does_not_undo_what_came_after;
        15 => late::a_late_duplicate_after_a_lost_race_has_no_effect;
        15 => late::a_late_duplicate_after_a_closure_ran_again_has_no_effect;
        16 => late::a_late_write_or_delete_does_not_touch_a_new_item_that_starts_with_the_clock;
        16 => late::a_late_delete_removes_a_new_item_that_starts_at_1;
        18 => rivals::a_rival_that_creates_first_is_told_unless_a_reply_was_lost_without_stamps;
        18 => stamped::a_foreign_item_is_already_there_at_our_version_and_unknown_at_another;
        19, 50 => rivals::a_delete_that_comes_after_a_rivals_is_already_gone;
        20 => rivals::a_delete_whose_reply_is_lost_before_a_rival_creates_again_is_unknown;
        21 => rivals::a_rivals_delete_is_not_found_unless_a_reply_was_lost;
        21 => rivals::update_or_create_creates_after_a_rivals_delete_unless_a_reply_was_lost;
        22 => refused::throttling_until_the_budget_ends_is_the_sdks_error_and_nothing_is_applied;
        23 => refused::a_refusal_after_a_lost_reply_is_the_cause_of_an_unknown_outcome;
        23 => refused::throttling_after_a_lost_reply_is_the_cause_of_an_unknown_outcome;
        24, 25 => refused::a_refusal_for_now_is_retried_until_the_write_goes_through;
        26 => denied::a_denied_item_costs_one_request_and_is_remembered_for_the_table;
        26 => denied::a_denied_item_changes_nothing_about_the_rest_of_the_request;
        26 => denied::a_lost_reply_is_found_out_by_one_consistent_read;
        26 => denied::a_clean_conflict_is_answered_with_the_item_that_one_read_found;
        26 => denied::a_conflict_after_a_lost_request_is_known_by_the_stamp_that_the_read_found;
        26 => denied::a_closure_runs_again_on_the_item_that_the_read_found;
        26 => denied::an_item_that_vanished_is_not_found_unless_a_reply_was_lost;
        26 => denied::a_read_that_is_denied_too_is_a_conflict_without_an_item_or_an_unknown_outcome;
        26 => denied::a_condition_that_is_false_is_told_by_the_read;
        26 => denied::a_denied_write_is_still_denied_and_changes_nothing_for_the_next;
        26 => untold::one_consistent_read_finds_the_item_that_a_clean_refusal_did_not_tell;
        26 => untold::a_read_after_a_doubt_finds_the_rivals_stamp_or_leaves_the_outcome_unknown;
        26 => untold::a_read_after_a_lost_reply_finds_the_stamp;
        26 => untold::a_create_that_an_item_refused_which_is_gone_is_sent_again;
        26 => untold::a_read_tells_that_the_condition_and_not_the_version_was_wrong;
        26 => untold::a_read_that_finds_nothing_is_not_found_or_already_gone;
        26 => untold::a_read_that_fails_makes_a_conflict_without_an_item_or_an_unknown_outcome;
        26 => transactions::an_item_that_a_commit_is_denied_costs_one_request_and_changes_nothing_else;
        26 => transactions::what_a_denied_or_untold_item_holds_is_read;
        27 => transactions::a_commit_whose_reply_was_lost_is_ok_however_often_rivals_write_after_it;
        27 => transactions::a_transact_whose_reply_was_lost_is_ok_and_runs_no_closure_again;
        28 => transactions::a_transaction_in_progress_is_asked_for_until_it_is_done;
        29 => transactions::a_failed_check_wins_over_reasons_that_may_pass;
        30 => dropped::a_call_dropped_at_any_poll_is_applied_at_most_once_and_blocks_nobody;
        30 => dropped::a_call_dropped_at_any_poll_of_its_retries_is_applied_at_most_once_and_blocks_nobody;
        30 => batch::a_batch_dropped_at_any_poll_applies_each_item_at_most_once;
        30 => dropped::an_aborted_task_leaves_one_effect_at_most;
        30 => transactions::a_commit_dropped_at_any_poll_is_applied_at_most_once_and_raises_no_object;
        30 => transactions::a_transact_dropped_at_any_poll_is_applied_at_most_once;
        31 => closures::a_refusal_is_returned_and_nothing_is_sent;
        31 => closures::a_panic_writes_nothing_and_blocks_nobody;
        31 => closures::a_panic_in_a_task_writes_nothing_and_blocks_nobody;
        31 => transactions::a_closure_that_panics_writes_nothing_and_holds_nothing_up;
        31 => transactions::a_closure_that_returns_its_error_writes_nothing_and_holds_nothing_up;
        31 => transactions::a_closure_that_refuses_or_panics_after_a_conflict_writes_nothing;
        32 => queue::a_refusal_on_an_item_that_was_handed_over_is_read_and_run_again;
        32 => queue::a_refusal_in_a_batch_that_then_fails_is_run_again;
        33 => refused::a_condition_that_is_false_after_a_doubt_is_definite_where_there_is_a_version;
        33 => refused::a_condition_that_is_false_after_a_doubt_is_unknown_where_there_is_no_version;
        34 => slots::a_lost_reply_is_ok_behind_rivals_that_keep_another_number_of_slots;
        34 => slots::restored_older_slots_leave_the_outcome_unknown_and_are_no_conflict;
        34 => slots::a_clock_behind_makes_no_false_conflict;
        35 => rivals::an_adoption_to_version_0_between_read_and_write_is_a_conflict;
        35 => slots::an_adoption_whose_reply_is_lost_is_ok_and_one_that_a_rival_took_is_a_conflict;
        39 => creates::a_create_in_doubt_whose_item_others_deleted_does_not_come_back;
        39 => creates::no_retry_settings_of_a_client_send_a_create_in_doubt_again;
        40 => creates::a_create_under_a_token_is_ok_though_others_deleted_the_item;
        46 => clocks::a_request_that_was_frozen_after_it_was_signed_is_signed_anew;
        46 => clocks::a_request_after_a_reply_that_was_frozen_is_signed_anew;
        47 => deadlines::a_dead_connection_costs_an_attempt_and_not_the_call;
        48 => answers::a_client_with_the_retries_of_2026_gets_the_same_answers;
    }

    /// Rows that are proved elsewhere: 36 to 38, about items and not about faults, by `stored_versions`, `versions` and `limits` of
    /// the tests of behaviour; 41, about a clock, by `creates` here; 42 to 44, about stalls and overload, by `overload` and
    /// `dropped` of the tests of the queue; 45, which needs a real connection, by `runtimes` of the tests of behaviour; 51 by
    /// `transact::held` of the tests of transactions.
    const ELSEWHERE: [u32; 9] = [36, 37, 38, 41, 42, 43, 44, 45, 51];

    #[test]
    fn every_row_has_one_place() {
        for row in 1..=51 {
            let places = [ROWS, &ELSEWHERE];
            let places = places.iter().filter(|rows| rows.contains(&row)).count();
            assert_eq!(places, 1, "row {row}");
        }
    }
}
