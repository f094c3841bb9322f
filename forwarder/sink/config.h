// What each sink needs, as plain data: the configuration file fills it in, tests do by hand.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"

namespace walspout {

// What becomes of an event that no destination is configured for.
enum class Unmapped {
  kError,  // it is rejected: dead letter or stop
  kDrop,   // it counts as delivered, and as dropped
};

// Where a pipeline's events come from, as templates name it.
struct Origin {
  std::string pipeline;
  std::string database;
};

// A destination for each event: an entry for its table, else the fallback. Both are templates, in
// which {schema}, {table} and {op} stand for those of the event, {database} and {pipeline} for
// those of the origin, and {{ and }} for braces. For logical messages, {schema} and {table} are
// empty.
struct Route {
  std::map<std::string, std::string> tables;  // by "schema.table"; "message": logical messages
  std::optional<std::string> fallback;        // none: tables not listed are unmapped
  Unmapped unmapped = Unmapped::kError;
  Origin origin{};
  // In names that replace placeholders, the characters % : . become %25 %3A %2E. So no name can
  // reach over the : and . between two placeholders: different names make different destinations.
  bool escape = false;
};

// Files in PEM; empty: the library's defaults. Whether TLS is used the URL's scheme says.
struct TlsConfig {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool verify = true;
};

struct RedisConfig {
  Secret url;  // redis://[user:password@]host[:port][/db], rediss://..., unix:///path[?db=n]
  Route stream{{}, "walspout:{database}:{schema}.{table}", Unmapped::kError, {}, true};
  std::optional<uint64_t> maxlen;           // about; none: never trimmed
  std::vector<std::string> fields{"data"};  // of an entry: data id op schema table key
  std::string username;                     // ACL user; wins over the URL's
  Secret password;                          // wins over the URL's
  TlsConfig tls;
  size_t pipeline = 1024;  // events in one transaction, at most
  Milliseconds connect_timeout{5'000};
};

struct HttpConfig {
  std::string url;
  std::vector<Secret> secrets;  // whsec_..., the current one first; each signs. Empty: unsigned
  std::vector<std::pair<std::string, Secret>> headers;
  size_t batch_events = 1;  // > 1: the body is a JSON array
  size_t batch_bytes = 1u << 20;
  size_t lanes = 1;
  bool cloudevents = false;        // binary mode: attributes as ce- headers
  std::string cloudevents_source;  // ce-source; empty: /walspout
  size_t redirects = 0;            // how many are followed, to the same host only
  bool http2 = true;
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
  Milliseconds timeout{30'000};  // of a request
};

struct RabbitmqConfig {
  Secret url;  // amqp[s]://user:password@host[:port]/vhost
  std::string exchange;
  std::optional<std::string> declare;  // direct, topic, fanout, headers; none: must exist
  Route routing_key{{}, "{schema}.{table}.{op}", Unmapped::kError, {}, false};
  bool persistent = true;
  bool mandatory = true;
  size_t unconfirmed = 1024;  // messages published before their confirms are awaited
  std::chrono::seconds heartbeat{30};
  TlsConfig tls;
  Milliseconds connect_timeout{5'000};
};

struct FileConfig {
  std::string path;
  bool fsync = true;
};

struct StdoutConfig {};

struct NullConfig {};

struct SinkConfig {
  std::string name;                      // in logs and metrics; the type, unless given
  Milliseconds deliver_timeout{60'000};  // of one call of deliver()
  std::variant<NullConfig, StdoutConfig, FileConfig, RedisConfig, HttpConfig, RabbitmqConfig>
      options;

  // Those that the sink has been given, also the empty ones.
  std::vector<Secret*> secrets() {
    std::vector<Secret*> all;
    if (auto* redis = std::get_if<RedisConfig>(&options)) all = {&redis->url, &redis->password};
    if (auto* rabbitmq = std::get_if<RabbitmqConfig>(&options)) all = {&rabbitmq->url};
    if (auto* http = std::get_if<HttpConfig>(&options)) {
      for (Secret& secret : http->secrets) all.push_back(&secret);
      for (auto& header : http->headers) all.push_back(&header.second);
    }
    return all;
  }

  // Says where the events come from, to the templates of a sink that has some.
  void name_origin(const Origin& origin) {
    if (auto* redis = std::get_if<RedisConfig>(&options)) redis->stream.origin = origin;
    if (auto* rabbitmq = std::get_if<RabbitmqConfig>(&options)) {
      rabbitmq->routing_key.origin = origin;
    }
  }
};

}  // namespace walspout
