"""asyncpg does $CASE. Its own reading of PGSSL* is not used, so that it works with any release."""
import asyncio, hashlib, os, ssl
import asyncpg

E = os.environ
TLS = ssl.create_default_context(cafile=E["PGSSLROOTCERT"])
TLS.load_cert_chain(E["PGSSLCERT"], E["PGSSLKEY"])

async def connect(**more):
    return await asyncpg.connect(host=E["PGHOST"], port=int(E["PGPORT"]), user=E["PGUSER"], database=E["PGDATABASE"], ssl=TLS, **more)

async def fails(awaited):
    try:
        print("worked", await awaited)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        print(type(error).__name__, getattr(error, "sqlstate", None), error)

def md5(data):
    return hashlib.md5(data if isinstance(data, bytes) else repr(data).encode()).hexdigest()

async def case_connect(c):
    print(await c.fetchrow("select current_user, session_user, current_database()"))
    print(c.get_server_version()[:2], c.get_settings().server_encoding, c.get_settings().is_superuser, c.get_server_pid() != 0)

async def case_simple(c):
    print(await c.execute("select 1; select 2"), await c.execute("create temp table t (a int)"))

async def case_extended(c):
    print(await c.fetchval("select $1::int + $2", 1, 2), await c.fetch("select item from orders where id = any($1::int[]) order by id", [1, 5]))
    await fails(c.fetchval("select 1 / $1::int", 0))
    await fails(c.fetchval("select $1::int", "text"))
    print(await c.fetchval("select 5"))

async def case_reuse(c):
    s = await c.prepare("select item from orders where id = $1")
    print([await s.fetchval(n) for n in range(1, 20)], s.get_parameters(), s.get_attributes())
    for n in range(300):
        await c.fetchval(f"select {n} + $1", n)
    await c.executemany("select $1::int", [(n,) for n in range(500)])
    await c.execute("create temp table t (a int)")
    await c.fetch("table t")
    await c.execute("alter table t add b int")
    await fails(c.fetch("table t"))

async def case_binary(c):
    import decimal, uuid, datetime
    print(await c.fetchrow("select $1::int8, $2::text, $3::bytea, $4::float8, $5::int[], $6::numeric, $7::uuid, $8::timestamptz, $9::jsonb",
          2**40, "ü", b"\0\xff" * 50, 1.5, [1, None], decimal.Decimal("1.25"), uuid.UUID(int=7), datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), '{"a": 1}'))

async def case_nulls(c):
    print(await c.fetchrow("select $1::text, $2::int, '', null::int[], row(null, '')", None, None))

async def case_large_row(c):
    print(md5((await c.fetchval("select $1::text || 'z'", "y" * 20_000_000)).encode()))

async def case_large_result(c):
    print(md5([tuple(r) for r in await c.fetch("select n, md5(n::text) from generate_series(1, 100000) n")]))

async def case_copy_out(c):
    got = bytearray()
    async def keep(data):
        got.extend(data)
    print(await c.copy_from_query("select n, null, 'v' from generate_series(1, $1::int) n", 30000, output=keep), md5(bytes(got)))
    got.clear()
    print(await c.copy_from_table("orders", output=keep, format="binary"), md5(bytes(got)) != "")

async def case_copy_in(c):
    await c.execute("create temp table t (n int, v text)")
    print(await c.copy_records_to_table("t", records=[(n, None if n % 3 else "v\t") for n in range(20000)]), await c.fetchrow("select count(*), count(v), sum(n) from t"))

async def case_copy_fail(c):
    await c.execute("create temp table t (n int)")
    async def source():
        yield b"1\n"
        raise ValueError("mine")
    try:
        await c.copy_to_table("t", source=source())
    except ValueError as error:
        print(error)
    async def wrong():
        yield b"1\nx\n"
    await fails(c.copy_to_table("t", source=wrong()))
    print(await c.fetchval("select count(*) from t"))

async def case_notice(c):
    c.add_log_listener(lambda _, m: print(m.severity, m.sqlstate, m.message, m.hint))
    await c.execute("do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$")
    await asyncio.sleep(0.1)

async def case_listen(c):
    other, got = await connect(), asyncio.Queue()
    await c.add_listener(E["ROOM"], lambda _, pid, channel, payload: got.put_nowait((pid > 0, channel == E["ROOM"], md5(payload))))
    await other.execute("select pg_notify($1, 'one')".replace("$1", "'" + E["ROOM"] + "'"))
    await other.fetchval("select pg_notify($1, $2)", E["ROOM"], "z" * 7900)
    print(await asyncio.wait_for(got.get(), 10), await asyncio.wait_for(got.get(), 10))
    await other.close()

async def case_portal(c):
    async with c.transaction():
        print(sum([r[0] async for r in c.cursor("select generate_series(1, 1000)", prefetch=7)]))
        cur = await c.cursor("select generate_series(1, $1::int)", 100)
        print(await cur.fetch(3), await cur.forward(50), await cur.fetchrow(), len(await cur.fetch(1000)))

async def case_error(c):
    t = c.transaction()
    await t.start()
    await fails(c.fetch("select nothing from orders"))
    await fails(c.fetch("select 1"))
    await t.rollback()
    print(await c.fetchval("select 2"), c.is_in_transaction())
    await fails(c.execute("insert into orders values (1, 'twice')"))
    await fails(c.execute("select foo("))

async def case_cancel(c):
    async def late():
        try:
            await c.fetchval("select pg_sleep(60)", timeout=0.5)
        except asyncio.TimeoutError:
            print("timed out")
    await late()
    print(await c.fetchval("select 1"))
    task = asyncio.ensure_future(c.fetchval("select pg_sleep(60)"))
    await asyncio.sleep(0.3)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")
    print(await c.fetchval("select 2"))

async def case_multi(c):
    print(await c.execute("create temp table t (a int); insert into t values (1), (2); select * from t"))
    await fails(c.execute("insert into t values (3); select 1/0"))
    print(await c.fetchval("select count(*) from t"))
    await fails(c.fetch("select 1; select 2"))

async def case_savepoint(c):
    await c.execute("create temp table t (n int)")
    async with c.transaction():
        for n in range(4):
            try:
                async with c.transaction():
                    await c.execute("insert into t values ($1)", n)
                    if n % 2:
                        await c.execute("select 1/0")
            except asyncpg.PostgresError as error:
                print(error)
    print(await c.fetchval("select array_agg(n) from t"))

async def case_types(c):
    print(await c.fetchrow("select '[1,5)'::int4range, '1 day'::interval, inet '::1', array[row(1, 'x')], 'infinity'::float8, '101'::bit(3), point(1, 2), null::orders, (1, 'x')::orders"))
    s = await c.prepare("select * from orders where id = $1 and item like $2")
    print(s.get_parameters(), s.get_attributes())
    await c.set_type_codec("jsonb", encoder=str, decoder=len, schema="pg_catalog")
    print(await c.fetchval("select '{\"a\": 1}'::jsonb"))

async def case_settings(_c):
    c = await connect(server_settings={"application_name": "mine", "jit": "off", "statement_timeout": "7s"})
    print(await c.fetchval("show jit"), await c.fetchval("show application_name"), await c.fetchval("show statement_timeout"))
    await c.execute("set timezone = 'Asia/Tokyo'")
    print(c.get_settings().TimeZone)
    await c.reset()
    await c.close()

async def case_options(_c):
    pool = await asyncpg.create_pool(host=E["PGHOST"], port=int(E["PGPORT"]), user=E["PGUSER"], database=E["PGDATABASE"], ssl=TLS, min_size=1, max_size=1,
                                     server_settings={"search_path": "pg_catalog", "work_mem": "5MB"})
    for _ in range(2):
        # What comes back to the pool is reset.
        async with pool.acquire() as c:
            print(await c.fetchval("show search_path"), await c.fetchval("show work_mem"))
            await c.execute("set search_path = nowhere")
    await pool.close()

async def case_sessions(_c):
    pool = await asyncpg.create_pool(host=E["PGHOST"], port=int(E["PGPORT"]), user=E["PGUSER"], database=E["PGDATABASE"], ssl=TLS, min_size=2, max_size=4)
    async def one(n):
        async with pool.acquire() as c:
            return await c.fetchval("select $1::int * 2", n)
    print(await asyncio.gather(*[one(n) for n in range(40)]))
    await pool.close()

async def main():
    c = await connect()
    await globals()["case_" + E["CASE"]](c)
    await c.close()
    print("done")

asyncio.run(main())
