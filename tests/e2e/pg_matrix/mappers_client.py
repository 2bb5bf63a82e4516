"""SQLAlchemy or Django, both over psycopg 3, does $CASE: `mappers_client.py sqlalchemy|django`."""
import hashlib, os, sys, threading

E = os.environ
ROOM = "m_" + E["ROOM"].lower()

def md5(data):
    return hashlib.md5(data if isinstance(data, bytes) else repr(data).encode()).hexdigest()

def copies(case, cur):
    """COPY as both hand it on: by the driver's own cursor."""
    if case == "copy_out":
        for form in ["text", "binary"]:
            with cur.copy(f"copy (select n, null, 'v' || n from generate_series(1, 30000) n) to stdout (format {form})") as copy:
                print(form, md5(b"".join(bytes(b) for b in copy)))
        return
    cur.execute("create temp table t (n int, v text)")
    rows = [(n, None if n % 3 else "v\t\n\\") for n in range(20000)] if case == "copy_in" else [(1, "a"), ("x", "b")]
    try:
        with cur.copy("copy t from stdin") as copy:
            for row in rows:
                copy.write_row(row)
    except Exception as error:
        print(type(error).__name__, error)
    if case == "copy_fail":
        try:
            with cur.copy("copy t from stdin") as copy:
                copy.write("1\ta\n")
                raise ValueError("mine")
        except ValueError as error:
            print(error)
    print(cur.execute("select count(*), count(v), sum(n) from t").fetchone())

def with_sqlalchemy():
    import sqlalchemy as sa
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
    engine = sa.create_engine("postgresql+psycopg://", pool_size=4)
    case = E["CASE"]

    class Base(DeclarativeBase):
        pass

    class Row(Base):
        __tablename__ = ROOM
        id: Mapped[int] = mapped_column(primary_key=True)
        item: Mapped[str | None]

    if case == "connect":
        with engine.connect() as c:
            print(c.execute(sa.text("select current_user, session_user, current_database()")).all(), c.dialect.server_version_info,
                  c.dialect.default_schema_name, c.get_isolation_level(), c.dialect._backslash_escapes)
    elif case == "extended":
        with engine.connect() as c:
            print(c.execute(sa.text("select cast(:a as int) + :b, :c"), {"a": 1, "b": 2, "c": "x"}).all())
            print(c.execute(sa.text("select item from orders where id = any(:ids) order by id"), {"ids": [1, 5, 9]}).all())
            for query, value in [("select 1 / cast(:v as int)", 0), ("select cast(:v as uuid)", "no")]:
                try:
                    c.execute(sa.text(query), {"v": value})
                except sa.exc.DBAPIError as error:
                    print(type(error).__name__, error.orig)
                c.rollback()
    elif case == "nulls":
        with engine.connect() as c:
            print(c.execute(sa.text("select cast(:a as text), cast(:b as int), '', array[null, 1]"), {"a": None, "b": None}).all())
            print(c.execute(sa.select(sa.null(), sa.literal(""), sa.literal(None, sa.Integer))).all())
    elif case == "large_row":
        with engine.connect() as c:
            print(md5(c.execute(sa.text("select :v || 'z'"), {"v": "y" * 20_000_000}).scalar().encode()))
    elif case == "large_result":
        with engine.connect() as c:
            print(md5([tuple(row) for row in c.execute(sa.text("select n, md5(n::text) from generate_series(1, 100000) n"))]))
    elif case.startswith("copy_"):
        driver = sa.create_engine("postgresql+psycopg://", isolation_level="AUTOCOMMIT").raw_connection()
        copies(case, driver.cursor())
    elif case == "settings":
        own = sa.create_engine("postgresql+psycopg://", isolation_level="REPEATABLE READ", connect_args={"application_name": "mine"})
        with own.connect() as c:
            print(c.get_isolation_level(), c.execute(sa.text("show application_name")).scalar(), c.execute(sa.text("show transaction_isolation")).scalar())
        with engine.connect().execution_options(postgresql_readonly=True, isolation_level="SERIALIZABLE", postgresql_deferrable=True) as c:
            print(c.get_isolation_level(), c.execute(sa.text("show transaction_read_only")).scalar(), c.execute(sa.text("show transaction_deferrable")).scalar())
            try:
                c.execute(sa.text("delete from orders"))
            except sa.exc.DBAPIError as error:
                print(type(error).__name__, error.orig)
    elif case == "options":
        own = sa.create_engine("postgresql+psycopg://", pool_size=1, connect_args={"options": "-c search_path=pg_catalog -c work_mem=5MB"})
        for _ in range(2):
            with own.connect() as c:
                print(c.execute(sa.text("show search_path")).scalar(), c.execute(sa.text("show work_mem")).scalar(), c.dialect.default_schema_name)
                c.execute(sa.text("reset all"))
                c.commit()
    elif case == "simple":
        with engine.connect() as c:
            print(c.execute(sa.text("select :a + 1, :b"), {"a": 1, "b": "x"}).all(), c.dialect.server_version_info, c.dialect.default_schema_name)
    elif case == "types":
        i = sa.inspect(engine)
        print(i.get_columns("orders"), i.get_pk_constraint("orders"), i.get_indexes("orders"), i.get_foreign_keys("orders"))
    elif case == "savepoint":
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        with Session(engine) as s:
            s.add_all([Row(id=n, item=f"item {n}") for n in range(1, 2001)])
            s.commit()
            try:
                with s.begin_nested():
                    s.add(Row(id=1, item="twice"))
            except sa.exc.IntegrityError as error:
                print(error.orig)
            s.get(Row, 7).item = None
            s.commit()
            print(s.scalar(sa.select(sa.func.count()).select_from(Row).where(Row.item.is_(None))), s.scalar(sa.select(sa.func.max(Row.id))))
        Base.metadata.drop_all(engine)
    elif case == "portal":
        with engine.connect().execution_options(stream_results=True, yield_per=50) as c:
            print(sum(n for (n,) in c.execute(sa.text("select generate_series(1, 1000)"))))
    elif case == "error":
        with engine.connect() as c:
            for q in ["select nothing", "select 1"]:
                try:
                    c.execute(sa.text(q))
                except sa.exc.DBAPIError as error:
                    print(type(error).__name__, error.orig)
            c.rollback()
            print(c.execute(sa.text("select 2")).all())
    elif case == "sessions":
        cs = [engine.connect() for _ in range(4)]
        print(len({c.execute(sa.text("select pg_backend_pid()")).scalar() for c in cs}))

def with_django():
    import django
    from django.conf import settings
    def database(**options):
        return {"ENGINE": "django.db.backends.postgresql", "NAME": E["PGDATABASE"], "USER": E["PGUSER"], "HOST": E["PGHOST"], "PORT": E["PGPORT"], "OPTIONS": options}
    settings.configure(USE_TZ=True, DATABASES={
        "default": database(), "bound": database(server_side_binding=True), "strict": database(isolation_level=4, application_name="mine"),
        "elsewhere": database(options="-c search_path=pg_catalog -c work_mem=5MB")})
    django.setup()
    from django.db import connection, connections, models, transaction, IntegrityError, DatabaseError
    case = E["CASE"]

    class Row(models.Model):
        item = models.TextField(null=True)
        at = models.DateTimeField(null=True)
        what = models.JSONField(default=dict)
        class Meta:
            app_label, db_table = "matrix", ROOM

    def ask(query, values=None, using="default"):
        with connections[using].cursor() as cur:
            cur.execute(query, values)
            return cur.fetchall()

    def fails(query, values=None, using="default"):
        try:
            print("worked", ask(query, values, using))
        except DatabaseError as error:
            print(type(error).__name__, error)

    if case == "connect":
        print(ask("select current_user, session_user, current_database()"), connection.pg_version, connection.is_usable(), connection.features.is_postgresql_15)
    elif case == "extended":
        print(ask("select %s::int + %s, %s", [1, 2, "x"], "bound"), ask("select item from orders where id = any(%s) order by id", [[1, 5, 9]], "bound"))
        fails("select 1 / %s", [0], "bound"), fails("select %s::uuid", ["no"], "bound")
        print(ask("select 5", using="bound"))
    elif case == "nulls":
        print(ask("select %s::text, %s::int, '', array[null, 1]", [None, None]))
    elif case == "large_row":
        print(md5(ask("select %s || 'z'", ["y" * 20_000_000])[0][0].encode()))
    elif case == "large_result":
        print(md5(ask("select n, md5(n::text) from generate_series(1, 100000) n")))
    elif case.startswith("copy_"):
        with connection.cursor() as cur:
            copies(case, cur.cursor)
    elif case == "settings":
        with transaction.atomic(using="strict"):
            print(ask("show transaction_isolation", using="strict"), ask("show application_name", using="strict"))
        print(ask("show timezone"), ask("show client_encoding"))
        with connection.cursor() as cur:
            cur.execute("set statement_timeout = 200")
        fails("select pg_sleep(60)")
    elif case == "options":
        ask("select set_config('work_mem', '6MB', false)", using="elsewhere")
        with connections["elsewhere"].cursor() as cur:
            cur.execute("discard all")
        print(ask("show search_path", using="elsewhere"), ask("show work_mem", using="elsewhere"))
    elif case == "sessions":
        pids = []
        def one(n):
            pids.append((ask("select pg_backend_pid()")[0][0], ask("select %s", [n])))
            connection.close()
        threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(sorted(n for _, n in pids))
    elif case == "simple":
        print(ask("select %s + 1, %s", [1, "x"]), connection.pg_version, connection.timezone_name)
    elif case == "types":
        with connection.cursor() as cur:
            print(connection.introspection.get_table_description(cur, "orders"), connection.introspection.get_constraints(cur, "orders"))
    elif case == "savepoint":
        with connection.cursor() as cur:
            cur.execute(f'drop table if exists "{ROOM}"')
        with connection.schema_editor() as editor:
            editor.create_model(Row)
        Row.objects.bulk_create([Row(item=f"item {n}", what={"n": n}) for n in range(2000)], batch_size=500)
        with transaction.atomic():
            try:
                with transaction.atomic():
                    Row.objects.create(id=1)
            except IntegrityError as error:
                print(error)
            Row.objects.filter(id=7).update(item=None)
        print(Row.objects.filter(item=None).count(), Row.objects.filter(what__n__gt=1990).count(), Row.objects.select_for_update().filter(id=1).exists() if False else Row.objects.first().item)
        with connection.schema_editor() as editor:
            editor.delete_model(Row)
    elif case == "portal":
        with transaction.atomic(), connection.chunked_cursor() as cur:
            cur.execute("select generate_series(1, 1000)")
            print(sum(n for (n,) in cur))
    elif case == "error":
        for q in ["select nothing", "select 2"]:
            try:
                print(ask(q))
            except DatabaseError as error:
                print(type(error).__name__, error)

{"sqlalchemy": with_sqlalchemy, "django": with_django}[sys.argv[1]]()
print("done")
