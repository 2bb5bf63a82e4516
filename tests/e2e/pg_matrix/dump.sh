# pg_dump and pg_restore do $CASE: out of a schema and back into it, in every format.
schema=dump_${ROOM//[^a-z0-9]/_}
sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }
fill() {
    sql -c "drop schema if exists $schema cascade" -c "create schema $schema" -c "create table $schema.a (n serial primary key, v text, b bytea)" \
        -c "insert into $schema.a (v, b) select 'row ' || n, decode(md5(n::text), 'hex') from generate_series(1, 20000) n" \
        -c "create table $schema.b as select n, null::numeric as x from $schema.a limit 10" -c "create view $schema.c as select count(*) from $schema.a"
} 2>/dev/null
state() { sql -c "select count(*), md5(string_agg(n || v || b::text, ',' order by n)) from $schema.a" -c "select count(*) from $schema.b" -c "table $schema.c"; }
case $CASE in
dump)
    fill && pg_dump -n "$schema" -f plain && sed '/^\\\(un\)\?restrict/d' plain | md5sum
    sql -c "drop schema $schema cascade" 2>/dev/null && sql -f plain >/dev/null && state
    pg_dump -n "$schema" --inserts --rows-per-insert=50 | sed '/^\\\(un\)\?restrict/d' | md5sum
    ;;
dump_parallel)
    fill && pg_dump -n "$schema" -Fd -j 3 -f directory && pg_dump -n "$schema" -Fc -f custom && ls directory | wc -l
    for from in directory custom; do
        sql -c "drop schema $schema cascade" 2>/dev/null && pg_restore -j 3 -d "$PGDATABASE" "$from" && state
    done
    ;;
esac 2>&1 | sed "s/$PGDATABASE/DATABASE/g"
psql -X -q -c "drop schema if exists $schema cascade" 2>/dev/null
