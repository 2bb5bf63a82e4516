// Says who it is at the database behind a JDBC URL, with a prepared statement.

import java.sql.DriverManager;

public class Jdbc {
    public static void main(String[] line) throws Exception {
        try (var connection = DriverManager.getConnection(line[0]);
                var asking = connection.prepareStatement("select current_user, ?::int")) {
            asking.setInt(1, 7);
            var answer = asking.executeQuery();
            answer.next();
            System.out.println(answer.getString(1) + "|" + answer.getInt(2));
        }
    }
}
