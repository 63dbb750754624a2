"""The traps seen in the field, and the tests that spring each of them."""

from __future__ import annotations

HERE = "ops/test_traps.py"
# A trap, and where it is sprung.
TRAPS = {
    "a name that is part of another": [
        "ops/test_trigger_names.py::test_names_that_are_parts_of_others_are_replaced_by_place",
        f"{HERE}::test_a_rename_to_a_name_that_is_part_of_another",
    ],
    "reserved words, quotes and other letters in every name": [
        "ops/test_trigger_names.py::test_a_name_as_old_column_new_column_table_and_schema",
        "ops/test_trigger_names.py::test_a_name_with_an_end_of_line_in_it_can_not_leave_its_comment",
        "ops/test_rename.py::test_names_that_need_quotes",
        "ops/test_operations_tables.py::test_an_entity_in_another_schema_with_names_that_need_quotes",
        "ops/test_family.py::test_there_and_back",
        f"{HERE}::test_every_name_is_hostile",
    ],
    "no row, one row": ["ops/test_operations_tables.py::test_tables_of_no_row_and_of_one"],
    "one tenant, a tenant without rows, no tenant at all": [f"{HERE}::test_tenants_of_all_sizes"],
    "a NULL tenant": ["ops/test_operations_tables.py::test_rows_whose_tenant_nobody_lists_stop_the_migration"],
    "composite, text and uuid keys": ["ops/test_operations_tables.py::test_keys_of_any_type"],
    "no primary key": [f"{HERE}::test_without_a_key_there_is_a_way_out"],
    "generated columns": [
        "ops/test_attempts.py::test_generated_inputs_stand_for_what_they_are_generated_from",
        "ops/test_trigger_shapes.py::test_generated_inputs_are_inlined",
    ],
    "GENERATED ALWAYS identity": ["ops/test_operations_tables.py::test_keys_of_any_type"],
    "triggers that are there": [
        "ops/test_trigger_others.py::test_a_trigger_of_the_user_that_fires_before_ours_is_seen_by_it",
        "ops/test_trigger_others.py::test_a_trigger_of_the_user_that_would_fire_after_ours_is_refused_at_expand",
        "ops/test_trigger_others.py::test_a_later_trigger_that_can_not_change_the_row_is_none_of_our_business",
        "introspect/test_against.py::test_triggers_are_told_with_what_they_set",
        f"{HERE}::test_a_trigger_that_stamps_rows_goes_on_stamping",
    ],
    "row-level security": [
        "runtime/test_backfill.py::test_a_row_filter_is_an_error_and_not_a_part_of_the_table",
        f"{HERE}::test_a_row_filter_stops_a_revision_that_fills",
    ],
    "partitioned tables": [
        "ops/test_trigger_others.py::test_a_partitioned_table_is_refused_before_anything_changes",
        f"{HERE}::test_partitioned_tables_are_refused_by_every_operation",
    ],
    "a publication that filters by what the replica identity lacks": [
        f"{HERE}::test_a_replica_identity_that_a_publication_could_not_live_with",
    ],
    "rows that arrive, change tenant or vanish during the backfill": [
        "runtime/test_backfill.py::test_rows_born_after_planning_are_left_to_the_trigger_until_another_pass",
        f"{HERE}::test_rows_that_come_move_and_go_while_the_backfill_waits",
    ],
    "a transform that fails on some rows": [
        "ops/test_attempts.py::test_rows_that_can_not_be_computed_stay_empty_and_stop_enforce",
        "runtime/test_quarantine.py::test_bad_rows_stand_alone_and_the_rest_goes_on",
    ],
    "a lock that somebody holds for an hour": [
        "runtime/test_backfill.py::test_a_lock_held_by_someone_else_is_waited_out",
        "integration/test_ddl.py::test_writers_are_not_stalled_behind_a_migration_that_waits",
        f"{HERE}::test_a_lock_that_is_never_let_go_of",
    ],
    "upserts": [
        "ops/test_trigger.py::test_upserts_of_old_and_new_code",
        "ops/test_trigger.py::test_an_upsert_that_sets_something_else_touches_no_pair",
        "ops/test_trigger_concurrency.py::test_no_upsert_fails",
        "ops/test_writers.py::test_writers_notice_nothing",
    ],
    "COPY": [
        "ops/test_trigger.py::test_copy_and_several_rows_at_once",
        "ops/test_trigger_concurrency.py::test_a_large_copy_needs_no_lock_a_row_while_old_code_is_at_work",
        "ops/test_writers.py::test_writers_notice_nothing",
    ],
    "UPDATE to NULL, explicit NULLs": [
        "ops/test_trigger.py::test_update",
        "ops/test_trigger.py::test_insert",
        "ops/test_trigger_shapes.py::test_a_nullable_pair_keeps_nulls_of_either_side",
        f"{HERE}::test_a_null_is_a_value_once_the_row_is_filled",
    ],
    "cached plans": [f"{HERE}::test_prepared_statements_that_list_their_columns_survive"],
}
