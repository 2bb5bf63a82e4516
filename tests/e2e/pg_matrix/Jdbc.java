import java.io.*;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** pgjdbc does $CASE. It reads keys in DER. */
public class Jdbc {
    static final Map<String, String> E = System.getenv();

    static Connection enter(String... more) throws Exception {
        Properties p = new Properties();
        p.setProperty("user", E.get("PGUSER"));
        p.setProperty("ssl", "true");
        p.setProperty("sslmode", "verify-full");
        p.setProperty("sslcert", E.get("PGSSLCERT"));
        p.setProperty("sslkey", E.get("DERKEY"));
        p.setProperty("sslrootcert", E.get("PGSSLROOTCERT"));
        for (int i = 0; i < more.length; i += 2) p.setProperty(more[i], more[i + 1]);
        return DriverManager.getConnection("jdbc:postgresql://localhost:" + E.get("PGPORT") + "/" + E.get("PGDATABASE"), p);
    }

    static String md5(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("MD5").digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    static String rows(ResultSet r) throws Exception {
        StringBuilder all = new StringBuilder();
        while (r.next()) {
            for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) all.append(r.getObject(i) instanceof byte[] b ? HexFormat.of().formatHex(b) : r.getString(i)).append('|');
            all.append(';');
        }
        return all.toString();
    }

    static String ask(Connection c, String sql, Object... values) throws Exception {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) s.setObject(i + 1, values[i]);
            return s.execute() ? rows(s.getResultSet()) : "" + s.getUpdateCount();
        }
    }

    static void fails(Connection c, String sql, Object... values) throws Exception {
        try { say("worked", ask(c, sql, values)); } catch (SQLException e) { say(e.getSQLState(), e.getMessage()); }
    }

    static void say(Object... all) { System.out.println(Arrays.toString(all)); }

    public static void main(String[] args) throws Exception {
        try (Connection c = enter()) { run(c, E.get("CASE")); }
        System.out.println("done");
    }

    static void run(Connection c, String word) throws Exception {
        switch (word) {
            case "connect" -> say(ask(c, "select current_user, session_user, current_database()"), c.getMetaData().getDatabaseProductVersion(), ((PGConnection) c).getParameterStatus("TimeZone") != null);
            case "simple" -> { try (Connection d = enter("preferQueryMode", "simple")) { say(ask(d, "select 42"), ask(d, "select ?, ?", 1, "it's"), ask(d, "create temp table t (a int)")); } }
            case "extended" -> { say(ask(c, "select ?::int + ?, ?::text", 1, 2, "x")); fails(c, "select 1 / ?", 0); fails(c, "select ?::uuid", "no"); }
            case "reuse" -> {
                PreparedStatement s = c.prepareStatement("select item from orders where id = ?");
                for (int n = 1; n < 30; n++) { s.setInt(1, n); say(rows(s.executeQuery())); }
                say(ask(c, "select count(*) from pg_prepared_statements"));
            }
            case "binary" -> { try (Connection d = enter("prepareThreshold", "-1")) { PreparedStatement s = d.prepareStatement("select ?::bytea, ?::int8, ?::float8, ?::timestamp"); s.setBytes(1, new byte[] {0, -1}); s.setLong(2, 1L << 40); s.setDouble(3, 1.5); s.setTimestamp(4, new Timestamp(0)); for (int n = 0; n < 3; n++) say(rows(s.executeQuery())); } }
            case "nulls" -> say(ask(c, "select ?::text, '', null::int[], array[null, 1]", (Object) null));
            case "large_row" -> say(md5(ask(c, "select ?::text || 'z'", "y".repeat(20_000_000))));
            case "large_result" -> say(md5(ask(c, "select n, md5(n::text) from generate_series(1, 100000) n")));
            case "copy_out" -> { StringWriter out = new StringWriter(); say(new CopyManager((org.postgresql.core.BaseConnection) c).copyOut("copy (select n, null, 'v' from generate_series(1, 30000) n) to stdout", out), md5(out.toString())); }
            case "copy_in" -> { ask(c, "create temp table t (n int)"); StringBuilder in = new StringBuilder(); for (int n = 0; n < 20000; n++) in.append(n).append('\n'); say(new CopyManager((org.postgresql.core.BaseConnection) c).copyIn("copy t from stdin", new StringReader(in.toString())), ask(c, "select count(*), sum(n) from t")); }
            case "copy_fail" -> { ask(c, "create temp table t (n int)"); try { new CopyManager((org.postgresql.core.BaseConnection) c).copyIn("copy t from stdin", new StringReader("1\nx\n")); } catch (SQLException e) { say(e.getSQLState(), e.getMessage()); } say(ask(c, "select count(*) from t")); }
            case "notice" -> { Statement s = c.createStatement(); s.execute("do $$ begin raise notice 'noted'; raise warning 'warned' using hint = 'so'; end $$"); for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) say(w.getSQLState(), w.getMessage()); }
            case "listen" -> { try (Connection d = enter()) { ask(c, "listen \"" + E.get("ROOM") + "\""); ask(d, "select pg_notify(?, ?)", E.get("ROOM"), "z".repeat(7900)); var got = ((PGConnection) c).getNotifications(10000); say(got.length, md5(got[0].getParameter()), got[0].getPID() > 0); } }
            case "portal" -> { c.setAutoCommit(false); try (PreparedStatement s = c.prepareStatement("select generate_series(1, 1000)")) { s.setFetchSize(7); long sum = 0; ResultSet r = s.executeQuery(); while (r.next()) sum += r.getLong(1); say(sum); } c.commit(); }
            case "error" -> { c.setAutoCommit(false); fails(c, "select nothing"); fails(c, "select 1"); c.rollback(); say(ask(c, "select 2")); fails(c, "insert into orders values (1, 'twice')"); c.rollback(); }
            case "pipeline" -> { try (PreparedStatement s = c.prepareStatement("select ?::int + 1")) { c.createStatement().execute("create temp table t (n int)"); } try (PreparedStatement s = c.prepareStatement("insert into t values (?)")) { for (int n = 0; n < 5000; n++) { s.setInt(1, n); s.addBatch(); } say(s.executeBatch().length); s.setInt(1, 1); s.addBatch(); } say(ask(c, "select count(*), sum(n) from t")); }
            case "cancel" -> { Statement s = c.createStatement(); new Thread(() -> { try { Thread.sleep(500); s.cancel(); } catch (Exception e) { say(e.getMessage()); } }).start(); try { s.execute("select pg_sleep(60)"); } catch (SQLException e) { say(e.getSQLState(), e.getMessage()); } say(ask(c, "select 1")); }
            case "multi" -> { Statement s = c.createStatement(); boolean more = s.execute("select 1; select 2, 3"); say(rows(s.getResultSet())); s.getMoreResults(); say(rows(s.getResultSet())); fails(c, "create temp table t (a int); select 1/0"); fails(c, "table t"); }
            case "savepoint" -> { c.setAutoCommit(false); ask(c, "create temp table t (n int)"); Savepoint a = c.setSavepoint("a"); fails(c, "select 1/0"); c.rollback(a); ask(c, "insert into t values (2)"); c.commit(); say(ask(c, "table t")); c.commit(); }
            case "types" -> { say(rows(c.getMetaData().getColumns(null, "public", "orders", null)), rows(c.getMetaData().getPrimaryKeys(null, "public", "orders"))); say(ask(c, "select 1.5::numeric(5,2), '1 day'::interval, array[1, 2], inet '::1', '{\"a\":1}'::jsonb, '[1,5)'::int4range")); }
            case "settings" -> { try (Connection d = enter("ApplicationName", "mine", "readOnly", "true", "readOnlyMode", "always")) { say(ask(d, "show application_name")); fails(d, "delete from orders"); } }
            case "options" -> { try (Connection d = enter("currentSchema", "pg_catalog,public", "options", "-c work_mem=5MB -c geqo=off")) { ask(d, "discard all"); say(ask(d, "show search_path"), ask(d, "show work_mem"), ask(d, "show geqo"), d.getSchema()); } }
            case "sessions" -> { try (Connection a = enter(); Connection b = enter(); Connection d = enter()) { say(((PGConnection) a).getBackendPID() != ((PGConnection) b).getBackendPID(), ask(a, "select 1"), ask(b, "select 2"), ask(d, "select 3")); } }
            default -> throw new Exception("no such case");
        }
    }
}
