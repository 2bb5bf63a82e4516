"""psycopg 3 does $CASE. It finds its way by PGHOST, PGSSLCERT and so on."""
import hashlib, logging, os, sys, threading, time
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

# What it says of an error that it ignores has the address of an object in it.
logging.disable(logging.WARNING)

def connect(**more):
    return psycopg.connect("", autocommit=True, **more)

def told(error):
    d = error.diag
    return type(error).__name__, d.sqlstate, d.message_primary, d.message_detail, d.message_hint, d.statement_position

def fails(act):
    try:
        print("worked", act())
    except psycopg.Error as error:
        print(*told(error))

def md5(data):
    return hashlib.md5(data if isinstance(data, bytes) else repr(data).encode()).hexdigest()

def case_connect():
    with connect() as c:
        print(c.execute("select current_user, session_user, current_database()").fetchone())
        i = c.info
        print(i.server_version, i.encoding, i.parameter_status("server_version"), i.parameter_status("integer_datetimes"),
              i.parameter_status("standard_conforming_strings"), i.parameter_status("is_superuser"), i.parameter_status("session_authorization"),
              i.parameter_status("in_hot_standby"), i.parameter_status("search_path"), i.parameter_status("scram_iterations"), c.pgconn.ssl_in_use)

def case_simple():
    with connect() as c:
        for q in ["select 42", "select", "values (1),(2)", "select 'a;b'", ""]:
            cur = c.execute(q)
            print(cur.statusmessage, cur.fetchall() if cur.description else None)

def case_extended():
    with connect() as c:
        print(c.execute("select %s::int + %s, %s", (1, 2, "x")).fetchone())
        print(c.execute("select item from orders where id = any(%s) order by id", ([1, 5, 9],)).fetchall())
        fails(lambda: c.execute("select 1 / %s", (0,)))
        fails(lambda: c.execute("select %s::uuid", ("no",)))
        print(c.execute("select 5").fetchone())

def case_reuse():
    with connect(prepare_threshold=2) as c:
        for n in range(1, 30):
            assert c.execute("select item from orders where id = %s", (n,)).fetchone() == (f"item {n}",)
        print(c.execute("select count(*) from pg_prepared_statements").fetchone())
        c.prepared_max = 2
        for n in range(20):
            for q in range(5):
                c.execute(f"select %s + {q}", (n,), prepare=True)
        print(c.execute("select count(*) from pg_prepared_statements").fetchone())
        c.execute("create temp table t (a int)")
        c.execute("select * from t", prepare=True)
        c.execute("alter table t add b int")
        fails(lambda: c.execute("select * from t", prepare=True).fetchall())
        c.execute("deallocate all")
        print(c.execute("select 1 + %s", (1,), prepare=True).fetchone())

def case_binary():
    with connect() as c:
        cur = c.cursor(binary=True)
        row = cur.execute("select %b::int8, %b::text, %b::bytea, %b::float8, %b::int4[], %b::numeric, now() is not null",
                          (2**40, "ü", b"\0\xff" * 100, 1.5, [1, None, 3], __import__("decimal").Decimal("1.25"))).fetchone()
        print(row)

def case_nulls():
    with connect() as c:
        print(c.execute("select %s::text, %s::int, ''::text, array[null, 1], row(null, '')", (None, None)).fetchone())
        print(c.cursor(binary=True).execute("select null::int, null::text").fetchone())

def case_large_row():
    with connect() as c:
        big = "y" * 20_000_000
        print(md5(c.execute("select %s::text || 'z'", (big,)).fetchone()[0].encode()))
        print(len(c.cursor(binary=True).execute("select %b::bytea", (os.urandom(5_000_000),)).fetchone()[0]))

def case_large_result():
    with connect() as c:
        print(md5(c.execute("select n, md5(n::text) from generate_series(1, 100000) n").fetchall()))
        cur = c.cursor()
        print(sum(r[0] for r in cur.stream("select generate_series(1, 20000)")))

def case_copy_out():
    with connect() as c, c.cursor() as cur:
        for form in ["text", "csv", "binary"]:
            with cur.copy(sql.SQL("copy (select n, null, 'v' || n from generate_series(1, 30000) n) to stdout (format {})").format(sql.SQL(form))) as copy:
                print(form, md5(b"".join(bytes(b) for b in copy)))
        with cur.copy("copy (select 1, 'a', null) to stdout") as copy:
            print(list(copy.rows()))

def case_copy_in():
    with connect() as c, c.cursor() as cur:
        cur.execute("create temp table t (n int, v text)")
        with cur.copy("copy t from stdin") as copy:
            for n in range(20000):
                copy.write_row((n, None if n % 3 else "v\t\n\\"))
        print(cur.statusmessage, cur.execute("select count(*), count(v), sum(n) from t").fetchone())
        with cur.copy("copy t from stdin (format binary)") as copy:
            copy.set_types(["int4", "text"])
            copy.write_row((1, "b"))
        print(cur.execute("select count(*) from t").fetchone())

def case_copy_fail():
    with connect() as c, c.cursor() as cur:
        cur.execute("create temp table t (n int)")
        def wrong():
            with cur.copy("copy t from stdin") as copy:
                for n in range(1000):
                    copy.write("1\n")
                copy.write("x\n")
        fails(wrong)
        try:
            with cur.copy("copy t from stdin") as copy:
                copy.write("1\n")
                raise ValueError("mine")
        except ValueError as error:
            print(error)
        print(cur.execute("select count(*) from t").fetchone(), c.info.transaction_status.name)

def case_notice():
    with connect() as c:
        c.add_notice_handler(lambda d: print(d.severity, d.sqlstate, d.message_primary, d.message_hint))
        c.execute("do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$")
        c.execute("set client_min_messages = debug1")
        c.execute("create temp table t (a int primary key)")
        c.execute("set client_min_messages = error")
        c.execute("drop table if exists none_such")

def case_listen():
    room = os.environ["ROOM"]
    with connect() as a, connect() as b:
        a.execute(sql.SQL("listen {}").format(sql.Identifier(room)))
        b.execute("select pg_notify(%s, %s)", (room, "one"))
        b.execute("select pg_notify(%s, %s)", (room, "z" * 7900))
        got = list(a.notifies(timeout=10, stop_after=2))
        print([(n.channel == room, md5(n.payload)) for n in got], all(n.pid > 0 for n in got))
        print(a.info.backend_pid != 0)

def case_portal():
    with connect() as c, c.transaction():
        with c.cursor("named", scrollable=True) as cur:
            cur.itersize = 10
            cur.execute("select generate_series(1, 100)")
            print(cur.fetchmany(3), cur.fetchone())
            cur.scroll(50)
            print(cur.fetchmany(2), len(cur.fetchall()))

def case_error():
    with psycopg.connect("") as c:
        c.execute("select 1")
        fails(lambda: c.execute("select nothing from orders"))
        fails(lambda: c.execute("select 1"))
        print(c.info.transaction_status.name)
        c.rollback()
        print(c.execute("select 2").fetchone(), c.info.transaction_status.name)
        fails(lambda: c.execute("insert into orders values (1, 'twice')"))
        c.rollback()
        fails(lambda: c.execute("select foo("))

def case_pipeline():
    with connect() as c:
        with c.pipeline() as p:
            curs = [c.execute("select %s::int", (n,)) for n in range(200)]
            p.sync()
            more = c.execute("select 'after'")
        print([cur.fetchone()[0] for cur in curs] == list(range(200)), more.fetchone())
        def aborted():
            with c.pipeline():
                c.execute("select 1")
                c.execute("select 1/0")
                c.execute("select 2")
        fails(aborted)
        def twice():
            with c.pipeline() as p:
                good = c.execute("select 'good'")
                p.sync()
                print(good.fetchone())
                c.execute("select nothing")
                c.execute("select 'late'")
        # Where in the block psycopg notices depends on when the answer comes; at its end it has.
        fails(twice)
        print(c.execute("select 'again'").fetchone())
        with c.pipeline(), c.transaction():
            c.execute("create temp table t (n int)")
            c.cursor().executemany("insert into t values (%s)", [(n,) for n in range(500)])
        print(c.execute("select count(*), sum(n) from t").fetchone())

# Behind a pooler a process is not the one that the client was told.
def until_busy(pid):
    with connect() as watch:
        while watch.execute("select from pg_stat_activity where pid = %s and state = 'active'", (pid,)).fetchone() is None:
            time.sleep(0.02)

def case_cancel():
    with connect() as c:
        threading.Timer(0.5, c.cancel).start()
        fails(lambda: c.execute("select pg_sleep(60)"))
        print(c.execute("select 1").fetchone())
        c.cancel()
        time.sleep(0.3)
        print(c.execute("select 2").fetchone())
        # `PQcancelBlocking`, where libpq has it: it says whether the connection of the request ended in order.
        heard = []
        def safely():
            try:
                c.cancel_safe(timeout=20)
                heard.append("cancelled")
            except psycopg.Error as error:
                heard.append(f"{type(error).__name__}: {error}")
        (pid,) = c.execute("select pg_backend_pid()").fetchone()
        for _ in range(5):
            asker = threading.Thread(target=lambda: (until_busy(pid), safely()))
            asker.start()
            fails(lambda: c.execute("select pg_sleep(60)"))
            asker.join()
        safely()
        print(heard, c.execute("select 3").fetchone())

def case_multi():
    with connect() as c:
        cur = c.execute("select 1; select 2, 3; select 4")
        while True:
            print(cur.fetchall())
            if not cur.nextset():
                break
        fails(lambda: c.execute("create temp table t (a int); select 1/0"))
        fails(lambda: c.execute("table t"))
        fails(lambda: c.execute("select %s; select 2", (1,)))

def case_savepoint():
    with connect() as c:
        c.execute("create temp table t (n int)")
        with c.transaction():
            c.execute("insert into t values (1)")
            for n in range(3):
                try:
                    with c.transaction():
                        c.execute("insert into t values (%s)", (n,))
                        if n % 2:
                            c.execute("select 1/0")
                except psycopg.Error as error:
                    print(*told(error))
        print(c.execute("select array_agg(n) from t").fetchone())

def case_types():
    from psycopg.types import TypeInfo
    from psycopg.types.composite import CompositeInfo
    with connect() as c:
        for name in ["int4", "jsonb", "int4range", "uuid"]:
            i = TypeInfo.fetch(c, name)
            print(i.name, i.oid, i.array_oid)
        print(CompositeInfo.fetch(c, "orders").field_names)
        cur = c.execute("select * from orders limit 0")
        print([(d.name, d.type_code, d.display_size, d.internal_size) for d in cur.description])
        cur = c.execute("select 1.5::numeric(5,2) as a, 'x'::varchar(3) as b, '{\"a\":1}'::jsonb, '[1,5)'::int4range, '1 day'::interval, inet '::1', 'infinity'::float8")
        print(cur.fetchone(), [(d.name, d.type_code, d.precision, d.scale) for d in cur.description])

def case_settings():
    with connect(application_name="mine", client_encoding="latin1") as c:
        c.execute("set work_mem = '5MB'")
        print(c.info.encoding, c.execute("show work_mem").fetchone(), c.execute("show application_name").fetchone(), c.info.parameter_status("application_name"))
        c.execute("set timezone = 'Asia/Tokyo'")
        print(c.info.parameter_status("TimeZone"), c.info.timezone)
        c.execute("set session characteristics as transaction read only")
        fails(lambda: c.execute("delete from orders"))
        print(c.execute("select 'ä'").fetchone())

def case_options():
    with connect(options=r"-c search_path=pg_catalog,\ public -c work_mem=5MB -c default_transaction_read_only=off") as c:
        c.execute("set work_mem = '6MB'")
        c.execute("discard all")
        for name in ["search_path", "work_mem", "default_transaction_read_only"]:
            print(name, c.execute(f"show {name}").fetchone())
    try:
        connect(options="-c work_mem=lots")
    except psycopg.OperationalError as error:
        print(error)

def case_sessions():
    with connect() as a, connect() as b:
        a.execute("create temp table own (n int)")
        fails(lambda: b.execute("table own"))
        with a.transaction():
            a.execute("select pg_advisory_xact_lock(hashtext(%s))", (os.environ["ROOM"],))
            print(b.execute("select pg_try_advisory_lock(hashtext(%s))", (os.environ["ROOM"],)).fetchone())
        print(b.execute("select pg_try_advisory_lock(hashtext(%s))", (os.environ["ROOM"],)).fetchone())
        print(a.info.backend_pid != b.info.backend_pid)

globals()["case_" + os.environ["CASE"]]()
print("done")
