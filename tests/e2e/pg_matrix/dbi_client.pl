# DBD::Pg does $CASE. It finds its way by PGHOST, PGSSLCERT and so on.
use strict; use warnings; use DBI; use DBD::Pg qw(:async); use Digest::MD5 qw(md5_hex);
our $dsn = "dbi:Pg:";
sub enter { DBI->connect($dsn, $ENV{PGUSER}, "", { AutoCommit => 1, RaiseError => 1, PrintError => 0, @_ }) }
sub fails { my ($act) = @_; my $got = eval { $act->() }; print $@ ? $DBI::state . " " . ($DBI::errstr // "") : "worked", "\n"; }
sub row { join("|", map { defined $_ ? (ref $_ ? "[" . join(",", map { $_ // "null" } @$_) . "]" : $_) : "null" } @_) . "\n" }
my $db = enter();
my %cases = (
    connect => sub { print row($db->selectrow_array("select current_user, session_user, current_database()")), $db->{pg_server_version}, $db->ping, "\n" },
    simple => sub { print row($db->selectrow_array("select 42")); print $db->do("create temp table t (a int)"), "\n" },
    extended => sub { print row($db->selectrow_array("select ?::int + ?, ?::text", undef, 1, 2, "x")); fails(sub { $db->selectrow_array("select 1 / ?::int", undef, 0) }); fails(sub { $db->do("select ?::uuid", undef, "no") }) },
    reuse => sub { my $s = $db->prepare("select item from orders where id = ?"); for (1 .. 30) { $s->execute($_); print row($s->fetchrow_array) } undef $s; print row($db->selectrow_array("select count(*) from pg_prepared_statements")) },
    binary => sub { my $s = $db->prepare("select ?::bytea"); $s->bind_param(1, "\0\xff" x 50, { pg_type => DBD::Pg::PG_BYTEA() }); $s->execute; print md5_hex($s->fetchrow_array), "\n" },
    nulls => sub { print row($db->selectrow_array("select ?::text, '', null::int[], array[null, 1]", undef, undef)) },
    large_row => sub { print md5_hex($db->selectrow_array("select ?::text || 'z'", undef, "y" x 20_000_000)), "\n" },
    large_result => sub { print md5_hex(join "", map { row(@$_) } @{ $db->selectall_arrayref("select n, md5(n::text) from generate_series(1, 100000) n") }), "\n" },
    copy_out => sub { $db->do("copy (select n, null, 'v' from generate_series(1, 30000) n) to stdout"); my ($all, $line) = (""); $all .= $line while $db->pg_getcopydata($line) >= 0; print md5_hex($all), "\n" },
    copy_in => sub { $db->do("create temp table t (n int)"); $db->do("copy t from stdin"); $db->pg_putcopydata("$_\n") for 1 .. 20000; $db->pg_putcopyend; print row($db->selectrow_array("select count(*), sum(n) from t")) },
    copy_fail => sub { $db->do("create temp table t (n int)"); $db->do("copy t from stdin"); $db->pg_putcopydata("x\n"); fails(sub { $db->pg_putcopyend }); print row($db->selectrow_array("select count(*) from t")) },
    notice => sub { local $SIG{__WARN__} = sub { print @_ }; $db->{PrintWarn} = 1; $db->do("do \$\$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end \$\$") },
    listen => sub { my $b = enter(); $db->do(qq(listen "$ENV{ROOM}")); $b->do("select pg_notify(?, ?)", undef, $ENV{ROOM}, "z" x 7900); my $got; for (1 .. 100) { last if $got = $db->pg_notifies; select undef, undef, undef, 0.05 } print $got->[0] eq $ENV{ROOM}, md5_hex($got->[2]), "\n" },
    portal => sub { $db->begin_work; $db->do("declare c cursor for select generate_series(1, 100)"); print scalar @{ $db->selectall_arrayref("fetch 7 c") }, scalar @{ $db->selectall_arrayref("fetch all c") }, "\n"; $db->commit },
    error => sub { $db->begin_work; fails(sub { $db->do("select nothing") }); fails(sub { $db->do("select 1") }); $db->rollback; print row($db->selectrow_array("select 2")); fails(sub { $db->do("insert into orders values (1, 'twice')") }) },
    cancel => sub { $db->do("select pg_sleep(60)", { pg_async => PG_ASYNC }); select undef, undef, undef, 0.4; print $db->pg_cancel, "\n"; print row($db->selectrow_array("select 1")) },
    multi => sub { print $db->do("create temp table t (a int); insert into t values (1), (2)"), "\n"; fails(sub { $db->do("insert into t values (3); select 1/0") }); print row($db->selectrow_array("select count(*) from t")) },
    savepoint => sub { $db->do("create temp table t (n int)"); $db->begin_work; $db->pg_savepoint("a"); fails(sub { $db->do("select 1/0") }); $db->pg_rollback_to("a"); $db->do("insert into t values (2)"); $db->commit; print row($db->selectrow_array("table t")) },
    types => sub { my $s = $db->column_info(undef, "public", "orders", undef); while (my @one = $s->fetchrow_array) { print row(@one) } print row($db->primary_key(undef, "public", "orders")); $s = $db->prepare("select 1.5::numeric(5,2), '1 day'::interval, array[1, 2], inet '::1', '{\"a\":1}'::jsonb"); $s->execute; print row(@{ $s->{pg_type} }), row($s->fetchrow_array) },
    settings => sub { $db->do("set application_name = 'mine'"); $db->do("set client_encoding = 'LATIN1'"); print row($db->selectrow_array("show application_name")), row(map { $_ // "" } $db->selectrow_array("show client_encoding")) },
    options => sub { local $dsn = "dbi:Pg:options='-c search_path=pg_catalog -c work_mem=5MB'"; my $d = enter(); $d->do("reset all"); print row(map { $d->selectrow_array("show $_") } "search_path", "work_mem"); $d->disconnect },
    sessions => sub { my @all = map { enter() } 1 .. 4; my %pids = map { $_->{pg_pid} => 1 } @all; print scalar(keys %pids), "\n"; $_->disconnect for @all },
);
$cases{ $ENV{CASE} }->();
$db->disconnect;
print "done\n";
