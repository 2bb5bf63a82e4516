"""psycopg 2 does $CASE. It finds its way by PGHOST, PGSSLCERT and so on."""
import hashlib, io, os, select, threading, time
import psycopg2, psycopg2.extras
from psycopg2 import extensions

def connect(**more):
    c = psycopg2.connect("", **more)
    c.autocommit = True
    return c

def fails(act):
    try:
        print("worked", act())
    except psycopg2.Error as error:
        d = error.diag
        print(type(error).__name__, error.pgcode, d.message_primary, d.message_detail, d.message_hint, d.statement_position)

def md5(data):
    return hashlib.md5(data if isinstance(data, bytes) else repr(data).encode()).hexdigest()

def ask(c, query, values=None):
    with c.cursor() as cur:
        cur.execute(query, values)
        return cur.fetchall() if cur.description else cur.statusmessage

def case_connect():
    c = connect()
    print(ask(c, "select current_user, session_user, current_database()"), c.server_version, c.encoding,
          c.get_parameter_status("server_version"), c.info.ssl_in_use, c.get_backend_pid() != 0)

def case_simple():
    c = connect()
    for q in ["select 42", "values (1),(2)", "select 'a;b'", "create temp table t (a int)"]:
        print(ask(c, q))

def case_nulls():
    print(ask(connect(), "select %s, '', null::int[], array[null, 1]", (None,)))

def case_large_row():
    print(md5(ask(connect(), "select %s || 'z'", ("y" * 20_000_000,))))

def case_large_result():
    print(md5(ask(connect(), "select n, md5(n::text) from generate_series(1, 100000) n")))

def case_copy_out():
    out = io.StringIO()
    connect().cursor().copy_expert("copy (select n, null, 'v' from generate_series(1, 30000) n) to stdout", out)
    print(md5(out.getvalue()))

def case_copy_in():
    cur = connect().cursor()
    cur.execute("create temp table t (n int, v text)")
    cur.copy_from(io.StringIO("".join(f"{n}\t\\N\n" for n in range(20000))), "t")
    cur.execute("select count(*), count(v), sum(n) from t")
    print(cur.fetchall())

def case_copy_fail():
    c = connect()
    cur = c.cursor()
    cur.execute("create temp table t (n int)")
    fails(lambda: cur.copy_expert("copy t from stdin", io.StringIO("1\nx\n")))
    print(ask(c, "select count(*) from t"))

def case_notice():
    c = connect()
    ask(c, "do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$")
    print(c.notices)

def case_listen():
    a, b, room = connect(), connect(), os.environ["ROOM"]
    ask(a, f'listen "{room}"')
    ask(b, "select pg_notify(%s, %s)", (room, "z" * 7900))
    end = time.monotonic() + 10
    while not a.notifies and time.monotonic() < end:
        # What is there may be the beginning of it.
        select.select([a], [], [], 1)
        a.poll()
    print([(n.channel == room, md5(n.payload), n.pid > 0) for n in a.notifies])

def case_portal():
    c = psycopg2.connect("")
    cur = c.cursor("named", scrollable=True)
    cur.itersize = 10
    cur.execute("select generate_series(1, 100)")
    print(cur.fetchmany(3), cur.scroll(50), cur.fetchone(), len(cur.fetchall()))

def case_error():
    c = psycopg2.connect("")
    fails(lambda: ask(c, "select nothing from orders"))
    fails(lambda: ask(c, "select 1"))
    c.rollback()
    print(ask(c, "select 2"), c.info.transaction_status)
    fails(lambda: ask(c, "insert into orders values (1, 'twice')"))

def case_cancel():
    c = connect()
    threading.Timer(0.5, c.cancel).start()
    fails(lambda: ask(c, "select pg_sleep(60)"))
    print(ask(c, "select 1"))

def case_multi():
    c = connect()
    print(ask(c, "select 1; select 2, 3"))
    fails(lambda: ask(c, "create temp table t (a int); select 1/0"))

def case_savepoint():
    c = psycopg2.connect("")
    ask(c, "create temp table t (n int)"), ask(c, "savepoint a")
    fails(lambda: ask(c, "select 1/0"))
    ask(c, "rollback to a"), ask(c, "insert into t values (2)")
    c.commit()
    print(ask(c, "table t"))

def case_types():
    c = connect()
    cur = c.cursor()
    cur.execute("select 1.5::numeric(5,2), 'x'::varchar(3), '{\"a\":1}'::jsonb, '[1,5)'::int4range, '1 day'::interval, null::orders")
    print(cur.fetchone(), [(d.name, d.type_code, d.internal_size, d.precision) for d in cur.description])

def case_settings():
    c = connect(application_name="mine")
    c.set_client_encoding("LATIN1")
    c.set_session(readonly=True, isolation_level="SERIALIZABLE")
    print(ask(c, "show application_name"), c.encoding, ask(c, "select 'ä'"))
    fails(lambda: ask(c, "delete from orders"))

def case_options():
    c = connect(options="-c search_path=pg_catalog -c statement_timeout=5s")
    print(ask(c, "show search_path"), ask(c, "show statement_timeout"), ask(c, "reset all; show search_path"))

def case_sessions():
    cs = [connect() for _ in range(4)]
    print([ask(c, "select %s", (n,)) for n, c in enumerate(cs)], len({c.get_backend_pid() for c in cs}))

globals()["case_" + os.environ["CASE"]]()
print("done")
