//! The corpus of statements that pretend to be others, run against each fence alone and both: what the
//! policies refuse by a text, and what the database refuses to a role.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tests::World;
use tests::pg::{Message, PgClient};
use tokio::time::timeout;

/// What the statements of the corpus name, all of it owned by `app`, which may do anything here.
/// `reader` may read some, and none of `hr`. The functions do harm with the rights of whoever calls
/// them.
const PLACE: &str = "
create role reader;
grant create on database orders to app;
grant create on schema public to app;
set role app;
create schema hr; create schema s; create schema evil;
create table payroll (id serial primary key, pay int, v int, x int, k text);
create table hr.payroll (id int, pay int, note text);
create table a (like payroll); create table b (like payroll); create table c (like payroll);
create table t (like payroll); create table u (like payroll); create table x (like payroll);
create table s.x (like payroll); create table archive (like payroll);
create table \"Payroll\" (like payroll); create table p$1 (like payroll);
create table table_with_trigger (id int); create table behind_rule (id int);
create view view_with_rule as select * from behind_rule;
create function purge_everything() returns int language plpgsql as 'begin delete from payroll; return 1; end';
create function purge(a) returns int language sql as 'delete from payroll; select 1';
create function evil.add(int, int) returns int language sql as 'delete from payroll; select 1';
create operator evil.+ (leftarg = int, rightarg = int, function = evil.add);
create function on_insert() returns trigger language plpgsql as 'begin delete from payroll; return new; end';
create trigger harmful before insert on table_with_trigger for each row execute function on_insert();
create rule instead as on insert to view_with_rule do instead delete from payroll;
create view harmless_view as select purge_everything();
insert into payroll values (1, 100, 1, 1, 'a'), (2, 200, 2, 2, 'b');
insert into hr.payroll values (1, 9000, 'SECRET');
insert into a select * from payroll; insert into b select * from payroll; insert into t select * from payroll;
insert into u select * from payroll; insert into x select * from payroll; insert into s.x select * from payroll;
reset role;
grant usage on schema s, evil to reader;
grant select on payroll, a, b, c, t, u, x, s.x, archive, \"Payroll\", p$1, harmless_view, view_with_rule, table_with_trigger, orders to reader;
";

/// All rows, all owners and rights, every sequence and setting, as one digest.
const STATE: &str = "
select md5(string_agg(line, E'\\n' order by line)) from (
  select query_to_xml(format('select * from %I.%I', n.nspname, relname), true, false, '')::text
    from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'r' and nspname !~ '^(pg_|information_schema)'
  union all select relnamespace || relname || relowner || coalesce(relacl::text, '') from pg_class where relnamespace::regnamespace::text !~ '^pg_'
  union all select proname || coalesce(proacl::text, '') from pg_proc where pronamespace::regnamespace::text !~ '^pg_'
  union all select nspname || coalesce(nspacl::text, '') from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
  union all select rolname || rolsuper || rolcanlogin from pg_roles where rolname !~ '^tg_'
  union all select roleid::regrole::text || member::regrole from pg_auth_members where member::regrole::text !~ '^tg_' and roleid::regrole::text !~ '^tg_'
  union all select setconfig::text from pg_db_role_setting where setrole::regrole::text !~ '^tg_'
  union all select sequencename || coalesce(last_value, 0) from pg_sequences
  union all select oid::text from pg_largeobject_metadata
) lines(line)";

const ANY: &str =
    "permit (principal, action in Jit::Action::\"sql\", resource is Jit::PgDatabase);";
const READING: &str = "permit (principal, action in [Jit::Action::\"pgSelect\", Jit::Action::\"pgOther\"], resource is Jit::PgDatabase);";

/// How long a statement may run before it counts as one that does nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// One way to run the corpus.
struct Fences {
    /// As which role.
    role: &'static str,
    /// By which rule for SQL.
    rule: &'static str,
}

/// How it went.
#[derive(Debug, Default)]
struct Tally {
    refused_by_policy: Vec<String>,
    refused_by_database: Vec<String>,
    harmless: Vec<String>,
    harmful: Vec<String>,
}

fn corpus() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/statements.tsv");
    let text = fs::read_to_string(path).expect("there is a corpus");
    let unescape = |sql: &str| {
        let pairs = [
            ("\\\\", "\0"),
            ("\\n", "\n"),
            ("\\r", "\r"),
            ("\\f", "\u{c}"),
            ("\\t", "\t"),
            ("\0", "\\"),
        ];
        pairs
            .iter()
            .fold(sql.to_owned(), |sql, (from, to)| sql.replace(from, to))
    };
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split('\t').nth(3))
        .map(unescape)
        .collect()
}

async fn client(world: &World, role: &str) -> PgClient {
    let mut client = world.pg_client_as(role).await;
    // A default is no fence: whoever means harm begins with this.
    let freed = client
        .query("set default_transaction_read_only = off")
        .await;
    assert_eq!(refused(&freed.expect("it answers")), None);
    client
}

fn apply(world: &World, shipped: &str, rule: &str) {
    let dir = world.config_dir().join("policy");
    assert!(shipped.contains(ANY), "the shipped rule is as expected");
    let text = if rule.is_empty() {
        shipped.replace(&format!("@id(\"grant-sql\")\n{ANY}"), "")
    } else {
        shipped.replace(ANY, rule)
    };
    fs::write(dir.join("access.cedar"), text).expect("a policy is written");
    let dir = dir.display().to_string();
    let apply = ["tidegate", "policy", "apply", &dir, "--yes"];
    world.bob().run(&apply).expect("bob applies it");
}

fn refused(answers: &[Message]) -> Option<String> {
    let error = answers.iter().find(|answer| answer.kind == b'E')?;
    Some(error.field(b'D').unwrap_or_default())
}

fn told(answers: &[Message]) -> bool {
    let rows = answers
        .iter()
        .filter(|answer| answer.kind == b'D' || answer.kind == b'd');
    rows.into_iter()
        .any(|row| String::from_utf8_lossy(&row.body).contains("SECRET"))
}

fn reset(world: &World) {
    let run = |sql: &str| {
        world
            .postgres()
            .run_sql("postgres", sql)
            .expect("the database answers")
    };
    run("drop database orders with (force)");
    run("create database orders template clean owner postgres");
    run("grant create on database orders to app");
}

async fn run(world: &World, fences: &Fences) -> Tally {
    let mut tally = Tally::default();
    // Roles that were made under the rules before go first.
    world.no_own_roles();
    let before = world.sql(STATE);
    let mut session = client(world, fences.role).await;
    for sql in corpus() {
        let answers = match timeout(PATIENCE, session.query(&sql)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(_)) | Err(_) => Vec::new(),
        };
        match refused(&answers) {
            Some(detail) if detail.contains("tidegate code") => {
                tally.refused_by_policy.push(sql.clone());
            }
            Some(_database) => tally.refused_by_database.push(sql.clone()),
            None => {}
        }
        let idle = answers
            .last()
            .is_some_and(|last| last.kind == b'Z' && last.body == b"I");
        if refused(&answers).is_some() && idle {
            continue;
        }
        let leaks = told(&answers);
        // What it has left open is over before it is looked whether anything has changed.
        drop(session);
        let changed = world.sql(STATE) != before;
        if leaks || changed {
            tally.harmful.push(sql);
        } else if refused(&answers).is_none() {
            tally.harmless.push(sql);
        }
        if changed {
            reset(world);
        }
        session = client(world, fences.role).await;
    }
    tally
}

#[tokio::test]
async fn nothing_of_the_corpus_passes_both_fences() {
    let world = World::new();
    world.sql(PLACE);
    world.have_own_roles_of(&["app", "reader"]);
    let template = "create database clean template orders";
    world
        .postgres()
        .run_sql("postgres", template)
        .expect("a copy is made");
    let access = world.config_dir().join("policy/access.cedar");
    let shipped = fs::read_to_string(access).expect("there are policies");
    for role in ["app", "reader"] {
        world.grant("orders", role, "1h");
    }
    let all: BTreeMap<&str, Fences> = BTreeMap::from([
        (
            "A alone",
            Fences {
                role: "app",
                rule: READING,
            },
        ),
        (
            "B alone",
            Fences {
                role: "reader",
                rule: "",
            },
        ),
        (
            "both",
            Fences {
                role: "reader",
                rule: READING,
            },
        ),
    ]);
    let mut tallies = BTreeMap::new();
    for (name, fences) in &all {
        apply(&world, &shipped, fences.rule);
        tallies.insert(*name, run(&world, fences).await);
    }
    let path = world.dir().join("tallies");
    fs::write(path, format!("{tallies:#?}")).expect("the tallies are written");
    assert!(
        !tallies["A alone"].harmful.is_empty(),
        "the harm is real: {tallies:#?}"
    );
    assert_eq!(
        tallies["both"].harmful,
        Vec::<String>::new(),
        "{tallies:#?}"
    );
    assert_eq!(
        tallies["B alone"].harmful,
        Vec::<String>::new(),
        "{tallies:#?}"
    );
}
