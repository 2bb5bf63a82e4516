// node-postgres does $CASE; it copies by way of pg-copy-streams.
process.noDeprecation = true; // It tells its own process id.
const fs = require('fs'), crypto = require('crypto');
const home = process.env.CLIENTS + '/pg-node/node_modules/';
const { Client, Pool } = require(home + 'pg'), Cursor = require(home + 'pg-cursor'), copies = require(home + 'pg-copy-streams');
const { pipeline } = require('stream/promises'), { Readable } = require('stream');
const E = process.env;
const config = { host: E.PGHOST, port: +E.PGPORT, user: E.PGUSER, database: E.PGDATABASE,
  ssl: { ca: fs.readFileSync(E.PGSSLROOTCERT), cert: fs.readFileSync(E.PGSSLCERT), key: fs.readFileSync(E.PGSSLKEY) } };
const md5 = (data) => crypto.createHash('md5').update(data).digest('hex');
const show = (...all) => console.log(...all.map((one) => JSON.stringify(one)));
const copied = async (c, sql) => { const parts = [], stream = c.query(copies.to(sql)); for await (const part of stream) parts.push(part); return [stream.rowCount, md5(Buffer.concat(parts))]; };
const copy = async (c, sql, parts) => { const stream = c.query(copies.from(sql)); await pipeline(Readable.from(parts), stream); return { rows: stream.rowCount }; };
const fails = async (promise) => { try { show('worked', (await promise).rows); } catch (e) { show(e.severity, e.code, e.message, e.detail, e.hint, e.position); } };
const cases = {
  async connect(c) { show((await c.query('select current_user, session_user, current_database()')).rows, c.processID !== 0, (await c.query('show server_version')).rows); },
  async simple(c) { for (const q of ['select 42', 'values (1),(2)', '', "select 'a;b'"]) show((await c.query(q)).rows); },
  async extended(c) {
    show((await c.query('select $1::int + $2::int as n, $3::text as t', [1, 2, 'x'])).rows);
    await fails(c.query('select 1 / $1::int', [0])); await fails(c.query('select $1::uuid', ['no'])); show((await c.query('select 5')).rows);
  },
  async reuse(c) {
    for (let n = 1; n < 30; n++) show((await c.query({ name: 'one', text: 'select item from orders where id = $1', values: [n] })).rows);
    show((await c.query('select count(*) from pg_prepared_statements')).rows);
  },
  async binary(c) { show((await c.query({ text: 'select $1::int as a, $2::bytea as b, $3::text as c, 1.5::float8 as d', values: [7, Buffer.from([0, 255]), 'ü'], binary: true })).rows); },
  async nulls(c) { show((await c.query("select $1::text as a, $2::int as b, '' as c, array[null, 1] as d", [null, null])).rows); },
  async large_row(c) { show(md5((await c.query("select $1::text || 'z' as t", ['y'.repeat(20000000)])).rows[0].t)); },
  async large_result(c) { show(md5(JSON.stringify((await c.query('select n, md5(n::text) from generate_series(1, 100000) n')).rows))); },
  async copy_out(c) {
    for (const form of ['text', 'csv', 'binary']) show(form, await copied(c, `copy (select n, null, 'v' || n from generate_series(1, 30000) n) to stdout (format ${form})`));
    show((await c.query('select 5')).rows);
  },
  async copy_in(c) {
    await c.query('create temp table t (n int, v text)');
    show(await copy(c, 'copy t from stdin', Array.from({ length: 20000 }, (_, n) => `${n}\t${n % 3 ? '\\N' : 'v\\t\\n\\\\'}\n`)));
    show(await copy(c, 'copy t from stdin (format csv)', ['1,"a,b"\n2,\n'.repeat(10000)]));
    show((await c.query('select count(*), count(v), sum(n), min(v) from t')).rows);
  },
  async copy_fail(c) {
    await c.query('create temp table t (n int)');
    await fails(copy(c, 'copy t from stdin', ['1\n'.repeat(1000), 'x\n']));
    // What is destroyed is taken back.
    const broken = c.query(copies.from('copy t from stdin')); broken.write('1\n');
    const gone = new Promise((done) => broken.on('error', (e) => done(e.message))); broken.destroy(new Error('mine')); show(await gone);
    await fails(copied(c, 'copy (select 1000 / (500 - n) from generate_series(1, 1000) n) to stdout'));
    await fails(copy(c, 'copy none_such from stdin', ['1\n']));
    show((await c.query('select count(*) from t')).rows);
  },
  async notice(c) { c.on('notice', (n) => show(n.severity, n.code, n.message, n.hint)); await c.query("do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$"); },
  async listen(c) {
    const other = new Client(config); await other.connect();
    const got = new Promise((done) => c.on('notification', (n) => done([n.channel === E.ROOM, md5(n.payload), n.processId > 0])));
    await c.query(`listen "${E.ROOM}"`); await other.query('select pg_notify($1, $2)', [E.ROOM, 'z'.repeat(7900)]); show(await got); await other.end();
  },
  async portal(c) {
    const cursor = c.query(new Cursor('select generate_series(1, $1::int) as n', [100]));
    show(await cursor.read(3), (await cursor.read(50)).length, (await cursor.read(1000)).length); await cursor.close();
    const left = c.query(new Cursor('select generate_series(1, 100) as n')); show(await left.read(2)); await left.close(); show((await c.query('select 5')).rows);
  },
  async error(c) {
    await c.query('begin'); await fails(c.query('select nothing from orders')); await fails(c.query('select 1')); await c.query('rollback');
    show((await c.query('select 2')).rows); await fails(c.query("insert into orders values (1, 'twice')")); await fails(c.query('select foo('));
  },
  async pipeline(c) {
    const all = await Promise.all(Array.from({ length: 200 }, (_, n) => c.query('select $1::int as n', [n]))); show(all.map((one) => one.rows[0].n));
    show((await Promise.allSettled([c.query('select 1'), c.query('select 1/0'), c.query('select 2')])).map((one) => one.status));
  },
  async cancel(c) {
    // Behind a pooler it is not the one that it was told.
    const { pid } = (await c.query('select pg_backend_pid() as pid')).rows[0];
    const over = fails(c.query('select pg_sleep(60)')), running = c.activeQuery || c._activeQuery;
    const watch = new Client(config); await watch.connect();
    while ((await watch.query("select from pg_stat_activity where pid = $1 and state = 'active'", [pid])).rowCount < 1) await new Promise((done) => setTimeout(done, 20));
    // It asks in clear, whatever the session has.
    const asker = new Client({ ...config, ssl: false }), closed = new Promise((done) => asker.connection.on('end', done));
    asker.cancel(c, running); await over; await closed; await watch.end();
    show((await c.query('select 1')).rows);
  },
  async multi(c) { show((await c.query('select 1 as a; select 2 as b, 3 as c')).map((one) => one.rows)); await fails(c.query('create temp table t (a int); select 1/0')); await fails(c.query('table t')); },
  async savepoint(c) {
    await c.query('create temp table t (n int)'); await c.query('begin'); await c.query('savepoint a'); await fails(c.query('select 1/0'));
    await c.query('rollback to a'); await c.query('insert into t values (2)'); await c.query('commit'); show((await c.query('table t')).rows);
  },
  async types(c) {
    const r = await c.query("select 1::int2 as a, '{\"a\":1}'::jsonb as b, '[1,5)'::int4range as c, timestamp '2026-01-01' as d, null::uuid as e, '{1,2}'::int[] as f, 12345678901234::int8 as g");
    show(r.rows, r.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeSize, f.format]));
  },
  async settings() {
    const c = new Client({ ...config, application_name: 'mine', statement_timeout: 300, lock_timeout: 7 }); await c.connect();
    show((await c.query('show application_name')).rows, (await c.query('show lock_timeout')).rows); await fails(c.query('select pg_sleep(60)')); await c.end();
  },
  async options() {
    const c = new Client({ ...config, options: '-c search_path=pg_catalog -c work_mem=5MB' }); await c.connect(); await c.query('reset all');
    show((await c.query('show search_path')).rows, (await c.query('show work_mem')).rows); await c.end();
  },
  async sessions() { const pool = new Pool({ ...config, max: 4 }); show((await Promise.all(Array.from({ length: 40 }, (_, n) => pool.query('select $1::int as n', [n])))).map((r) => r.rows[0].n)); await pool.end(); },
};
(async () => { const c = new Client(config); await c.connect(); await cases[E.CASE](c); await c.end(); console.log('done'); })().catch((e) => { console.log('FAILED', e.message); process.exit(1); });
