//! The settings that a client may begin with, and as which statement each is judged.
//!
//! Of `options` only settings are understood, as the server reads them. Decides nothing, and does no I/O.

/// What anybody may set as they connect, in lower case: how things are shown, how long things may take, and
/// tightening. None of them changes who one is, what a name means or which code runs.
const FREE: [&str; 20] = [
    "application_name",
    "bytea_output",
    "client_encoding",
    "client_min_messages",
    "datestyle",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "enable_seqscan",
    "extra_float_digits",
    "geqo",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "lock_timeout",
    "standard_conforming_strings",
    "statement_timeout",
    "timezone",
    "transaction_timeout",
    "xmloption",
];

/// What may be set by whoever may `SET` it, in lower case: how statements are planned, how much they may use, where new
/// things go, and how they are shown.
///
/// Each is one that `SET` sets for anybody on every server that has it (context `user` in `pg_settings`, PostgreSQL 13 to
/// 18), and that does the same when it is set as the session begins. So these are not here: what only a beginning sets
/// (`ignore_system_indexes`, `post_auth_delay`), what has code loaded (`local_preload_libraries`), what ends the session
/// (`exit_on_error`), what is about the connection or about a single transaction, what is for debugging, and the settings
/// of extensions, each of which may be any of these.
const AS_SET: [&str; 73] = [
    "check_function_bodies",
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "default_statistics_target",
    "default_table_access_method",
    "default_tablespace",
    "default_text_search_config",
    "default_toast_compression",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_distinct_reordering",
    "enable_gathermerge",
    "enable_group_by_reordering",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_presorted_aggregate",
    "enable_self_join_elimination",
    "enable_sort",
    "enable_tidscan",
    "escape_string_warning",
    "from_collapse_limit",
    "geqo_effort",
    "geqo_generations",
    "geqo_pool_size",
    "geqo_seed",
    "geqo_selection_bias",
    "geqo_threshold",
    "gin_fuzzy_search_limit",
    "gin_pending_list_limit",
    "hash_mem_multiplier",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "maintenance_io_concurrency",
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "random_page_cost",
    "row_security",
    "seq_page_cost",
    "synchronize_seqscans",
    "synchronous_commit",
    "temp_buffers",
    "temp_tablespaces",
    "work_mem",
];

/// What decides whether transactions may write: one may begin with `on`, and with `off` only who may set it.
const READ_ONLY: &str = "default_transaction_read_only";

/// What decides which table or function a name means.
const SEARCH_PATH: &str = "search_path";

/// Who may begin with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beginner {
    Anybody,
    /// Whoever may run this.
    WhoMay(String),
    Nobody,
}

/// Who may begin with this. `name` in any case.
///
/// A login trigger (PostgreSQL 17) and what a server has loaded for each session run before the first statement, and no
/// `SET` comes before them. What they find in the place of what they name is nobody's to choose who could not have
/// chosen it before: for the role itself, by `ALTER ROLE`.
pub(crate) fn beginner(name: &str, value: &str) -> Beginner {
    let name = name.to_ascii_lowercase();
    let set = || format!("set {name} to default");
    match name.as_str() {
        READ_ONLY if is_on(value) => Beginner::Anybody,
        READ_ONLY => Beginner::WhoMay(set()),
        SEARCH_PATH => Beginner::WhoMay(format!(
            "{}; alter role current_user set {name} to default",
            set()
        )),
        free if FREE.contains(&free) => Beginner::Anybody,
        asked if AS_SET.contains(&asked) => Beginner::WhoMay(set()),
        _other => Beginner::Nobody,
    }
}

/// Whether PostgreSQL reads this as yes (`parse_bool`).
fn is_on(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let word = |word: &str| word.starts_with(&value) && !value.is_empty();
    word("true") || word("yes") || value == "on" || value == "1"
}

/// The settings in `options`, the last of each name: `-c name=value`, `-cname=value` and `--name=value`. None where there
/// is anything else in it.
///
/// Taken apart as the server does it (`pg_split_opts` and `process_postgres_switches`, `src/backend`): white space
/// separates, a backslash takes the next character as it is, and `-` in a name stands for `_`.
pub(crate) fn options(text: &str) -> Option<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut words = split(text).into_iter();
    while let Some(word) = words.next() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.next()?,
            Some(attached) => attached.to_owned(),
            None => word.strip_prefix("--")?.to_owned(),
        };
        let (name, value) = setting.split_once('=')?;
        let name = name.replace('-', "_");
        found.retain(|(before, _value)| !before.eq_ignore_ascii_case(&name));
        found.push((name, value.to_owned()));
    }
    Some(found)
}

/// The words of an `options`.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut is_taken = false;
    for char in text.chars() {
        // `isspace` of the C locale.
        let is_space = matches!(char, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r');
        match char {
            _any if std::mem::take(&mut is_taken) => word.get_or_insert_default().push(char),
            '\\' => {
                is_taken = true;
                word.get_or_insert_default();
            }
            _any if is_space => words.extend(word.take()),
            _any => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&[(&str, &str)]>) {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let want = want.map(|want| want.iter().map(pair).collect());
        assert_eq!(options(text), want, "{text}");
    }

    #[test]
    fn options_are_read_as_the_server_reads_them() {
        check(" \t\n", Some(&[]));
        check(
            "-c work_mem=5MB  -cgeqo=off --search-path=a,b",
            Some(&[("work_mem", "5MB"), ("geqo", "off"), ("search_path", "a,b")]),
        );
        check(
            r"-c search_path=a,\ b\\ -c TimeZone=",
            Some(&[("search_path", r"a, b\"), ("TimeZone", "")]),
        );
        check("-c work_mem=1=2", Some(&[("work_mem", "1=2")]));
        // The last one counts.
        check("-c jit=on --JIT=off", Some(&[("JIT", "off")]));
        // A backslash at the end takes nothing.
        check(r"-c work_mem=5\", Some(&[("work_mem", "5")]));
    }

    #[test]
    fn anything_else_than_settings_is_not_understood() {
        for odd in [
            "-c",
            "-c work_mem",
            "--",
            "--work_mem",
            "-e",
            "-fs",
            "-E -c jit=on",
            "work_mem=5",
            "-S 4096",
            r"\",
            "-C jit=on",
            "-d5",
        ] {
            check(odd, None);
        }
    }

    #[test]
    fn whoever_may_not_set_something_may_not_begin_with_it() {
        let set = |name: &str| Beginner::WhoMay(format!("set {name} to default"));
        assert_eq!(beginner("Work_Mem", "5MB"), set("work_mem"));
        assert_eq!(beginner("TimeZone", "UTC"), Beginner::Anybody);
        for (value, is_free) in [
            ("on", true),
            ("T", true),
            ("1", true),
            ("yes", true),
            ("off", false),
            ("o", false),
            ("", false),
            ("0", false),
        ] {
            let want = if is_free {
                Beginner::Anybody
            } else {
                set(READ_ONLY)
            };
            assert_eq!(beginner(READ_ONLY, value), want, "{value}");
        }
        let path = "set search_path to default; alter role current_user set search_path to default";
        let want = Beginner::WhoMay(path.to_owned());
        assert_eq!(beginner("Search_Path", "a"), want);
        for never in [
            "role",
            "session_authorization",
            "local_preload_libraries",
            "session_preload_libraries",
            "ignore_system_indexes",
            "exit_on_error",
            "app.tenant",
            "user",
            "options",
            "",
        ] {
            assert_eq!(beginner(never, "on"), Beginner::Nobody, "{never}");
        }
    }
}
