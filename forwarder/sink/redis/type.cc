#include "sink/common/keys.h"
#include "sink/redis/errors.h"
#include "sink/redis/redis.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<RedisWait> wait_table() {
  KeyTable<RedisWait> table;
  table.key("replicas", &RedisWait::replicas, "How many replicas must have an event")
      .required()
      .between(1, 1'000)
      .key("timeout", &RedisWait::timeout, "How long to wait for the replicas");
  return table;
}

KeyTable<RedisConfig> table() {
  KeyTable<RedisConfig> table;
  table
      .key("url", &RedisConfig::url,
           "`redis://[user:password@]host[:port][/db]`, `rediss://…` for TLS, or "
           "`unix:///path[?db=n]`")
      .required();
  add_route(table, "stream", &RedisConfig::stream,
            "Template of the stream's name. In names that replace a placeholder, `%`, "
            "`:` and `.` become `%25`, `%3A` and `%2E`");
  table.rule([](RedisConfig& redis, const Section::Has&) -> std::optional<KeyProblem> {
    bool taken = redis.stream.fallback == kRedisPositions;
    for (const auto& [name, stream] : redis.stream.tables)
      taken = taken || stream == kRedisPositions;
    if (!taken) return std::nullopt;
    return KeyProblem{"stream", "\"" + std::string(kRedisPositions) +
                                    "\" holds how far the streams are filled: choose another name"};
  });
  table.key("maxlen", &RedisConfig::maxlen, "About how many entries to keep")
      .between(1, INT64_MAX)
      .set_default("never trimmed")
      .key("fields", &RedisConfig::fields, "Fields of an entry")
      .words({"data", "id", "op", "schema", "table", "key"})
      .choice<bool>(
          "ids", &RedisConfig::own_ids, {{"event", false}, {"redis", true}},
          "Ids of the entries: `event`, the event's id, so that no event is there twice; `redis`, "
          "made by Redis, for events whose ids do not grow, such as those from Kafka")
      .key("username", &RedisConfig::username, "User of an ACL")
      .set_default("the URL's")
      .key("password", &RedisConfig::password, "Password")
      .set_default("the URL's")
      .section("tls", &RedisConfig::tls, tls_table(), "TLS; the URL says whether it is used")
      .key("pipeline", &RedisConfig::pipeline,
           "Events in one transaction, at most; the sink sends the next transaction meanwhile")
      .between(1, 100'000)
      .section("wait", &RedisConfig::wait, wait_table(),
               "Wait for replicas (WAIT) before an event counts as delivered")
      .key("connect_timeout", &RedisConfig::connect_timeout, "Time limit of connecting");
  return table;
}

}  // namespace

SinkType redis_type() {
  SinkType type = sink_type<RedisConfig>(
      "redis", "Adds an entry to a Redis stream; the entry's id is the event's id", table(),
      [](const RedisConfig& config) { return RedisSink::create(config); });
  type.route = [](std::any& options) { return &std::any_cast<RedisConfig&>(options).stream; };
  type.tie = "its streams belong to the old server until HDEL walspout:positions STREAM";
  type.memory = [](std::any& options) { return &std::any_cast<RedisConfig&>(options).memory; };
  type.memory_suffix = ".streams";
  type.shared = [](const std::any& a, const std::any& b) -> std::optional<SharedPlace> {
    const auto stream = RedisSink::common_stream(std::any_cast<const RedisConfig&>(a),
                                                 std::any_cast<const RedisConfig&>(b));
    if (!stream) return std::nullopt;
    return SharedPlace{"stream \"" + *stream + "\" of the same Redis", "stream", true};
  };
  type.capabilities = {
      .deduplication = Deduplication::kSink,
      .atomic_batch = true,
      .stores_position = true,
      .becomes = "an entry of a stream, its id the event's id",
      .delivered = "the transaction of XADDs is answered",
      .repeated = "compared with the entry that has its id: nothing is there twice",
      .largest = "512 MB, or `proto-max-bulk-len`"};
  return type;
}

}  // namespace walspout
