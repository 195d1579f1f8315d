package clients;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.*;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/** What the steps stand on: the records, the clients, the checks, and one line of output per step. */
final class Kit {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    static final String PREFIX = System.getenv("PREFIX");
    static final String SHARED = System.getenv("SHARED");
    static final boolean DURAMEN = "1".equals(System.getenv("DURAMEN"));
    static final String TOPIC = PREFIX + "-java";
    static final int PARTITIONS = 4;
    static final int RECORDS = 100;
    static final long BASE_TIME = System.currentTimeMillis() - 3_600_000;
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    static final Duration POLL = Duration.ofMillis(100);
    static final long WAIT_MS = 20_000;

    static int failed = 0;
    static Admin admin;

    // Records

    /** Keys, values and headers of every shape: absent, empty, small, and of all byte values. */
    static ProducerRecord<byte[], byte[]> record(int n) {
        byte[] key = n % 10 == 3 ? null : bytes("key-" + n);
        byte[] value = n % 10 == 7 ? null : new byte[n * 37 % 1500];
        for (int i = 0; value != null && i < value.length; i++) value[i] = (byte) (n + i);
        List<Header> headers = n % 3 != 0 ? List.of() : List.of(new RecordHeader("h", bytes("" + n)),
            new RecordHeader("empty", new byte[0]), new RecordHeader("null", (byte[]) null),
            new RecordHeader("h", bytes("again")));
        return new ProducerRecord<>(TOPIC, n % PARTITIONS, BASE_TIME + n, key, value, headers);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** SHA-256 of the key, repeated once more than the number at the key's end. */
    static byte[] sharedValue(String key) throws Exception {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(bytes(key));
        int count = Integer.parseInt(key.substring(key.lastIndexOf('/') + 1)) + 1;
        ByteBuffer value = ByteBuffer.allocate(digest.length * count);
        while (value.hasRemaining()) value.put(digest);
        return value.array();
    }

    // Clients

    static Properties config(String... settings) {
        Properties config = new Properties();
        config.put("bootstrap.servers", BOOTSTRAP);
        for (int i = 0; i < settings.length; i += 2) config.put(settings[i], settings[i + 1]);
        return config;
    }

    static KafkaProducer<byte[], byte[]> producer(String... settings) {
        Properties config = config("max.block.ms", "15000", "delivery.timeout.ms", "20000",
            "request.timeout.ms", "10000", "linger.ms", "5");
        config.putAll(config(settings));
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String... settings) {
        Properties config = config("auto.offset.reset", "earliest", "enable.auto.commit", "false",
            "default.api.timeout.ms", "15000");
        config.putAll(config(settings));
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    // Steps

    interface Body { void run() throws Exception; }

    interface Condition { boolean holds() throws Exception; }

    static void step(String name, Body body) {
        try {
            body.run();
            System.out.println("ok " + name);
        } catch (Throwable error) {
            failed++;
            String reason = String.valueOf(error instanceof AssertionError ? error.getMessage() : error)
                .lines().findFirst().orElse("");
            System.out.println("FAIL " + name + ": " + reason);
            error.printStackTrace();
        }
    }

    static void await(String what, Condition condition) {
        long deadline = System.nanoTime() + WAIT_MS * 1_000_000;
        try {
            while (!condition.holds()) {
                check(System.nanoTime() < deadline, "waited " + WAIT_MS / 1000 + " s in vain for: " + what);
                Thread.sleep(10);
            }
        } catch (RuntimeException | Error error) {
            throw error;
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    static <T> T get(java.util.concurrent.Future<T> future) throws Exception {
        try {
            return future.get(WAIT_MS, TimeUnit.MILLISECONDS);
        } catch (ExecutionException error) {
            throw error.getCause() instanceof Exception cause ? cause : error;
        }
    }

    static void refused(Class<? extends Exception> kind, java.util.concurrent.Future<?> future) throws Exception {
        Object answer;
        try {
            answer = get(future);
        } catch (Exception error) {
            check(kind.isInstance(error), "expected " + kind.getSimpleName() + ", got " + error);
            return;
        }
        throw new AssertionError("expected " + kind.getSimpleName() + ", got the answer " + answer);
    }

    static void same(Object expected, Object actual, String what) {
        check(Objects.equals(expected, actual), what + ": expected " + expected + ", got " + actual);
    }

    static void check(boolean holds, String otherwise) {
        if (!holds) throw new AssertionError(otherwise);
    }
}
