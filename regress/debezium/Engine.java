import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.Reader;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Runs Debezium's engine with each FILE.properties, one after the other, and writes what it sends to FILE.properties.events:
 * a line with topic, key and value for each record. The first record of the topic that LAST names ends an engine.
 *
 * <p>java Engine.java LAST SECONDS FILE.properties...
 */
public class Engine {
    public static void main(String[] args) throws Exception {
        for (int i = 2; i < args.length; i++) {
            run(Path.of(args[i]), args[0], Long.parseLong(args[1]));
        }
        System.exit(0);
    }

    private static void run(Path file, String last, long seconds) throws Exception {
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file)) {
            properties.load(reader);
        }
        CountDownLatch done = new CountDownLatch(1);
        String[] failure = {null};
        boolean[] complete = {false};
        try (Writer events = Files.newBufferedWriter(Path.of(file + ".events"))) {
            DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
                    .using(properties)
                    .notifying(record -> {
                        if (complete[0]) {
                            return;
                        }
                        write(events, record);
                        if (record.destination().endsWith("." + last)) {
                            complete[0] = true;
                            done.countDown();
                        }
                    })
                    .using((success, message, error) -> {
                        failure[0] = message;
                        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                            failure[0] += "\n" + cause;
                        }
                        done.countDown();
                    })
                    .build();
            Thread thread = new Thread(engine);
            thread.setDaemon(true);
            thread.start();
            boolean inTime = done.await(seconds, TimeUnit.SECONDS);
            if (!complete[0]) {
                System.err.println(file + ": " + (inTime ? failure[0] : "the last event did not come in time"));
                System.exit(1);
            }
            engine.close();
            thread.join();
        }
    }

    private static void write(Writer events, ChangeEvent<String, String> record) {
        try {
            events.write(record.destination() + "\t" + record.key() + "\t" + record.value() + "\n");
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }
}
