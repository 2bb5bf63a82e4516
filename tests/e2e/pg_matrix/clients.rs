//! The columns of the PostgreSQL matrix: programs that people have, and how each is run.

use super::cases::Case;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// Its name in `docs/clients.md`.
    pub(super) name: &'static str,
    /// A script that succeeds where its program is there; without one, `tests/pg-clients all` has not
    /// been run.
    pub(super) prepare: &'static str,
    /// The script of all its cells, which reads `$CASE`.
    pub(super) script: &'static str,
    /// What a script that worked ends with. Empty where its output is the proof.
    pub(super) sign: &'static str,
    /// The oldest server that it gets along with directly.
    pub(super) oldest: u32,
    /// The newest.
    pub(super) newest: u32,
    /// What it can do. What is not here it has no way to do.
    pub(super) cases: &'static [Case],
}

const ANY: u32 = u32::MAX;

/// All of what a driver does; those that cannot do something have a list of their own.
const DRIVER: &[Case] = &[
    Case::Connect,
    Case::Simple,
    Case::Extended,
    Case::Reuse,
    Case::Binary,
    Case::Nulls,
    Case::LargeRow,
    Case::LargeResult,
    Case::CopyOut,
    Case::CopyIn,
    Case::CopyFail,
    Case::Notice,
    Case::Listen,
    Case::Portal,
    Case::Error,
    Case::Pipeline,
    Case::Cancel,
    Case::Multi,
    Case::Savepoint,
    Case::Types,
    Case::Settings,
    Case::Options,
    Case::Sessions,
];

pub(super) const PSQL: Client = Client {
    name: "psql",
    prepare: "psql --version",
    script: include_str!("psql.sh"),
    sign: "",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Listen,
        Case::Portal,
        Case::Error,
        Case::Cancel,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

pub(super) const PGBENCH: Client = Client {
    name: "pgbench",
    prepare: "pgbench --version",
    script: include_str!("pgbench.sh"),
    sign: "actually processed: ",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Reuse,
        Case::Error,
        Case::Pipeline,
        Case::Sessions,
    ],
};

/// `pg_dump` refuses servers that are newer than itself.
pub(super) const DUMP: Client = Client {
    name: "pg_dump, pg_restore",
    prepare: "pg_dump --version && pg_restore --version",
    script: include_str!("dump.sh"),
    sign: "20000|",
    oldest: 0,
    newest: 15,
    cases: &[Case::Dump, Case::DumpParallel],
};

pub(super) const PSYCOPG: Client = Client {
    name: "psycopg 3 (libpq 18)",
    prepare: r#""$CLIENTS/pg/bin/python" -c 'import psycopg; assert psycopg.pq.version() >= 180000'"#,
    script: r#""$CLIENTS/pg/bin/python" "$SCRIPTS/psycopg3_client.py""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: DRIVER,
};

pub(super) const PSYCOPG_15: Client = Client {
    name: "psycopg 3 (libpq 15)",
    prepare: r#"PSYCOPG_IMPL=python "$CLIENTS/pg/bin/python" -c 'import psycopg'"#,
    script: r#"PSYCOPG_IMPL=python "$CLIENTS/pg/bin/python" "$SCRIPTS/psycopg3_client.py""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: DRIVER,
};

pub(super) const ASYNCPG: Client = Client {
    name: "asyncpg",
    prepare: r#""$CLIENTS/pg/bin/python" -c 'import asyncpg'"#,
    script: r#""$CLIENTS/pg/bin/python" "$SCRIPTS/asyncpg_client.py""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Reuse,
        Case::Binary,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Listen,
        Case::Portal,
        Case::Error,
        Case::Cancel,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

pub(super) const NODE: Client = Client {
    name: "node-postgres",
    prepare: r#"node --version && [ -d "$CLIENTS/pg-node/node_modules/pg-copy-streams" ]"#,
    script: r#"node "$SCRIPTS/pg_client.js""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Reuse,
        Case::Binary,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Listen,
        Case::Portal,
        Case::Error,
        Case::Pipeline,
        Case::Cancel,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

pub(super) const PSYCOPG_2: Client = Client {
    name: "psycopg 2",
    prepare: r#""$CLIENTS/pg/bin/python" -c 'import psycopg2'"#,
    script: r#""$CLIENTS/pg/bin/python" "$SCRIPTS/psycopg2_client.py""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Listen,
        Case::Portal,
        Case::Error,
        Case::Cancel,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

pub(super) const SQLALCHEMY: Client = Client {
    name: "SQLAlchemy",
    prepare: r#""$CLIENTS/pg/bin/python" -c 'import sqlalchemy, psycopg'"#,
    script: r#""$CLIENTS/pg/bin/python" "$SCRIPTS/mappers_client.py" sqlalchemy"#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Portal,
        Case::Error,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

/// It refuses servers before 14 ("PostgreSQL 14 or later is required").
pub(super) const DJANGO: Client = Client {
    name: "Django",
    prepare: r#""$CLIENTS/pg/bin/python" -c 'import django, psycopg'"#,
    script: r#""$CLIENTS/pg/bin/python" "$SCRIPTS/mappers_client.py" django"#,
    sign: "done\n",
    oldest: 14,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Portal,
        Case::Error,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

/// It reads its key in DER, and its classes from `$TOOLS`.
pub(super) const PGJDBC: Client = Client {
    name: "pgjdbc",
    prepare: r#"javac -d "$TOOLS" -cp /usr/share/java/postgresql.jar "$SCRIPTS/Jdbc.java""#,
    script: r#"openssl pkcs8 -topk8 -nocrypt -in "$PGSSLKEY" -outform DER -out key.pk8 &&
        DERKEY=$PWD/key.pk8 java -Xmx1g -XX:TieredStopAtLevel=1 -cp "$TOOLS:/usr/share/java/postgresql.jar" Jdbc"#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: DRIVER,
};

pub(super) const TOKIO_POSTGRES: Client = Client {
    name: "tokio-postgres",
    prepare: r#"[ -x "$CLIENTS/rust/debug/tokio_client" ]"#,
    script: r#""$CLIENTS/rust/debug/tokio_client""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: DRIVER,
};

/// It has no pipelines, and nothing to cancel with.
pub(super) const SQLX: Client = Client {
    name: "sqlx",
    prepare: r#"[ -x "$CLIENTS/rust/debug/sqlx_client" ]"#,
    script: r#""$CLIENTS/rust/debug/sqlx_client""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Reuse,
        Case::Binary,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Listen,
        Case::Portal,
        Case::Error,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

pub(super) const PSQLODBC: Client = Client {
    name: "psqlODBC",
    prepare: r#""$CLIENTS/pg/bin/python" -c 'import pyodbc' && [ -e /usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so ]"#,
    script: r#""$CLIENTS/pg/bin/python" "$SCRIPTS/odbc_client.py""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Reuse,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::Portal,
        Case::Error,
        Case::Cancel,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

pub(super) const DBD_PG: Client = Client {
    name: "DBD::Pg",
    prepare: "/usr/bin/perl -MDBD::Pg -e1",
    script: r#"/usr/bin/perl "$SCRIPTS/dbi_client.pl""#,
    sign: "done\n",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Extended,
        Case::Reuse,
        Case::Binary,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Listen,
        Case::Portal,
        Case::Error,
        Case::Cancel,
        Case::Multi,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
        Case::Sessions,
    ],
};

/// It takes statements apart itself, and sends them one by one.
pub(super) const PGCLI: Client = Client {
    name: "pgcli",
    prepare: r#""$CLIENTS/pg/bin/pgcli" --version"#,
    script: include_str!("pgcli.sh"),
    sign: "",
    oldest: 0,
    newest: ANY,
    cases: &[
        Case::Connect,
        Case::Simple,
        Case::Nulls,
        Case::LargeRow,
        Case::LargeResult,
        Case::CopyOut,
        Case::CopyIn,
        Case::CopyFail,
        Case::Notice,
        Case::Error,
        Case::Savepoint,
        Case::Types,
        Case::Settings,
        Case::Options,
    ],
};

/// What is not run before pgbouncer, besides all of [`Case::Options`]: what a client sets while it connects and
/// pgbouncer refuses to hear ("unsupported startup parameter", `ignore_startup_parameters`), and a cancel request whose
/// sender waits for no answer, of which pgbouncer 1.18 dies ("bad client state: 0").
pub(super) const NOT_POOLED: &[(&str, Case)] = &[
    (ASYNCPG.name, Case::Settings),
    (NODE.name, Case::Settings),
    (TOKIO_POSTGRES.name, Case::Cancel),
];

/// Every column, in the order of the table.
pub(super) const CLIENTS: &[Client] = &[
    PSQL,
    PGBENCH,
    DUMP,
    PSYCOPG,
    PSYCOPG_15,
    PSYCOPG_2,
    ASYNCPG,
    SQLALCHEMY,
    DJANGO,
    NODE,
    PGJDBC,
    TOKIO_POSTGRES,
    SQLX,
    PSQLODBC,
    DBD_PG,
    PGCLI,
];
