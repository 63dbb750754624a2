"""Built-in functions of PostgreSQL that an expression over one row must know: aggregates, windows, volatile, not strict.

From pg_proc of PostgreSQL 18 (`prokind`, `provolatile`, `proisstrict`).
"""

AGGREGATES = frozenset(
    "any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every json_agg "
    "json_object_agg jsonb_agg jsonb_object_agg max min mode percentile_cont percentile_disc range_agg range_intersect_agg "
    "regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop "
    "stddev_samp string_agg sum var_pop var_samp variance xmlagg".split()
)
WINDOW = frozenset(
    "cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number".split()
)
# Volatile ones, and stable ones whose value depends on when or by whom they are asked.
VOLATILE = frozenset(
    "clock_timestamp currval gen_random_bytes gen_random_uuid inet_client_addr inet_server_addr lastval nextval now "
    "pg_advisory_lock pg_advisory_xact_lock pg_backend_pid pg_sleep random random_normal set_config setseed setval "
    "statement_timestamp timeofday transaction_timestamp txid_current pg_current_xact_id uuid_generate_v1 uuid_generate_v4 "
    "uuidv4 uuidv7 current_setting".split()
)
# Of those, the ones that give the same value all through a statement.
STABLE = frozenset(
    "current_setting inet_client_addr inet_server_addr now pg_backend_pid pg_current_xact_id statement_timestamp "
    "transaction_timestamp txid_current".split()
)
# They return NULL wherever an argument is NULL, in each of their forms. Of others, and of users' own, that isn't known.
STRICT = frozenset(
    "abs array_length array_lower array_ndims array_to_json array_upper ascii btrim cardinality casefold ceil ceiling "
    "char_length character_length chr cbrt date_part date_trunc decode degrees encode exp extract floor host initcap "
    "jsonb_array_length jsonb_extract_path jsonb_extract_path_text jsonb_strip_nulls jsonb_typeof left length lower lpad ltrim "
    "md5 mod normalize octet_length position power quote_ident quote_literal radians regexp_count regexp_replace "
    "regexp_split_to_array regexp_substr repeat replace reverse right round rpad "
    "rtrim sha224 sha256 sha384 sha512 sign split_part sqrt starts_with strpos substr substring to_char to_date to_hex "
    "to_number to_timestamp translate trunc upper".split()
)
# They take SQL, or a table's name, as a text and run it: what they read can't be seen in the statement.
RUNS_SQL = frozenset(
    "cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema database_to_xmlschema dblink dblink_exec "
    "dblink_fetch dblink_open dblink_send_query lo_export lo_get loread pg_read_binary_file "
    "pg_read_file query_to_xml query_to_xml_and_xmlschema query_to_xmlschema schema_to_xml schema_to_xml_and_xmlschema "
    "schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema table_to_xmlschema ts_rewrite ts_stat".split()
)
# They return sets; in an expression over one row that would be several rows.
SETS = frozenset(
    "generate_series generate_subscripts json_array_elements json_array_elements_text json_each json_each_text "
    "json_object_keys json_populate_recordset json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each "
    "jsonb_each_text jsonb_object_keys jsonb_path_query jsonb_populate_recordset jsonb_to_recordset regexp_matches "
    "regexp_split_to_table string_to_table ts_stat unnest".split()
)
# Texts that date and time types read as the moment at which they are read.
CLOCK = frozenset("now today tomorrow yesterday".split())
