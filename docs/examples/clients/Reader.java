// Reads a slot with pgjdbc, appends each change to a file, and confirms what is on disk.
//
//     java -cp postgresql.jar Reader.java 'jdbc:postgresql://localhost/shop?user=walspout' SLOT FILE

import java.io.FileOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.postgresql.PGConnection;
import org.postgresql.PGProperty;
import org.postgresql.replication.LogSequenceNumber;
import org.postgresql.replication.PGReplicationStream;

public class Reader {
    // A JSON library also does this. Values cannot match: quotes within values are escaped.
    private static final Pattern BOUNDARY = Pattern.compile("^\\{\"op\":\"(begin|commit)\"");
    private static final Pattern END = Pattern.compile("\"end_lsn\":\"([0-9A-F]+/[0-9A-F]+)\"");

    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        PGProperty.REPLICATION.set(properties, "database");
        PGProperty.ASSUME_MIN_SERVER_VERSION.set(properties, "13");
        PGProperty.PREFER_QUERY_MODE.set(properties, "simple");
        try (Connection connection = DriverManager.getConnection(args[0], properties);
                FileOutputStream output = new FileOutputStream(args[2], true)) {
            PGReplicationStream stream = connection.unwrap(PGConnection.class).getReplicationAPI()
                    .replicationStream().logical().withSlotName(args[1]).withSlotOption("transactions", true)
                    .withStatusInterval(10, TimeUnit.SECONDS).start();
            boolean inTransaction = false;
            while (true) {
                ByteBuffer message = stream.readPending();
                if (message == null) {
                    if (!inTransaction) { // everything is on disk, so an idle slot moves, too
                        stream.setFlushedLSN(stream.getLastReceiveLSN());
                    }
                    Thread.sleep(5);
                    continue;
                }
                String document = StandardCharsets.UTF_8.decode(message).toString();
                Matcher boundary = BOUNDARY.matcher(document);
                boolean isBoundary = boundary.find();
                if (isBoundary) {
                    inTransaction = boundary.group(1).equals("begin");
                } else {
                    output.write((document + "\n").getBytes(StandardCharsets.UTF_8));
                }
                Matcher end = END.matcher(document);
                if ((isBoundary || document.contains("\"op\":\"m\"")) && end.find()) {
                    output.getFD().sync();
                    LogSequenceNumber position = LogSequenceNumber.valueOf(end.group(1));
                    stream.setFlushedLSN(position);
                    stream.setAppliedLSN(position);
                    stream.forceUpdateStatus();
                }
            }
        }
    }
}
