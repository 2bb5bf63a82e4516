# pgbench does $CASE with scripts of its own; what it says of times is left out.
bench() { timeout 60 pgbench -n "$@" 2>&1 | grep -vE 'latency|tps|connection time|^pgbench \(|maximum number of tries'; }
cat >look <<'SQL'
\set id random(1, 1000)
select item from orders where id = :id;
select count(*) from orders where id < :id;
SQL
cat >piped <<'SQL'
\startpipeline
select 1;
select 2 + :client_id;
select 3;
\endpipeline
SQL
case $CASE in
simple) bench -M simple -c 4 -j 2 -t 50 -f look ;;
extended) bench -M extended -c 4 -j 2 -t 50 -f look ;;
reuse) bench -M prepared -c 4 -j 2 -t 50 -f look ;;
pipeline) bench -M extended -c 2 -t 50 -f piped && bench -M prepared -c 2 -t 50 -f piped ;;
connect) bench -C -c 2 -t 5 -f look ;;
error) printf 'begin;\nselect 1/0;\nend;\n' >wrong; bench -c 1 -t 3 -f wrong ;;
sessions) bench -c 8 -j 2 -t 20 -M prepared -f look ;;
esac
