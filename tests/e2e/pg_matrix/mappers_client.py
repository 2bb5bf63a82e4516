"""SQLAlchemy over psycopg and over asyncpg, or Django, does $CASE: `mappers_client.py sqlalchemy|django`."""
import os, sys

E = os.environ
ROOM = "m_" + E["ROOM"].lower()

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

    if case == "simple":
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
    settings.configure(USE_TZ=True, DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": E["PGDATABASE"], "USER": E["PGUSER"], "HOST": E["PGHOST"], "PORT": E["PGPORT"]}})
    django.setup()
    from django.db import connection, models, transaction, IntegrityError, DatabaseError
    case = E["CASE"]

    class Row(models.Model):
        item = models.TextField(null=True)
        at = models.DateTimeField(null=True)
        what = models.JSONField(default=dict)
        class Meta:
            app_label, db_table = "matrix", ROOM

    def ask(query, values=None):
        with connection.cursor() as cur:
            cur.execute(query, values)
            return cur.fetchall()

    if case == "simple":
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
