/*
 * The built-in names and what a call or a read of them means for routing.
 *
 * The lists were drawn from pg_proc, pg_class, pg_type and pg_operator of
 * PostgreSQL 15, with the names that 16 to 18 added and those that earlier
 * versions had.  Immutable and stable functions are safe unless their answer
 * belongs to one server or one session; of the volatile ones some twenty were
 * found safe by hand.  Functions that only implement operators, types and
 * index methods are left out: nobody calls them, and missing means primary.
 *
 * A name that is in no list is not built in.  Each list is sorted by bytes
 * (the tests hold it to that), since look-ups are binary searches.
 */
#include "core/catalog_builtin.h"

#include <string.h>

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Several names a line. */
/* clang-format off */

/* Anywhere the same answer. */
static const char *const safe_names[] = {
	"_pg_char_max_length", "_pg_char_octet_length",
	"_pg_datetime_precision", "_pg_expandarray", "_pg_index_position",
	"_pg_interval_type", "_pg_numeric_precision",
	"_pg_numeric_precision_radix", "_pg_numeric_scale", "_pg_truetypid",
	"_pg_truetypmod", "abbrev", "abs", "aclcontains", "acldefault",
	"aclinsert", "aclremove", "acos", "acosd", "acosh", "amvalidate",
	"any_value", "area", "array_agg", "array_append", "array_cat",
	"array_dims", "array_eq", "array_fill", "array_larger", "array_length",
	"array_lower", "array_ndims", "array_position", "array_positions",
	"array_prepend", "array_remove", "array_replace", "array_reverse",
	"array_sample", "array_shuffle", "array_smaller", "array_sort",
	"array_to_json", "array_to_string", "array_to_tsvector", "array_upper",
	"arraycontained", "arraycontains", "arrayoverlap", "ascii", "asin",
	"asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh", "avg",
	"bernoulli", "bit", "bit_and", "bit_count", "bit_length", "bit_or",
	"bit_xor", "bool", "bool_and", "bool_or", "bound_box", "box", "bpchar",
	"bpchar_larger", "bpchar_smaller", "broadcast", "btrim", "cardinality",
	"casefold", "cash_words", "cashlarger", "cashsmaller", "cbrt", "ceil",
	"ceiling", "center", "char", "char_length", "character_length", "chr",
	"cidr", "circle", "clock_timestamp", "concat", "concat_ws", "convert",
	"convert_from", "convert_to", "corr", "cos", "cosd", "cosh", "cot",
	"cotd", "count", "covar_pop", "covar_samp", "crc32", "crc32c",
	"cume_dist", "current_database", "current_query", "current_schema",
	"current_schemas", "current_user", "date", "date_add", "date_bin",
	"date_larger", "date_mi", "date_part", "date_smaller", "date_subtract",
	"date_trunc", "datemultirange", "daterange", "decode", "degrees",
	"dense_rank", "dexp", "diagonal", "diameter", "div", "dlog1", "dlog10",
	"dround", "dtrunc", "encode", "enum_first", "enum_larger", "enum_last",
	"enum_range", "enum_smaller", "erf", "erfc", "every", "exp", "extract",
	"factorial", "family", "first_value", "float4", "float4larger",
	"float4smaller", "float8", "float8larger", "float8smaller", "floor",
	"format", "gamma", "gcd", "gen_random_uuid", "generate_series",
	"generate_subscripts", "get_bit", "get_byte", "get_current_ts_config",
	"getdatabaseencoding", "getpgusername", "hash_array", "hash_multirange",
	"hash_multirange_extended", "hash_range", "hash_range_extended",
	"hash_record", "hashtext", "hashtextextended", "height", "host",
	"hostmask", "in_range", "inet_merge", "inet_same_family", "initcap",
	"int2", "int2larger", "int2smaller", "int4", "int4inc", "int4larger",
	"int4multirange", "int4range", "int4smaller", "int8", "int8dec",
	"int8dec_any", "int8inc", "int8inc_any", "int8larger", "int8multirange",
	"int8range", "int8smaller", "interval", "interval_larger",
	"interval_smaller", "is_normalized", "isclosed", "isempty", "isfinite",
	"ishorizontal", "isopen", "isparallel", "isperp", "isvertical",
	"json_agg", "json_agg_strict", "json_array", "json_array_elements",
	"json_array_elements_text", "json_array_length", "json_arrayagg",
	"json_build_array", "json_build_object", "json_each", "json_each_text",
	"json_exists", "json_extract_path", "json_extract_path_text",
	"json_object", "json_object_agg", "json_object_agg_strict",
	"json_object_agg_unique", "json_object_agg_unique_strict",
	"json_object_keys", "json_objectagg", "json_populate_record",
	"json_populate_recordset", "json_query", "json_scalar",
	"json_serialize", "json_strip_nulls", "json_to_record",
	"json_to_recordset", "json_to_tsvector", "json_typeof", "json_value",
	"jsonb_agg", "jsonb_agg_strict", "jsonb_array_elements",
	"jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array",
	"jsonb_build_object", "jsonb_concat", "jsonb_contains", "jsonb_delete",
	"jsonb_delete_path", "jsonb_each", "jsonb_each_text", "jsonb_exists",
	"jsonb_exists_all", "jsonb_exists_any", "jsonb_extract_path",
	"jsonb_extract_path_text", "jsonb_insert", "jsonb_object",
	"jsonb_object_agg", "jsonb_object_agg_strict",
	"jsonb_object_agg_unique", "jsonb_object_agg_unique_strict",
	"jsonb_object_keys", "jsonb_path_exists", "jsonb_path_exists_tz",
	"jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query",
	"jsonb_path_query_array", "jsonb_path_query_array_tz",
	"jsonb_path_query_first", "jsonb_path_query_first_tz",
	"jsonb_path_query_tz", "jsonb_populate_record",
	"jsonb_populate_recordset", "jsonb_pretty", "jsonb_set",
	"jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record",
	"jsonb_to_recordset", "jsonb_to_tsvector", "jsonb_typeof",
	"justify_days", "justify_hours", "justify_interval", "lag",
	"last_value", "lcm", "lead", "left", "length", "lgamma", "like",
	"like_escape", "line", "ln", "log", "log10", "lower", "lower_inc",
	"lower_inf", "lpad", "lseg", "ltrim", "macaddr", "macaddr8",
	"macaddr8_set7bit", "make_date", "make_interval", "make_time",
	"make_timestamp", "make_timestamptz", "makeaclitem", "masklen", "max",
	"md5", "min", "min_scale", "mod", "mode", "money", "multirange", "name",
	"nameconcatoid", "netmask", "network", "network_larger",
	"network_smaller", "normalize", "notlike", "now", "npoints",
	"nth_value", "ntile", "num_nonnulls", "num_nulls", "numeric",
	"numeric_div_trunc", "numeric_exp", "numeric_inc", "numeric_larger",
	"numeric_ln", "numeric_log", "numeric_mul", "numeric_smaller",
	"numeric_sqrt", "nummultirange", "numnode", "numrange", "octet_length",
	"oid", "oidlarger", "oidsmaller", "oidvectortypes", "overlaps",
	"overlay", "parse_ident", "path", "percent_rank", "percentile_cont",
	"percentile_disc", "pg_basetype", "pg_char_to_encoding",
	"pg_client_encoding", "pg_collation_for", "pg_column_compression",
	"pg_column_size", "pg_column_toast_chunk_id", "pg_encoding_max_length",
	"pg_encoding_to_char", "pg_get_keywords", "pg_input_error_info",
	"pg_input_is_valid", "pg_lsn", "pg_lsn_larger", "pg_lsn_smaller",
	"pg_mcv_list_items", "pg_size_bytes", "pg_size_pretty", "pg_sleep",
	"pg_sleep_for", "pg_sleep_until", "pg_snapshot_xip", "pg_snapshot_xmax",
	"pg_snapshot_xmin", "pg_split_walfile_name", "pg_timezone_abbrevs",
	"pg_timezone_names", "pg_trigger_depth", "pg_typeof",
	"pg_visible_in_snapshot", "pg_wal_lsn_diff", "phraseto_tsquery", "pi",
	"plainto_tsquery", "point", "polygon", "position", "pow", "power",
	"querytree", "quote_ident", "quote_literal", "quote_nullable",
	"radians", "radius", "random", "random_normal", "range_agg",
	"range_intersect_agg", "range_merge", "rank", "regclass",
	"regexp_count", "regexp_instr", "regexp_like", "regexp_match",
	"regexp_matches", "regexp_replace", "regexp_split_to_array",
	"regexp_split_to_table", "regexp_substr", "regr_avgx", "regr_avgy",
	"regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx",
	"regr_sxy", "regr_syy", "repeat", "replace", "reverse", "right",
	"round", "row_number", "row_to_json", "rpad", "rtrim",
	"satisfies_hash_partition", "scale", "session_user", "set_bit",
	"set_byte", "set_masklen", "setweight", "sha224", "sha256", "sha384",
	"sha512", "sign", "similar_escape", "similar_to_escape", "sin", "sind",
	"sinh", "slope", "split_part", "sqrt", "starts_with",
	"statement_timestamp", "stddev", "stddev_pop", "stddev_samp",
	"string_agg", "string_to_array", "string_to_table", "strip", "strpos",
	"substr", "substring", "sum", "system", "tan", "tand", "tanh", "text",
	"text_larger", "text_smaller", "textcat", "texteq", "textlen",
	"textlike", "textnlike", "tidlarger", "tidsmaller", "time",
	"time_larger", "time_smaller", "timeofday", "timestamp",
	"timestamp_larger", "timestamp_smaller", "timestamptz",
	"timestamptz_larger", "timestamptz_smaller", "timetz", "timetz_larger",
	"timetz_smaller", "timezone", "to_ascii", "to_bin", "to_char",
	"to_date", "to_hex", "to_json", "to_jsonb", "to_number", "to_oct",
	"to_timestamp", "to_tsquery", "to_tsvector", "transaction_timestamp",
	"translate", "trim_array", "trim_scale", "trunc", "ts_debug",
	"ts_delete", "ts_filter", "ts_headline", "ts_lexize", "ts_match_vq",
	"ts_parse", "ts_rank", "ts_rank_cd", "ts_token_type", "tsmultirange",
	"tsquery_phrase", "tsrange", "tstzmultirange", "tstzrange",
	"tsvector_concat", "tsvector_to_array", "txid_snapshot_xip",
	"txid_snapshot_xmax", "txid_snapshot_xmin", "txid_visible_in_snapshot",
	"unicode_assigned", "unistr", "unnest", "upper", "upper_inc",
	"upper_inf", "uuid_extract_timestamp", "uuid_extract_version", "uuidv4",
	"uuidv7", "var_pop", "var_samp", "varbit", "varchar", "variance",
	"websearch_to_tsquery", "width", "width_bucket", "xid", "xid8_larger",
	"xid8_smaller", "xml", "xml_is_well_formed",
	"xml_is_well_formed_content", "xml_is_well_formed_document", "xmlagg",
	"xmlcomment", "xmlexists", "xmltext", "xmlvalidate", "xpath",
	"xpath_exists",
};

/* Safe, but they look at the system catalog. */
static const char *const reader_names[] = {
	"aclexplode", "col_description", "format_type",
	"has_any_column_privilege", "has_column_privilege",
	"has_database_privilege", "has_foreign_data_wrapper_privilege",
	"has_function_privilege", "has_language_privilege",
	"has_largeobject_privilege", "has_parameter_privilege",
	"has_schema_privilege", "has_sequence_privilege",
	"has_server_privilege", "has_table_privilege",
	"has_tablespace_privilege", "has_type_privilege", "obj_description",
	"pg_collation_is_visible", "pg_column_is_updatable",
	"pg_conversion_is_visible", "pg_describe_object",
	"pg_filenode_relation", "pg_function_is_visible",
	"pg_get_catalog_foreign_keys", "pg_get_constraintdef", "pg_get_expr",
	"pg_get_function_arg_default", "pg_get_function_arguments",
	"pg_get_function_identity_arguments", "pg_get_function_result",
	"pg_get_function_sqlbody", "pg_get_functiondef", "pg_get_indexdef",
	"pg_get_object_address", "pg_get_partition_constraintdef",
	"pg_get_partkeydef", "pg_get_publication_tables",
	"pg_get_replica_identity_index", "pg_get_ruledef",
	"pg_get_serial_sequence", "pg_get_statisticsobjdef",
	"pg_get_statisticsobjdef_columns",
	"pg_get_statisticsobjdef_expressions", "pg_get_triggerdef",
	"pg_get_userbyid", "pg_get_viewdef", "pg_has_role",
	"pg_identify_object", "pg_identify_object_as_address",
	"pg_index_column_has_property", "pg_index_has_property",
	"pg_indexam_has_property", "pg_indexam_progress_phasename",
	"pg_opclass_is_visible", "pg_operator_is_visible",
	"pg_opfamily_is_visible", "pg_partition_ancestors", "pg_partition_root",
	"pg_partition_tree", "pg_relation_filenode", "pg_relation_filepath",
	"pg_relation_is_publishable", "pg_relation_is_updatable",
	"pg_statistics_obj_is_visible", "pg_table_is_visible",
	"pg_ts_config_is_visible", "pg_ts_dict_is_visible",
	"pg_ts_parser_is_visible", "pg_ts_template_is_visible",
	"pg_type_is_visible", "row_security_active", "shobj_description",
	"to_regclass", "to_regcollation", "to_regnamespace", "to_regoper",
	"to_regoperator", "to_regproc", "to_regprocedure", "to_regrole",
	"to_regtype", "to_regtypemod",
};

/*
 * Answers of one server or session, or writes.  Sizes are those of its own
 * files: an unlogged table is empty on a replica, and free space maps differ.
 * age(xid) counts from the next transaction, which a replica knows late; a
 * text does not say of what.
 */
static const char *const primary_names[] = {
	"age", "brin_desummarize_range", "brin_summarize_new_values",
	"brin_summarize_range", "current_setting", "currtid2",
	"gin_clean_pending_list", "icu_unicode_version", "inet_client_addr",
	"inet_client_port", "inet_server_addr", "inet_server_port", "lo_close",
	"lo_creat", "lo_create", "lo_from_bytea", "lo_get", "lo_lseek",
	"lo_lseek64", "lo_open", "lo_put", "lo_tell", "lo_tell64",
	"lo_truncate", "lo_truncate64", "lo_unlink", "loread", "lowrite",
	"mxid_age", "pg_available_extension_versions",
	"pg_available_extensions", "pg_available_wal_summaries",
	"pg_backend_pid", "pg_blocking_pids", "pg_clear_attribute_stats",
	"pg_clear_relation_stats", "pg_collation_actual_version",
	"pg_conf_load_time", "pg_config", "pg_control_checkpoint",
	"pg_control_init", "pg_control_recovery", "pg_control_system",
	"pg_current_logfile", "pg_current_snapshot", "pg_current_wal_flush_lsn",
	"pg_current_wal_insert_lsn", "pg_current_wal_lsn", "pg_current_xact_id",
	"pg_current_xact_id_if_assigned", "pg_current_xlog_location",
	"pg_cursor", "pg_database_collation_actual_version", "pg_database_size",
	"pg_event_trigger_ddl_commands", "pg_event_trigger_dropped_objects",
	"pg_event_trigger_table_rewrite_oid",
	"pg_event_trigger_table_rewrite_reason", "pg_export_snapshot",
	"pg_extension_config_dump", "pg_extension_update_paths", "pg_get_aios",
	"pg_get_backend_memory_contexts", "pg_get_loaded_modules",
	"pg_get_multixact_members", "pg_get_replication_slots",
	"pg_get_shmem_allocations", "pg_get_wait_events",
	"pg_get_wal_replay_pause_state", "pg_get_wal_resource_managers",
	"pg_get_wal_summarizer_state", "pg_hba_file_rules",
	"pg_ident_file_mappings", "pg_import_system_collations",
	"pg_indexes_size", "pg_is_in_recovery", "pg_is_other_temp_schema",
	"pg_is_wal_replay_paused", "pg_isolation_test_session_is_blocked",
	"pg_jit_available", "pg_last_committed_xact", "pg_last_wal_receive_lsn",
	"pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
	"pg_lock_status", "pg_logical_emit_message", "pg_ls_archive_statusdir",
	"pg_ls_dir", "pg_ls_logdir", "pg_ls_logicalmapdir",
	"pg_ls_logicalsnapdir", "pg_ls_replslotdir", "pg_ls_summariesdir",
	"pg_ls_tmpdir", "pg_ls_waldir", "pg_my_temp_schema", "pg_nextoid",
	"pg_notification_queue_usage", "pg_notify", "pg_numa_available",
	"pg_options_to_table", "pg_postmaster_start_time",
	"pg_prepared_statement", "pg_prepared_xact", "pg_read_binary_file",
	"pg_read_file", "pg_read_file_old", "pg_relation_size",
	"pg_replication_origin_oid", "pg_restore_attribute_stats",
	"pg_restore_relation_stats", "pg_safe_snapshot_blocking_pids",
	"pg_sequence_last_value", "pg_sequence_parameters",
	"pg_settings_get_flags", "pg_show_all_file_settings",
	"pg_show_all_settings", "pg_show_replication_origin_status",
	"pg_stat_clear_snapshot", "pg_stat_file", "pg_stat_have_stats",
	"pg_stop_making_pinned_objects", "pg_table_size",
	"pg_tablespace_databases", "pg_tablespace_location",
	"pg_tablespace_size", "pg_total_relation_size",
	"pg_wait_for_backend_termination", "pg_wal_summary_contents",
	"pg_walfile_name", "pg_walfile_name_offset", "pg_xact_commit_timestamp",
	"pg_xact_commit_timestamp_origin", "pg_xact_status",
	"plpgsql_validator", "txid_current", "txid_current_if_assigned",
	"txid_current_snapshot", "txid_status", "unicode_version", "version",
};

/* Run SQL from a text or touch relations named by an argument. */
static const char *const opaque_names[] = {
	"cursor_to_xml", "cursor_to_xmlschema", "database_to_xml",
	"database_to_xml_and_xmlschema", "database_to_xmlschema",
	"query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema",
	"schema_to_xml", "schema_to_xml_and_xmlschema", "schema_to_xmlschema",
	"table_to_xml", "table_to_xml_and_xmlschema",
	"table_to_xmlschema", "ts_rewrite", "ts_stat",
};

/* Move a sequence, and this session remembers where. */
static const char *const sequence_names[] = {
	"nextval", "setval",
};

/* What the session remembers. */
static const char *const sequence_reader_names[] = {
	"currval", "lastval",
};

/* Change a setting of the session. */
static const char *const setting_names[] = {
	"set_config",
};

/* Act on the server that runs them: locks, slots, files, control. */
static const char *const control_names[] = {
	"lo_export", "lo_import", "pg_advisory_xact_lock",
	"pg_advisory_xact_lock_shared", "pg_backup_start", "pg_backup_stop",
	"pg_cancel_backend", "pg_copy_logical_replication_slot",
	"pg_copy_physical_replication_slot",
	"pg_create_logical_replication_slot",
	"pg_create_physical_replication_slot", "pg_create_restore_point",
	"pg_drop_replication_slot", "pg_file_rename", "pg_file_sync",
	"pg_file_unlink", "pg_file_write", "pg_log_backend_memory_contexts",
	"pg_log_standby_snapshot", "pg_logical_slot_get_binary_changes",
	"pg_logical_slot_get_changes", "pg_logical_slot_peek_binary_changes",
	"pg_logical_slot_peek_changes", "pg_promote", "pg_reload_conf",
	"pg_replication_origin_advance", "pg_replication_origin_create",
	"pg_replication_origin_drop", "pg_replication_origin_progress",
	"pg_replication_origin_xact_reset", "pg_replication_origin_xact_setup",
	"pg_replication_slot_advance", "pg_rotate_logfile",
	"pg_rotate_logfile_old", "pg_start_backup", "pg_stat_force_next_flush",
	"pg_stat_reset", "pg_stat_reset_backend_stats",
	"pg_stat_reset_replication_slot", "pg_stat_reset_shared",
	"pg_stat_reset_single_function_counters",
	"pg_stat_reset_single_table_counters", "pg_stat_reset_slru",
	"pg_stat_reset_subscription_stats", "pg_stop_backup", "pg_switch_wal",
	"pg_switch_xlog", "pg_sync_replication_slots", "pg_terminate_backend",
	"pg_try_advisory_xact_lock", "pg_try_advisory_xact_lock_shared",
	"pg_wal_replay_pause", "pg_wal_replay_resume", "pg_xlog_replay_pause",
	"pg_xlog_replay_resume",
};

/* Locks that live as long as the session. */
static const char *const lock_names[] = {
	"pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock",
	"pg_try_advisory_lock_shared",
};

/* ... and their release. */
static const char *const unlock_names[] = {
	"pg_advisory_unlock",
	"pg_advisory_unlock_shared",
};

/* What the session listens to. */
static const char *const listening_names[] = { "pg_listening_channels" };

static const char *const unlock_all_names[] = { "pg_advisory_unlock_all" };

/* Change the session in a way that no command undoes. */
static const char *const spending_names[] = { "setseed" };

/* Tie the session to a replication origin. */
static const char *const origin_names[] = {
	"pg_replication_origin_session_is_setup",
	"pg_replication_origin_session_progress",
	"pg_replication_origin_session_reset",
	"pg_replication_origin_session_setup",
};

/* Tables and views of pg_catalog, the same on every server. */
static const char *const system_relations[] = {
	"pg_aggregate", "pg_am", "pg_amop", "pg_amproc", "pg_attrdef",
	"pg_attribute", "pg_auth_members", "pg_authid", "pg_cast", "pg_class",
	"pg_collation", "pg_constraint", "pg_conversion", "pg_database",
	"pg_db_role_setting", "pg_default_acl", "pg_depend", "pg_description",
	"pg_enum", "pg_event_trigger", "pg_extension",
	"pg_foreign_data_wrapper", "pg_foreign_server", "pg_foreign_table",
	"pg_group", "pg_index", "pg_indexes", "pg_inherits", "pg_init_privs",
	"pg_language", "pg_largeobject", "pg_largeobject_metadata",
	"pg_matviews", "pg_namespace", "pg_opclass", "pg_operator",
	"pg_opfamily", "pg_parameter_acl", "pg_partitioned_table",
	"pg_policies", "pg_policy", "pg_proc", "pg_publication",
	"pg_publication_namespace", "pg_publication_rel",
	"pg_publication_tables", "pg_range", "pg_replication_origin",
	"pg_rewrite", "pg_roles", "pg_rules", "pg_seclabel", "pg_seclabels",
	"pg_sequence", "pg_shadow", "pg_shdepend", "pg_shdescription",
	"pg_shseclabel", "pg_statistic", "pg_statistic_ext",
	"pg_statistic_ext_data", "pg_stats", "pg_stats_ext",
	"pg_stats_ext_exprs", "pg_subscription", "pg_subscription_rel",
	"pg_tables", "pg_tablespace", "pg_timezone_abbrevs",
	"pg_timezone_names", "pg_transform", "pg_trigger", "pg_ts_config",
	"pg_ts_config_map", "pg_ts_dict", "pg_ts_parser", "pg_ts_template",
	"pg_type", "pg_user", "pg_user_mapping", "pg_user_mappings", "pg_views",
};

/* What only this very server knows, besides pg_stat_ and pg_statio_. */
static const char *const local_relations[] = {
	"pg_aios", "pg_available_extension_versions", "pg_available_extensions",
	"pg_backend_memory_contexts", "pg_config", "pg_cursors",
	"pg_dsm_registry_allocations", "pg_file_settings", "pg_hba_file_rules",
	"pg_ident_file_mappings", "pg_locks", "pg_prepared_statements",
	"pg_prepared_xacts", "pg_replication_origin_status",
	"pg_replication_slots", "pg_settings", "pg_shmem_allocations",
	"pg_shmem_allocations_numa", "pg_wait_events",
};

/* information_schema. */
static const char *const information_relations[] = {
	"_pg_foreign_data_wrappers", "_pg_foreign_servers",
	"_pg_foreign_table_columns", "_pg_foreign_tables", "_pg_user_mappings",
	"administrable_role_authorizations", "applicable_roles", "attributes",
	"character_sets", "check_constraint_routine_usage", "check_constraints",
	"collation_character_set_applicability", "collations",
	"column_column_usage", "column_domain_usage", "column_options",
	"column_privileges", "column_udt_usage", "columns",
	"constraint_column_usage", "constraint_table_usage",
	"data_type_privileges", "domain_constraints", "domain_udt_usage",
	"domains", "element_types", "enabled_roles",
	"foreign_data_wrapper_options", "foreign_data_wrappers",
	"foreign_server_options", "foreign_servers", "foreign_table_options",
	"foreign_tables", "information_schema_catalog_name", "key_column_usage",
	"parameters", "referential_constraints", "role_column_grants",
	"role_routine_grants", "role_table_grants", "role_udt_grants",
	"role_usage_grants", "routine_column_usage", "routine_privileges",
	"routine_routine_usage", "routine_sequence_usage",
	"routine_table_usage", "routines", "schemata", "sequences",
	"sql_features", "sql_implementation_info", "sql_parts", "sql_sizing",
	"table_constraints", "table_privileges", "tables", "transforms",
	"triggered_update_columns", "triggers", "udt_privileges",
	"usage_privileges", "user_defined_types", "user_mapping_options",
	"user_mappings", "view_column_usage", "view_routine_usage",
	"view_table_usage", "views",
};

/* Types, under every name the grammar has for them. */
static const char *const type_names[] = {
	"aclitem", "any", "anyarray", "anycompatible", "anycompatiblearray",
	"anycompatiblemultirange", "anycompatiblenonarray",
	"anycompatiblerange", "anyelement", "anyenum", "anymultirange",
	"anynonarray", "anyrange", "bigint", "bit", "bool", "boolean", "box",
	"bpchar", "bytea", "char", "character", "cid", "cidr", "circle",
	"cstring", "date", "datemultirange", "daterange", "dec", "decimal",
	"double", "event_trigger", "fdw_handler", "float", "float4", "float8",
	"gtsvector", "index_am_handler", "inet", "int", "int2", "int2vector",
	"int4", "int4multirange", "int4range", "int8", "int8multirange",
	"int8range", "integer", "internal", "interval", "json", "jsonb",
	"jsonpath", "language_handler", "line", "lseg", "macaddr", "macaddr8",
	"money", "name", "national", "nchar", "numeric", "nummultirange",
	"numrange", "oid", "oid8", "oidvector", "path", "pg_brin_bloom_summary",
	"pg_brin_minmax_multi_summary", "pg_ddl_command", "pg_dependencies",
	"pg_lsn", "pg_mcv_list", "pg_ndistinct", "pg_node_tree", "pg_snapshot",
	"point", "polygon", "precision", "real", "record", "refcursor",
	"regclass", "regcollation", "regconfig", "regdictionary",
	"regnamespace", "regoper", "regoperator", "regproc", "regprocedure",
	"regrole", "regtype", "serial", "smallint", "table_am_handler", "text",
	"tid", "time", "timestamp", "timestamptz", "timetz", "trigger",
	"tsm_handler", "tsmultirange", "tsquery", "tsrange", "tstzmultirange",
	"tstzrange", "tsvector", "txid_snapshot", "unknown", "uuid", "varbit",
	"varchar", "varying", "void", "xid", "xid8", "xml",
};

/* Operators. */
static const char *const operator_names[] = {
	"!!", "!=", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>",
	"%", "&", "&&", "&<", "&<|", "&>", "*", "*<", "*<=", "*<>", "*=", "*>",
	"*>=", "+", "-", "->", "->>", "-|-", "/", "<", "<->", "<<", "<<=",
	"<<|", "<=", "<>", "<@", "<^", "=", "=>", ">", ">=", ">>", ">>=", ">^",
	"?", "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@", "@>", "@?", "@@",
	"@@@", "^", "^@", "|", "|&>", "|/", "|>>", "||", "||/", "~", "~*",
	"~<=~", "~<~", "~=", "~>=~", "~>~", "~~", "~~*",
};

/* clang-format on */

struct function_list {
	const char *const *names;
	size_t count;
	enum catalog_function kind;
	uint32_t effects;
};

#define FUNCTION_LIST(list, kind, effects)            \
	{                                             \
		list, COUNT_OF(list), kind, (effects) \
	}

static const struct function_list function_lists[] = {
	FUNCTION_LIST(safe_names, FUNCTION_SAFE, 0),
	FUNCTION_LIST(reader_names, FUNCTION_SAFE, EFFECT_CATALOG_READ),
	FUNCTION_LIST(primary_names, FUNCTION_PRIMARY, 0),
	FUNCTION_LIST(opaque_names, FUNCTION_PRIMARY, EFFECT_HIDDEN),
	FUNCTION_LIST(sequence_names, FUNCTION_PRIMARY, EFFECT_SEQUENCE),
	FUNCTION_LIST(sequence_reader_names, FUNCTION_PRIMARY,
		      EFFECT_SEQUENCE_READ),
	FUNCTION_LIST(setting_names, FUNCTION_PRIMARY, EFFECT_SET),
	FUNCTION_LIST(control_names, FUNCTION_NEVER_REPLICA, 0),
	FUNCTION_LIST(lock_names, FUNCTION_NEVER_REPLICA, EFFECT_ADVISORY),
	FUNCTION_LIST(listening_names, FUNCTION_PRIMARY, EFFECT_LISTEN),
	FUNCTION_LIST(unlock_names, FUNCTION_NEVER_REPLICA, EFFECT_UNLOCK),
	FUNCTION_LIST(unlock_all_names, FUNCTION_NEVER_REPLICA,
		      EFFECT_UNLOCK | EFFECT_UNLOCK_ALL),
	FUNCTION_LIST(spending_names, FUNCTION_PRIMARY, EFFECT_LOAD),
	FUNCTION_LIST(origin_names, FUNCTION_NEVER_REPLICA, EFFECT_LOAD),
};

/* Byte order of a name without NUL against a listed one. */
static int compare(const char *name, size_t len, const char *listed)
{
	int order = strncmp(name, listed, len);

	if (order != 0)
		return order;
	return listed[len] == '\0' ? 0 : -1;
}

static bool has_name(const char *const *names, size_t count, const char *name,
		     size_t len)
{
	size_t low = 0;
	size_t high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(name, len, names[middle]);

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static bool has_prefix(const char *name, size_t len, const char *prefix)
{
	size_t prefix_len = strlen(prefix);

	return len >= prefix_len && memcmp(name, prefix, prefix_len) == 0;
}

enum catalog_function catalog_builtin_function(const char *name, size_t len,
					       uint32_t *effects)
{
	*effects = 0;
	for (size_t i = 0; i < COUNT_OF(function_lists); i++) {
		const struct function_list *list = &function_lists[i];

		if (!has_name(list->names, list->count, name, len))
			continue;
		*effects = list->effects;
		return list->kind;
	}
	/* Some 150 counters of this very server. */
	if (has_prefix(name, len, "pg_stat_get_"))
		return FUNCTION_PRIMARY;
	return FUNCTION_MISSING;
}

enum catalog_relation catalog_builtin_relation(const char *name, size_t len)
{
	if (has_name(system_relations, COUNT_OF(system_relations), name, len))
		return RELATION_SYSTEM;
	if (has_name(local_relations, COUNT_OF(local_relations), name, len) ||
	    has_prefix(name, len, "pg_stat_") ||
	    has_prefix(name, len, "pg_statio_"))
		return RELATION_NODE_LOCAL;
	/* Reads ahead of what a replica has: 32 values are logged at once. */
	if (compare(name, len, "pg_sequences") == 0)
		return RELATION_PRIMARY;
	return RELATION_MISSING;
}

bool catalog_builtin_has_information(const char *name, size_t len)
{
	return has_name(information_relations, COUNT_OF(information_relations),
			name, len);
}

bool catalog_builtin_has_type(const char *name, size_t len)
{
	return has_name(type_names, COUNT_OF(type_names), name, len);
}

bool catalog_builtin_has_operator(const char *name, size_t len)
{
	return has_name(operator_names, COUNT_OF(operator_names), name, len);
}
