#include "config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "config/units.h"
#include "sink/exec/config.h"
#include "sink/file/config.h"
#include "sink/http/config.h"
#include "sink/kafka/config.h"
#include "sink/nats/config.h"
#include "sink/rabbitmq/config.h"
#include "sink/redis/config.h"

namespace walspout {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string problems(const std::string& text) {
  return describe("f", parse_config(text));
}

Config good(const std::string& text) {
  LoadedConfig loaded = parse_config(text);
  EXPECT_EQ(describe("f", loaded), "");
  return loaded.config;
}

// A configuration with one pipeline and one sink, to which lines may be added.
std::string with(const std::string& source, const std::string& sink = "{type: null}",
                 const std::string& rest = "") {
  return "pipelines:\n- name: p\n  source: {dsn: x, slot: s" +
         (source.empty() ? "" : ", " + source) + "}\n  sinks: [" + sink + "]\n" + rest;
}

TEST(Config, MergeKeysGiveWhatTheMappingDoesNotSay) {
  const std::string text =
      "x-retry: &retry {initial: 1s, max: 9s}\n"
      "x-more: &more {max: 7s, x-note: whatever}\n"
      "pipelines:\n"
      "  - &first\n"
      "    name: one\n"
      "    x-owner: team\n"
      "    source: {dsn: host=x, slot: one}\n"
      "    retry: {<<: [*more, *retry], initial: 2s}\n"
      "    sinks: [{type: 'null'}]\n"
      "  - <<: *first\n"
      "    name: two\n"
      "    source: {dsn: host=x, slot: two}\n";
  const Config config = good(text);
  ASSERT_EQ(config.pipelines.size(), 2u);
  for (const PipelineConfig& pipeline : config.pipelines) {
    EXPECT_EQ(pipeline.retry.initial, std::chrono::seconds(2));
    EXPECT_EQ(pipeline.retry.max, std::chrono::seconds(7));
    EXPECT_EQ(pipeline.sinks.size(), 1u);
  }
  EXPECT_EQ(config.pipelines[1].name, "two");
  EXPECT_EQ(config.pipelines[1].source.slot, "two");
}

TEST(Config, WhatIsGivenDiffersWhereTheFileDoes) {
  const std::string text =
      "pipelines:\n"
      "  - name: p\n"
      "    source: {dsn: host=x, slot: s}\n"
      "    sinks: [{type: 'null'}]\n";
  const auto given = good(text).pipelines[0].given;
  EXPECT_EQ(given.at("source.slot"), "=s");
  EXPECT_EQ(given.at("sinks[0].type"), "=null");
  EXPECT_EQ(good("# words\n" + text + "    x-note: {a: 1}\n").pipelines[0].given.size(),
            given.size() + 2);
}

TEST(Config, AListItemIsWhatStandsThere) {
  const Config config =
      good(with(R"(publications: ["a,b", 'Q"', " sp "],)"
                R"( message_prefixes: ["a,b", "Q\"", " sp ", "Mail", "", "\n"])"));
  const SourceConfig& source = config.pipelines[0].source;
  EXPECT_THAT(source.publications, ElementsAre("a,b", "Q\"", " sp "));
  EXPECT_THAT(source.message_prefixes, ElementsAre("a,b", "Q\"", " sp ", "Mail", "", "\n"));
}

TEST(Config, AListItemThatCannotBeIsAProblemInItsPlace) {
  EXPECT_THAT(problems("pipelines:\n- name: p\n  source:\n    dsn: x\n    slot: s\n"
                       "    message_prefixes:\n    - Mail\n    - \"a\\0b\"\n"
                       "    publications: ['" +
                       std::string(64, 'p') +
                       "',\n      '']\n"
                       "  sinks: [{type: null}]\n"),
              AllOf(HasSubstr("f:8:7: \"message_prefixes\" must not hold a NUL character"),
                    HasSubstr("f:9:20: \"publications\" has a name of more than 63 bytes"),
                    HasSubstr("f:10:7: \"publications\" has an empty name")));
}

TEST(Config, WhatNeedsTheEnvelopeDoesNotGoWithOtherDialects) {
  EXPECT_EQ(problems(with("dialect: debezium, dialect_options: {topic.prefix: p}")), "");
  EXPECT_THAT(problems(with("dialect_options: {topic.prefix: p}")), HasSubstr("set \"dialect\""));
  EXPECT_THAT(problems(with("dialect: row, omit: [ts]")), HasSubstr("about the envelope"));
  EXPECT_THAT(problems(with("dialect: row, backfill: {tables: all}")),
              HasSubstr("merges rows with changes"));
  for (const std::string key : {"schemas: true", "schemas: true, schema_format: avro"}) {
    EXPECT_THAT(problems(with("dialect: wal2json, " + key)),
                HasSubstr("\"schemas\" does not go with \"dialect\""));
  }
  EXPECT_EQ(problems(with("dialect: walspout, schemas: true, transactions: true")), "");
  EXPECT_EQ(problems(with("dialect: debezium, transactions: true")), "");
  EXPECT_THAT(problems(with("dialect: row, transactions: true")),
              HasSubstr("\"transactions\" does not go with this \"dialect\""));
}

TEST(Config, PatternsOfTablesStandForAPublicationOfTheSlot) {
  const Config config =
      good(with(R"(tables: ["public.*", "!public.a?"], backfill: {new_tables: true})"));
  const SourceConfig& source = config.pipelines[0].source;
  EXPECT_THAT(source.tables, ElementsAre("public.*", "!public.a?"));
  EXPECT_THAT(source.publications, ElementsAre("walspout_s"));
  EXPECT_TRUE(source.backfill->new_tables);
  EXPECT_THAT(problems(with("tables: [a.b], publications: [p]")), HasSubstr("cannot go with"));
  EXPECT_THAT(problems(with("tables: []")), HasSubstr("empty list"));
  EXPECT_THAT(problems(with("tables: [a]")), HasSubstr("the schema and a dot are missing"));
  EXPECT_THAT(problems(with("backfill: {new_tables: true}")), HasSubstr("needs \"publications\""));
  EXPECT_THAT(problems("pipelines:\n- name: p\n  source: {dsn: x, slot: " + std::string(60, 's') +
                       ", tables: [a.b]}\n  sinks: [{type: null}]\n"),
              HasSubstr("shorten \"slot\""));
}

TEST(Config, CodesOfAnswersAreCodesOrClassesInOneList) {
  const auto http = [](const std::string& codes) {
    return problems(with("", "{type: http, url: \"http://x\", codes: {" + codes + "}}"));
  };
  EXPECT_EQ(http("reject: [404, 5xx], retry: [400], suspect: [500], park: [302, 999]"), "");
  for (const char* bad : {"200", "2xx", "1xx", "4x", "40x", "4000", "abc", "-404", "''"}) {
    EXPECT_THAT(http("reject: [" + std::string(bad) + "]"), HasSubstr("codes from 300 on")) << bad;
  }
  EXPECT_THAT(http("reject: [404], retry: [400, 404]"), HasSubstr("has 404 in two lists"));
  EXPECT_THAT(http("rejects: [404]"), HasSubstr("reject"));
}

TEST(Config, WaitNeedsReplicas) {
  const auto redis = [](const std::string& wait) {
    return problems(with("", "{type: redis, url: \"redis://x\", wait: {" + wait + "}}"));
  };
  EXPECT_EQ(redis("replicas: 1"), "");
  EXPECT_THAT(redis("timeout: 1s"), HasSubstr("replicas"));
  EXPECT_THAT(redis("replicas: 0"), HasSubstr("from 1"));
  EXPECT_THAT(redis("replicas: 1, timeout: 0s"), HasSubstr("timeout"));
}

TEST(Config, SchemasNeedASourceThatHasThem) {
  const auto text = [](const std::string& source, const std::string& redis) {
    return with(source, "{type: redis, url: \"redis://x\"" + redis + "}");
  };
  EXPECT_EQ(problems(text("schemas: true", "")), "");
  const LoadedConfig loaded = parse_config(text("schemas: true", ""));
  const auto& redis =
      std::any_cast<const RedisConfig&>(loaded.config.pipelines[0].sinks[0].options);
  EXPECT_EQ(redis.stream.schemas, "walspout:{database}:{pipeline}:schemas");
  const LoadedConfig without = parse_config(text("", ""));
  EXPECT_FALSE(std::any_cast<const RedisConfig&>(without.config.pipelines[0].sinks[0].options)
                   .stream.schemas);
  EXPECT_THAT(problems(text("", ", schemas_to: s")), HasSubstr("schemas: true"));
  EXPECT_THAT(problems(text("schema_format: avro", "")), HasSubstr("schemas: true"));
  EXPECT_THAT(problems(text("schemas: true", ", schemas_to: \"{tabel}\"")), HasSubstr("table"));
  EXPECT_THAT(problems(text("schemas: true", ", stream: s, schemas_to: s")),
              HasSubstr("a stream of their own"));
  EXPECT_THAT(problems(text("schemas: true, schema_format: xml", "")), HasSubstr("avro"));
}

TEST(Config, ReadsWaysToLogIn) {
  const std::string begin =
      "pipelines:\n  - name: p\n    source: {dsn: host=x, slot: s}\n    sinks:\n"
      "      - type: nats\n        servers: [\"nats://h\"]\n";
  const LoadedConfig loaded = parse_config(begin + "        token: t\n");
  EXPECT_EQ(describe("f", loaded), "");
  const auto& nats = std::any_cast<const NatsConfig&>(loaded.config.pipelines[0].sinks[0].options);
  EXPECT_EQ(nats.token.reveal(), "t");
  EXPECT_THAT(problems(begin + "        credentials: c\n        nkey: n\n"),
              HasSubstr("give one of user with password, token, credentials and nkey"));
}

TEST(Config, ReadsAWholeOne) {
  setenv("WALSPOUT_TEST_SECRET", "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo", 1);
  Config config = good(R"(
pipelines:
  - name: orders
    source:
      dsn: postgresql://walspout@db/shop
      slot: walspout_orders
      publications: [orders, "Mixed Case"]
      messages: false
      message_prefixes: [a, b]
      origin: none
      omit: [ts]
      batch_bytes: 32KiB
      max_value_bytes: 1MB
      max_depth: 100
      numbers: safe
      user_casts: true
      columns: {public.users: {mail: hash as m, ssn: omit}, "*.*": {password: mask "*"}}
      set: {sid: eu-1, n: 7}
      hash_key: hidden
      transactions: true
      schemas: true
      schema_format: avro
      create_slot: false
      failover: true
    sinks:
      - type: redis
        name: fast
        url: redis://127.0.0.1:6379/0
        stream: "walspout:{schema}.{table}"
        schemas_to: "schemas:{table}"
        maxlen: 1000000
        ids: redis
        fields: [data, op]
        username: u
        password: p
        pipeline: 64
        wait: {replicas: 2, timeout: 300ms}
        connect_timeout: 2s
        deliver_timeout: 20s
        tls: {ca_file: a, cert_file: b, key_file: c, verify: false}
      - type: http
        url: https://example.com/hook
        secret: ${WALSPOUT_TEST_SECRET}
        headers: {Authorization: "Bearer x"}
        batch: {events: 100, bytes: 2MiB}
        lanes: 8
        cloudevents: false
        cloudevents_source: /shop
        redirects: 1
        http2: false
        proxy: http://me:x@proxy:3128
        codes: {reject: [404, 4xx], suspect: [500], retry: [400], park: [503]}
        retry_after_max: 90s
        timeout: 3s
        connect_timeout: 1s
      - type: rabbitmq
        url: amqp://guest:guest@127.0.0.1/
        exchange: changes
        declare: topic
        routing_key:
          tables: {public.orders: orders}
          fallback: "{op}"
        unmapped: drop
        schemas_to: schemas.{table}
        persistent: false
        mandatory: false
        unconfirmed: 5
        heartbeat: 1500ms
        connect_timeout: 1s
      - type: exec
        command: [./my-sink, --flag, "a b"]
        directory: /srv/sinks
        env: {TOKEN: hush}
        order: key
        unanswered: 7
        answer_timeout: 1m
        grace: 3s
      - type: nats
        servers: ["nats://a:4222", "tls://b"]
        subject: "shop.{schema}.{table}"
        unmapped: drop
        schemas_to: schemas
        create_stream:
          name: shop
          subjects: ["shop.>"]
          storage: memory
          replicas: 3
          retention: workqueue
          discard: new
          max_bytes: 1GiB
          max_messages: 1000
          max_message_size: 1MiB
          max_age: 7d
          duplicate_window: 5m
        id_prefix: "me:"
        user: u
        password: p
        domain: hub
        inbox_prefix: _MINE
        unconfirmed: 6
        ack_timeout: 4s
        heartbeat: 3s
        tls: {ca_file: a, cert_file: b, key_file: c, verify: false}
        connect_timeout: 2s
      - type: kafka
        brokers: ["a:9092", "[::1]:9093"]
        topic: {tables: {public.orders: orders}}
        unmapped: drop
        schemas_to: schemas
        value: row
        tombstones: true
        exactly_once: true
        positions: mine
        compression: zstd
        linger: 5ms
        unconfirmed: 7
        create_topics: {partitions: 6, replication_factor: 3, config: {cleanup.policy: compact}}
        sasl: {mechanism: scram-sha-512, user: me, password: "${WALSPOUT_TEST_SECRET}", token: t}
        tls: {ca_file: a, cert_file: b, key_file: c, verify: false}
        connect_timeout: 1s
        librdkafka: {client.id: mine, socket.timeout.ms: 5000}
      - type: file
        path: /tmp/x
        fsync: off
      - type: stdout
      - type: null
    memory: 16MiB
    retry: {initial: 50ms, max: 1m}
    dead_letter: {after: 7, path: /tmp/dead}
status:
  listen: "[::1]:9999"
log: {level: debug, format: json}
drain: 3s
state: /var/lib/walspout
)");
  ASSERT_EQ(config.pipelines.size(), 1u);
  const PipelineConfig& pipeline = config.pipelines[0];
  EXPECT_EQ(pipeline.source.dsn.reveal(), "postgresql://walspout@db/shop");
  EXPECT_THAT(pipeline.source.publications, ElementsAre("orders", "Mixed Case"));
  EXPECT_FALSE(pipeline.source.messages);
  EXPECT_THAT(pipeline.source.message_prefixes, ElementsAre("a", "b"));
  EXPECT_EQ(pipeline.source.origin, "none");
  EXPECT_THAT(pipeline.source.omit, ElementsAre("ts"));
  EXPECT_EQ(pipeline.source.batch_bytes, 32768u);
  EXPECT_EQ(pipeline.source.max_value_bytes, 1u << 20);
  EXPECT_EQ(pipeline.source.max_depth, 100u);
  EXPECT_EQ(pipeline.source.numbers, "safe");
  EXPECT_TRUE(pipeline.source.user_casts);
  EXPECT_EQ(pipeline.source.columns,
            (TextMaps{{"public.users", {{"mail", "hash as m"}, {"ssn", "omit"}}},
                      {"*.*", {{"password", "mask \"*\""}}}}));
  EXPECT_EQ(pipeline.source.set, (TextMap{{"sid", "eu-1"}, {"n", "7"}}));
  EXPECT_EQ(pipeline.source.hash_key.reveal(), "hidden");
  EXPECT_TRUE(pipeline.source.transactions && pipeline.source.schemas);
  EXPECT_EQ(pipeline.source.schema_format, "avro");
  EXPECT_FALSE(pipeline.source.create_slot);
  EXPECT_TRUE(pipeline.source.failover);
  EXPECT_EQ(pipeline.memory, 16u << 20);
  EXPECT_EQ(pipeline.retry.initial, Milliseconds(50));
  EXPECT_EQ(pipeline.retry.max, Milliseconds(60'000));
  EXPECT_EQ(pipeline.dead_letter->after, 7u);
  EXPECT_EQ(pipeline.dead_letter->path, "/tmp/dead");

  ASSERT_EQ(pipeline.sinks.size(), 9u);
  EXPECT_EQ(pipeline.sinks[0].name, "fast");
  EXPECT_EQ(pipeline.sinks[0].deliver_timeout, Milliseconds(20'000));
  const auto& redis = std::any_cast<const RedisConfig&>(pipeline.sinks[0].options);
  EXPECT_EQ(redis.stream.fallback, "walspout:{schema}.{table}");
  EXPECT_EQ(redis.stream.schemas, "schemas:{table}");
  EXPECT_EQ(redis.maxlen, 1'000'000u);
  EXPECT_TRUE(redis.own_ids);
  EXPECT_THAT(redis.fields, ElementsAre("data", "op"));
  EXPECT_EQ(redis.username, "u");
  EXPECT_EQ(redis.password.reveal(), "p");
  EXPECT_EQ(redis.pipeline, 64u);
  EXPECT_EQ(redis.wait.replicas, 2u);
  EXPECT_EQ(redis.wait.timeout, Milliseconds(300));
  EXPECT_EQ(redis.url.reveal(), "redis://127.0.0.1:6379/0");
  EXPECT_EQ(redis.connect_timeout, Milliseconds(2'000));
  EXPECT_EQ(redis.tls.ca_file + redis.tls.cert_file + redis.tls.key_file, "abc");
  EXPECT_FALSE(redis.tls.verify);
  const auto& http = std::any_cast<const HttpConfig&>(pipeline.sinks[1].options);
  EXPECT_EQ(http.secrets.at(0).reveal(), "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo");
  EXPECT_EQ(http.headers.at(0).first, "Authorization");
  EXPECT_EQ(http.batch_events, 100u);
  EXPECT_EQ(http.batch_bytes, 2u << 20);
  EXPECT_EQ(http.lanes, 8u);
  EXPECT_FALSE(http.cloudevents);
  EXPECT_EQ(http.cloudevents_source, "/shop");
  EXPECT_EQ(http.redirects, 1u);
  EXPECT_FALSE(http.http2);
  EXPECT_EQ(http.proxy.reveal(), "http://me:x@proxy:3128");
  EXPECT_THAT(http.codes.reject, ElementsAre("404", "4xx"));
  EXPECT_THAT(http.codes.suspect, ElementsAre("500"));
  EXPECT_THAT(http.codes.retry, ElementsAre("400"));
  EXPECT_THAT(http.codes.park, ElementsAre("503"));
  EXPECT_EQ(http.retry_after_max, Milliseconds(90'000));
  EXPECT_EQ(http.timeout, Milliseconds(3'000));
  EXPECT_EQ(http.connect_timeout, Milliseconds(1'000));
  EXPECT_EQ(http.url, "https://example.com/hook");
  const auto& rabbitmq = std::any_cast<const RabbitmqConfig&>(pipeline.sinks[2].options);
  EXPECT_EQ(rabbitmq.exchange, "changes");
  EXPECT_EQ(rabbitmq.declare, "topic");
  EXPECT_EQ(rabbitmq.routing_key.tables.at("public.orders"), "orders");
  EXPECT_EQ(rabbitmq.routing_key.fallback, "{op}");
  EXPECT_EQ(rabbitmq.routing_key.unmapped, Unmapped::kDrop);
  EXPECT_EQ(rabbitmq.routing_key.schemas, "schemas.{table}");
  EXPECT_FALSE(rabbitmq.persistent);
  EXPECT_FALSE(rabbitmq.mandatory);
  EXPECT_EQ(rabbitmq.unconfirmed, 5u);
  EXPECT_EQ(rabbitmq.connect_timeout, Milliseconds(1'000));
  EXPECT_EQ(rabbitmq.url.reveal(), "amqp://guest:guest@127.0.0.1/");
  EXPECT_EQ(rabbitmq.heartbeat, std::chrono::seconds(2));
  const auto& exec = std::any_cast<const ExecConfig&>(pipeline.sinks[3].options);
  EXPECT_THAT(exec.command, ElementsAre("./my-sink", "--flag", "a b"));
  EXPECT_EQ(exec.directory, "/srv/sinks");
  ASSERT_EQ(exec.env.size(), 1u);
  EXPECT_EQ(exec.env[0].first, "TOKEN");
  EXPECT_EQ(exec.env[0].second.reveal(), "hush");
  EXPECT_EQ(exec.order, Order::kKey);
  EXPECT_EQ(exec.unanswered, 7u);
  EXPECT_EQ(exec.answer_timeout, Milliseconds(60'000));
  EXPECT_EQ(exec.grace, Milliseconds(3'000));
  const auto& nats = std::any_cast<const NatsConfig&>(pipeline.sinks[4].options);
  ASSERT_EQ(nats.servers.size(), 2u);
  EXPECT_EQ(nats.servers[1].reveal(), "tls://b");
  EXPECT_EQ(nats.subject.fallback, "shop.{schema}.{table}");
  EXPECT_EQ(nats.subject.unmapped, Unmapped::kDrop);
  EXPECT_EQ(nats.subject.schemas, "schemas");
  ASSERT_TRUE(nats.create_stream);
  EXPECT_EQ(nats.create_stream->name, "shop");
  EXPECT_THAT(nats.create_stream->subjects, ElementsAre("shop.>"));
  EXPECT_EQ(nats.create_stream->storage + nats.create_stream->retention, "memoryworkqueue");
  EXPECT_EQ(nats.create_stream->discard, "new");
  EXPECT_EQ(nats.create_stream->replicas, 3u);
  EXPECT_EQ(nats.create_stream->max_bytes, 1u << 30);
  EXPECT_EQ(nats.create_stream->max_messages, 1000u);
  EXPECT_EQ(nats.create_stream->max_message_size, 1u << 20);
  EXPECT_EQ(nats.create_stream->max_age, Milliseconds(604'800'000));
  EXPECT_EQ(nats.create_stream->duplicate_window, Milliseconds(300'000));
  EXPECT_EQ(nats.user + nats.password.reveal(), "up");
  EXPECT_EQ(nats.domain + nats.inbox_prefix, "hub_MINE");
  EXPECT_EQ(nats.id_prefix, "me:");
  EXPECT_EQ(nats.unconfirmed, 6u);
  EXPECT_EQ(nats.ack_timeout, Milliseconds(4'000));
  EXPECT_EQ(nats.heartbeat, std::chrono::seconds(3));
  EXPECT_EQ(nats.tls.ca_file + nats.tls.cert_file + nats.tls.key_file, "abc");
  EXPECT_EQ(nats.connect_timeout, Milliseconds(2'000));
  const auto& kafka = std::any_cast<const KafkaConfig&>(pipeline.sinks[5].options);
  EXPECT_THAT(kafka.brokers, ElementsAre("a:9092", "[::1]:9093"));
  EXPECT_EQ(kafka.topic.tables.at("public.orders"), "orders");
  EXPECT_EQ(kafka.topic.fallback, std::nullopt);
  EXPECT_EQ(kafka.topic.unmapped, Unmapped::kDrop);
  EXPECT_EQ(kafka.topic.schemas, "schemas");
  EXPECT_TRUE(kafka.rows);
  EXPECT_TRUE(kafka.tombstones);
  EXPECT_TRUE(kafka.exactly_once);
  EXPECT_EQ(kafka.positions, "mine");
  EXPECT_EQ(kafka.compression, "zstd");
  EXPECT_EQ(kafka.linger, Milliseconds(5));
  EXPECT_EQ(kafka.unconfirmed, 7u);
  EXPECT_EQ(kafka.create_topics->partitions, 6u);
  EXPECT_EQ(kafka.create_topics->replication_factor, 3u);
  EXPECT_EQ(kafka.create_topics->config.at(0).second.reveal(), "compact");
  EXPECT_EQ(kafka.sasl->mechanism, KafkaSasl::Mechanism::kScramSha512);
  EXPECT_EQ(kafka.sasl->user, "me");
  EXPECT_EQ(kafka.sasl->password.reveal(), "whsec_aHVzaGh1c2hodXNoaHVzaGh1c2hodXNo");
  EXPECT_EQ(kafka.sasl->token.reveal(), "t");
  EXPECT_EQ(kafka.tls->ca_file, "a");
  EXPECT_FALSE(kafka.tls->verify);
  EXPECT_EQ(kafka.connect_timeout, Milliseconds(1'000));
  EXPECT_EQ(kafka.librdkafka.at(1).first, "socket.timeout.ms");
  EXPECT_FALSE(std::any_cast<const FileConfig&>(pipeline.sinks[6].options).fsync);
  EXPECT_EQ(pipeline.sinks[7].type->name, "stdout");
  EXPECT_EQ(pipeline.sinks[8].type->name, "null");
  EXPECT_EQ(config.status->host, "::1");
  EXPECT_EQ(config.status->port, 9999);
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_TRUE(config.log.json);
  EXPECT_EQ(config.drain, Milliseconds(3'000));
  EXPECT_EQ(config.state, "/var/lib/walspout");
}

TEST(Config, TellsAllProblemsAtOnceWhereTheyAre) {
  EXPECT_EQ(
      problems(R"(pipelines:
  - name: p
    source: {dsn: x, slot: Bad, publicatons: [a]}
    sinks:
      - type: redys
      - type: file
        pth: x
    memory: 64
    retry: {initial: 5 parsecs, max: 1s}
statsu: {}
)"),
      "f:3:28: \"slot\" must be up to 63 lower case letters, digits and underscores, not \"Bad\"\n"
      "f:3:33: unknown key \"publicatons\" in \"source\": did you mean \"publications\"?\n"
      "f:5:15: \"type\" must be one of redis, http, rabbitmq, kafka, nats, exec, postgres, file, "
      "stdout, "
      "null, not "
      "\"redys\"; did you mean \"redis\"?\n"
      "f:6:9: an item of \"sinks\" needs \"path\"\n"
      "f:7:9: unknown key \"pth\" in an item of \"sinks\": did you mean \"path\"?\n"
      "f:8:13: \"memory\" must be a whole number with a unit, such as 64MiB (B, kB, MB, GB, TB), "
      "not \"64\"\n"
      "f:9:22: \"initial\" must be a whole number with a unit, such as 30s (ms, s, m, h, d), not "
      "\"5 parsecs\"\n"
      "f:10:1: unknown key \"statsu\" in the configuration: did you mean \"status\"?\n");
}

TEST(Config, RefusesWhatNeverMatches) {
  const auto redis = [](const std::string& more) {
    return problems(with("", "{type: redis, url: redis://x, " + more + "}"));
  };
  EXPECT_THAT(redis("stream: {tables: {orders: o}}"), HasSubstr("\"orders\" is no table"));
  EXPECT_THAT(redis("stream: {tables: {a.b: ''}}"), HasSubstr("is empty"));
  EXPECT_THAT(redis("stream: {fallback: ''}"), HasSubstr("\"fallback\" is empty"));
  EXPECT_THAT(redis("stream: ''"), HasSubstr("is empty"));
  EXPECT_THAT(redis("stream: 'walspout:positions'"), HasSubstr("choose another name"));
  EXPECT_EQ(redis("stream: {tables: {a.b: c, message: m}}"), "");
  EXPECT_THAT(problems(with("", "{type: http, url: http://x, secret: []}")),
              HasSubstr("\"secret\" is an empty list"));
}

TEST(Config, KnowsWrongTypes) {
  EXPECT_THAT(problems("[]"), HasSubstr("must be a mapping"));
  EXPECT_THAT(problems(""), HasSubstr("empty"));
  EXPECT_THAT(problems("pipelines: []"), HasSubstr("at least one item"));
  EXPECT_THAT(problems("a: [b"), HasSubstr("not valid YAML"));
  EXPECT_THAT(problems(with("publications: a")), HasSubstr("must be a list"));
  EXPECT_THAT(problems(with("messages: maybe")), HasSubstr("must be true or false"));
  EXPECT_THAT(problems(with("slot: s")), HasSubstr("is there twice"));
  EXPECT_THAT(problems(with("omit: [after]")), HasSubstr("not one of id, op"));
  EXPECT_THAT(problems(with("max_depth: 1")), HasSubstr("must be at least 2, or 0"));
  EXPECT_THAT(problems(with("max_depth: -1")), HasSubstr("\"max_depth\""));
  EXPECT_THAT(problems(with("numbers: strings")), HasSubstr("json, string, safe"));
  EXPECT_THAT(problems(with("", "{type: redis, url: {}}")), HasSubstr("must be a single value"));
  EXPECT_THAT(problems(with("", "{type: redis, url: x, maxlen: -1}")),
              HasSubstr("whole number of at least 1"));
  EXPECT_THAT(problems(with("", "{type: http, url: ftp://x}")), HasSubstr("http://"));
  EXPECT_THAT(problems(with("", "{type: null}, {type: null}")), HasSubstr("two sinks"));
  EXPECT_THAT(problems(with("", "{type: null}", "status: {listen: here}")),
              HasSubstr("ADDRESS:PORT"));
  EXPECT_THAT(problems(with("", "{type: null}", "  retry: {initial: 5s, max: 1s}")),
              HasSubstr("must not be less"));
}

TEST(Config, ACloudEventIsAlone) {
  const Config config = good(with("", "{type: http, url: \"http://x\", cloudevents: true}"));
  EXPECT_TRUE(std::any_cast<const HttpConfig&>(config.pipelines[0].sinks[0].options).cloudevents);
  EXPECT_THAT(
      problems(with("", "{type: http, url: \"http://x\", cloudevents: true, batch: {events: 2}}")),
      HasSubstr("batch.events"));
}

TEST(Config, ARequestMayNotTakeLongerThanItsDelivery) {
  const std::string sink = "{type: http, url: \"http://x\", deliver_timeout: 5s";
  EXPECT_THAT(problems(with("", sink + ", timeout: 6s}")),
              HasSubstr("longer than \"deliver_timeout\""));
  EXPECT_EQ(problems(with("", sink + ", timeout: 5s}")), "");
  const auto loaded = parse_config(with("", sink + "}"));
  ASSERT_TRUE(loaded.problems.empty());
  const auto& options = loaded.config.pipelines.at(0).sinks.at(0).options;
  EXPECT_EQ(std::any_cast<const HttpConfig&>(options).timeout, Milliseconds(5'000));
}

TEST(Config, ARequestCannotHoldMoreThanTheQueue) {
  const std::string sink = "{type: http, url: \"http://x\", batch: {events: 9, bytes: 3MiB}}";
  EXPECT_THAT(problems(with("", sink, "  memory: 2MiB")), HasSubstr("more than \"memory\""));
  EXPECT_EQ(problems(with("", sink, "  memory: 3MiB")), "");
}

TEST(Config, SecretsComeFromFilesAndTheEnvironment) {
  std::string path = testing::TempDir() + "secret";
  std::ofstream(path, std::ios::trunc) << "from-file\n";
  Config config = good("pipelines: [{name: p, source: {dsn: \"file:" + path +
                       "\", slot: s}, sinks: [{type: null}]}]");
  EXPECT_EQ(config.pipelines[0].source.dsn.reveal(), "from-file");
  EXPECT_THAT(problems(with("", "{type: redis, url: \"file:/nonexistent\"}")),
              HasSubstr("could not read file"));
  for (const char* content : {"", "\n", "\r\n"}) {
    std::ofstream(path, std::ios::trunc) << content;
    const std::string empty = "file \"" + path + "\", for \"";
    EXPECT_THAT(problems(with("", "{type: redis, url: \"file:" + path + "\"}")),
                HasSubstr(empty + "url\", is empty: write the value into it"));
    EXPECT_THAT(
        problems(with("", "{type: http, url: \"http://x\", secret: [\"file:" + path + "\"]}")),
        HasSubstr(empty + "secret\", is empty"));
  }
  unsetenv("WALSPOUT_NOT_SET");
  EXPECT_THAT(problems(with("", "{type: redis, url: \"redis://${WALSPOUT_NOT_SET}@x\"}")),
              HasSubstr("WALSPOUT_NOT_SET"));
  EXPECT_THAT(problems(with("", "{type: redis, url: \"${open\"}")),
              HasSubstr("name of a variable"));
}

TEST(Config, DefaultsAreSafe) {
  Config config = good(with(""));
  EXPECT_FALSE(config.status);
  EXPECT_FALSE(config.pipelines[0].dead_letter);
  EXPECT_EQ(config.pipelines[0].memory, 64u << 20);
  EXPECT_TRUE(config.pipelines[0].source.create_slot);
  EXPECT_EQ(StatusConfig().host, "127.0.0.1");
  EXPECT_EQ(StatusConfig().tap_level(), TapLevel::kKeys);
}

TEST(Units, AreNotOptional) {
  EXPECT_EQ(parse_size("64MiB"), 64u << 20);
  EXPECT_EQ(parse_size("1 kB"), 1024u);
  EXPECT_EQ(parse_duration("5m"), Milliseconds(300'000));
  for (const char* bad : {"", "64", "MiB", "1.5MiB", "-1MiB", "64mib"}) {
    EXPECT_FALSE(parse_size(bad)) << bad;
  }
  for (const char* bad : {"", "5", "ms", "5 parsecs"}) {
    EXPECT_FALSE(parse_duration(bad)) << bad;
  }
  EXPECT_GT(parse_size("99999999999GiB"), uint64_t{1} << 62);
  for (const char* long_one : {"1001d", "2562047788015h", "99999999999999999d"}) {
    EXPECT_GT(parse_duration(long_one), kLongest) << long_one;
  }
}

}  // namespace
}  // namespace walspout
