"""psqlODBC does $CASE, under pyodbc and unixODBC."""
import hashlib, os, threading, time
import pyodbc

E = os.environ
# psqlODBC hands options that it does not know to libpq through `pqopt`.
LINE = ("Driver=/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so;Server={PGHOST};Port={PGPORT};Database={PGDATABASE};Username={PGUSER};SSLmode=verify-full;"
        "pqopt={{sslcert={PGSSLCERT} sslkey={PGSSLKEY} sslrootcert={PGSSLROOTCERT}}}").format(**E)

def connect(more="", **options):
    return pyodbc.connect(LINE + more, autocommit=True, **options)

def ask(c, query, *values):
    cur = c.execute(query, *values)
    return [tuple(row) for row in cur.fetchall()] if cur.description else cur.rowcount

def fails(c, *query):
    try:
        print("worked", ask(c, *query))
    except pyodbc.Error as error:
        print(*error.args)

def md5(data):
    return hashlib.md5(repr(data).encode()).hexdigest()

def main(c, case):
    if case == "connect":
        print(ask(c, "select current_user, session_user, current_database()"), c.getinfo(pyodbc.SQL_DBMS_VER), c.getinfo(pyodbc.SQL_DBMS_NAME))
    elif case == "simple":
        print(ask(c, "select 42"), ask(c, "create temp table t (a int)"), ask(c, "insert into t values (1), (2)"))
    elif case == "extended":
        print(ask(c, "select ?::int + ?::int, ?::text", 1, 2, "x"))
        fails(c, "select 1 / ?::int", 0)
        fails(c, "select ?::uuid", "no")
    elif case == "reuse":
        cur = c.cursor()
        print([cur.execute("select item from orders where id = ?", n).fetchone()[0] for n in range(1, 30)])
    elif case == "nulls":
        print(ask(c, "select ?::text, '', null::int", None))
    elif case == "large_row":
        print(md5(ask(c, "select repeat('y', 20000000)")))
    elif case == "large_result":
        print(md5(ask(c, "select n, md5(n::text) from generate_series(1, 100000) n")))
    elif case == "portal":
        d = connect(";UseDeclareFetch=1;Fetch=7")
        d.autocommit = False
        print(sum(row[0] for row in d.execute("select generate_series(1, 1000)")))
    elif case == "error":
        c.autocommit = False
        fails(c, "select nothing")
        fails(c, "select 1")
        c.rollback()
        print(ask(c, "select 2"))
    elif case == "savepoint":
        c.autocommit = False
        ask(c, "create temp table t (n int)"), ask(c, "savepoint a")
        fails(c, "select 1/0")
        ask(c, "rollback to a"), ask(c, "insert into t values (2)")
        c.commit()
        print(ask(c, "select * from t"))
    elif case == "types":
        print([tuple(row)[1:] for row in c.cursor().columns("orders")], [tuple(row)[1:] for row in c.cursor().primaryKeys("orders")])
        print(ask(c, "select 1.5::numeric(5,2), true, date '2026-01-01', '\\x00ff'::bytea, 'x'::varchar(3)"))

    elif case == "cancel":
        cur, pid = c.cursor(), ask(c, "select pg_backend_pid()")[0][0]
        def stop():
            watch = connect()
            while not ask(watch, "select 1 from pg_stat_activity where pid = ? and state = 'active'", pid):
                time.sleep(0.02)
            cur.cancel()
        threading.Thread(target=stop).start()
        try:
            print("worked", cur.execute("select pg_sleep(60)").fetchall())
        except pyodbc.Error as error:
            print(*error.args)
        print(ask(c, "select 1"))
    elif case == "multi":
        cur = c.execute("select 1; select 2, 3; create temp table t (n int); insert into t values (4), (5)")
        while True:
            print([tuple(row) for row in cur.fetchall()] if cur.description else cur.rowcount)
            if not cur.nextset():
                break
        fails(c, "create temp table u (n int); select 1/0")
        fails(c, "select * from u")
    elif case == "settings":
        d = connect(";ConnSettings=set+application_name='mine'%3B+set+work_mem='5MB'")
        print(ask(d, "show application_name"), ask(d, "show work_mem"), ask(d, "show client_encoding"), ask(d, "show datestyle"))
        fails(d, "set work_mem = 'lots'")
        e = connect(";ReadOnly=1")
        fails(e, "create temp table t (n int)"), print(ask(e, "show transaction_read_only"))
    elif case == "options":
        d = pyodbc.connect(LINE.replace("pqopt={", "pqopt={options='-c search_path=pg_catalog -c work_mem=5MB' "), autocommit=True)
        ask(d, "reset all")
        print(ask(d, "show search_path"), ask(d, "show work_mem"))
    elif case == "sessions":
        cs = [connect() for _ in range(4)]
        print(len({ask(d, "select pg_backend_pid()")[0] for d in cs}), [ask(d, "select ?::int", n) for n, d in enumerate(cs)])

main(connect(), E["CASE"])
print("done")
