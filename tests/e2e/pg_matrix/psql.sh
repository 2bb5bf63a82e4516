# psql does $CASE. libpq finds its way by PGHOST, PGSSLCERT and so on.
sql() { psql -X -q -At -v ON_ERROR_STOP=0 "$@"; }
# Waits until there is one of what this counts.
one() { until [ "$(sql -c "$1")" = 1 ]; do sleep 0.05; done; }
case $CASE in
connect)
    sql -c "select current_user, session_user, current_database()" \
        -c '\echo :SERVER_VERSION_NUM :ENCODING :SERVER_VERSION_NAME' -c 'show application_name'
    ;;
simple) sql -c 'select 6 * 7' -c 'select' -c '' -c ';' -c "select 'a;b', \$\$c\$\$" -c 'values (1), (2)' ;;
nulls) sql -P null='(null)' -c "select null, '', null::int[], array[null, 1], row(null, '')" ;;
large_row) sql -c "select repeat('x', 20000000)" | md5sum ;;
large_result) sql -c "select n, md5(n::text) from generate_series(1, 200000) n" | md5sum ;;
copy_out)
    sql -c "copy (select n, null, 'a' || chr(9) || chr(10) || chr(92) from generate_series(1, 50000) n) to stdout" | md5sum
    sql -c "copy (select 1, 'x,\"y', null) to stdout (format csv, header)"
    sql -c "copy (select 1::int8, 'x') to stdout (format binary)" | od -c
    sql -c '\copy (select generate_series(1, 3)) to stdout'
    ;;
copy_in)
    seq 1 50000 | sql -c 'create temp table t (n int)' -c 'copy t from stdin' -c 'select count(*), sum(n) from t'
    printf '1,"a,b"\n2,\n' | sql -c 'create temp table t (n int, v text)' -c 'copy t from stdin (format csv)' -c 'table t'
    sql -c 'create temp table t (n int)' -c 'copy t from stdin' -c 'table t'
    ;;
copy_fail)
    printf '1\nnot a number\n3\n' | sql -c 'create temp table t (n int)' -c 'copy t from stdin' -c 'select count(*) from t'
    printf 'create temp table t (n int);\ncopy t from stdin;\n1\nx\n2\n\\.\nselect 7;\ncopy t from stdin;\n9\n\\.\ntable t;\n' | sql
    sql -c "copy (select 1 / (3 - n) from generate_series(1, 5) n) to stdout" -c 'select 8'
    ;;
notice)
    sql -c '\set VERBOSITY verbose' -c "do \$\$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so', detail = 'thus'; end \$\$" \
        -c 'drop table if exists nothing_of_the_kind' -c 'select 1/0'
    ;;
listen) sql -c "listen room" -c "notify room, 'hello'" -c "select pg_notify('room', repeat('y', 7000))" -c 'select 5' | sed -E 's/PID [0-9]+/PID/' | md5sum ;;
portal) sql -v FETCH_COUNT=7 -c 'select generate_series(1, 100)' -c 'begin' | md5sum
    printf 'begin;\ndeclare c scroll cursor for select generate_series(1, 10);\nfetch 3 c;\nfetch backward 2 c;\nmove 4 c;\nfetch all c;\nclose c;\ncommit;\n' | sql
    ;;
error)
    printf '\\set VERBOSITY verbose\nbegin;\nselect 1;\nselect nothing;\nselect 2;\nrollback;\nselect 3;\nselect 1/0;\nbegin;\nselect foo(;\ncommit;\nselect 4;\n' | sql
    sql -v ON_ERROR_STOP=1 -c 'select 1/0' -c 'select 1'
    ;;
cancel)
    # Begun in the background, psql hears no SIGINT before it has connected.
    psql -X -q -At -c "select 'up'" -c "select pg_sleep(60) /* $ROOM */" >victim 2>&1 &
    victim=$!
    one "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep(60) /* $ROOM%'"
    kill -INT $victim
    wait $victim
    echo "exit $?"
    cat victim
    sql -c "set statement_timeout = 50" -c 'select pg_sleep(60)' -c 'select 6'
    ;;
multi)
    sql -c 'select 1; select 2; select 3'
    sql -c 'create temp table t (n int); insert into t values (1); select 1/0; select 9' -c 'select count(*) from t'
    sql -c 'select 1\; select 2' -c 'begin; select 3; commit; select 4'
    ;;
savepoint) printf 'begin;\ncreate temp table t (n int);\nsavepoint a;\ninsert into t values (1);\nselect 1/0;\nrollback to a;\ninsert into t values (2);\nrelease a;\ncommit;\ntable t;\n' | sql ;;
types)
    printf 'select 1::int2, 1.5::numeric(5,2), now()::timestamptz(3), null::uuid, array[1], row(1) \\gdesc\n' | sql
    sql -c '\d orders' -c '\dt orders' -c '\dn public' -c '\df+ now' | md5sum
    sql -c "select 'infinity'::timestamptz, '1 day'::interval, '\\x00ff'::bytea, '{\"a\": [1]}'::jsonb, '[1,5)'::int4range, 'NaN'::float8, inet '::1', bit '101', xmlcomment('c')"
    ;;
settings)
    PGAPPNAME='a name' PGTZ=Asia/Tokyo PGDATESTYLE='German' PGCLIENTENCODING=LATIN1 \
        sql -c 'show application_name' -c 'show timezone' -c 'show datestyle' -c '\encoding' -c "select chr(228) || '!'" | od -c
    sql -c "set client_encoding = 'SJIS'" -c '\encoding' -c 'set bytea_output = escape' -c "select '\\x00ff'::bytea" -c 'reset all' -c 'show bytea_output'
    sql -c "set nothing_such = 1" -c "set work_mem = 'lots'" -c "set search_path = pg_catalog" -c 'show search_path'
    ;;
options)
    # psql says its application_name by itself, which counts more.
    export PGOPTIONS='-c search_path=pg_catalog,\ public -cwork_mem=5MB --statement-timeout=7s -c application_name=o'
    sql -c 'show search_path' -c 'show work_mem' -c 'show statement_timeout' -c 'show application_name' -c 'select relname from pg_class limit 0'
    sql -c "set work_mem = '6MB'" -c 'reset all' -c 'show work_mem' -c 'set search_path = nowhere' -c 'discard all' -c 'show search_path'
    PGOPTIONS='-c work_mem=lots' sql -c 'select 1'
    PGOPTIONS='-c search_path="a"b' sql -c 'select 1'
    ;;
sessions)
    lock="select pg_advisory_lock(hashtext('$ROOM'))"
    sql -c "$lock" -c '\! until [ -e tried ]; do sleep 0.05; done' -c "select 'first'" >first &
    one "select count(*) from pg_locks join pg_database d on d.oid = database and datname = current_database()
        where locktype = 'advisory' and granted and objid = (hashtext('$ROOM')::bigint & 4294967295)::oid"
    sql -c 'set lock_timeout = 100' -c "$lock" -c '\! touch tried' -c 'set lock_timeout = 0' -c "$lock" -c "select 'second'"
    wait; cat first
    ;;
esac 2>&1
