# pgcli does $CASE. psycopg finds its way by PGHOST, PGSSLCERT and so on.
# With `-t` it would be silent about the time that it took, but about errors as well.
sql() { "$CLIENTS/pg/bin/pgcli" -w --less-chatty --row-limit 0 --warn off "$@" </dev/null 2>&1 | grep -v '^Time: '; }
case $CASE in
connect)
    sql -c 'select current_user, session_user, current_database()' -c 'show application_name'
    sql --ping
    ;;
simple) sql -c 'select 6 * 7' -c "select 'a;b', \$\$c\$\$" -c 'values (1), (2)' -c 'create temp table t (n int)' ;;
nulls) sql -c "select null, '', null::int[], array[null, 1], row(null, '')" ;;
large_row)
    # It shows no more than 500 characters of a value otherwise.
    printf '[main]\nmax_field_width =\n' >whole
    sql --pgclirc whole -c "select repeat('x', 20000000)" | md5sum
    ;;
large_result) sql -c "select n, md5(n::text) from generate_series(1, 100000) n" | md5sum ;;
copy_out)
    sql -c "\\copy (select n, null, 'a' || chr(9) || chr(92) from generate_series(1, 50000) n) to 'out'"; md5sum out
    sql -c "\\copy (select 1, 'x,\"y', null) to stdout (format csv, header)"
    ;;
copy_in)
    seq 1 50000 >in
    sql -c 'create temp table t (n int)' -c "\\copy t from 'in'" -c 'select count(*), sum(n) from t'
    ;;
copy_fail)
    printf '1\nnot a number\n3\n' >in
    sql -c 'create temp table t (n int)' -c "\\copy t from 'in'" -c 'select count(*) from t'
    sql -c "\\copy (select 1 / (3 - n) from generate_series(1, 5) n) to stdout" -c 'select 8'
    ;;
notice) sql -c "do \$\$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end \$\$" -c 'select 1' ;;
error)
    printf 'begin;\nselect 1;\nselect nothing;\n' >script
    sql -f script
    sql -c 'select foo('
    sql -c 'select 1/0'
    ;;
savepoint)
    printf 'begin;\ncreate temp table t (n int);\nsavepoint a;\ninsert into t values (1);\nrollback to a;\ninsert into t values (2);\nrelease a;\ncommit;\ntable t;\n' >script
    sql -f script
    ;;
types) sql -c '\d orders' -c '\dn' -c '\dT' -c "select 1::int2, 1.5::numeric(5,2), '{\"a\":1}'::jsonb, '[1,5)'::int4range, array[1], '\\x00ff'::bytea" ;;
settings)
    sql --application-name mine --init-command "set timezone = 'Asia/Tokyo'" -c 'show application_name' -c 'show timezone' -c "set work_mem = 'lots'" -c 'show client_encoding'
    ;;
options)
    PGOPTIONS='-c search_path=pg_catalog,public -c work_mem=5MB' sql -c 'show search_path' -c 'show work_mem' -c 'reset all' -c 'show work_mem'
    ;;
esac
