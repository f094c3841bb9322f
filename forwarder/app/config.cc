#include "app/config.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include "app/yaml.h"

namespace walspout {

namespace {

constexpr uint64_t kMaxMemory = uint64_t{1} << 40;
constexpr size_t kMaxSlotName = 63;

bool is_name(std::string_view text, bool upper) {
  return !text.empty() && text.size() <= kMaxSlotName &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                  (upper && ((c >= 'A' && c <= 'Z') || c == '-' || c == '.'));
         });
}

constexpr size_t kMaxPublicationName = 63;

std::string wrong_publication(const std::string& name) {
  if (name.empty()) return "has an empty name. For every table leave \"publications\" out";
  if (name.size() <= kMaxPublicationName) return "";
  return "has a name of more than 63 bytes, and there is no such publication";
}

void read_source(YamlMap& map, SourceConfig& source) {
  map.require("dsn");
  map.require("slot");
  map.secret("dsn", source.dsn);
  map.text("slot", source.slot);
  map.texts("publications", source.publications, wrong_publication);
  map.flag("messages", source.messages);
  map.texts("message_prefixes", source.message_prefixes);
  if (auto origin = map.choice("origin", {"any", "none"})) source.origin = *origin ? "none" : "any";
  map.texts("omit", source.omit, {"id", "op", "schema", "table", "ts", "xid", "origin"});
  map.size("batch_bytes", source.batch_bytes, 1, 16u << 20);
  map.size("max_value_bytes", source.max_value_bytes, 0, 1u << 30);
  map.flag("user_casts", source.user_casts);
  map.flag("create_slot", source.create_slot);
  map.flag("failover", source.failover);
  if (map.has("slot") && !is_name(source.slot, false)) {
    map.problem("slot", "\"slot\" must be up to 63 lower case letters, digits and underscores");
  }
}

// A template, or a mapping with one for each table and one for all others.
void read_route(YamlMap& map, const std::string& key, Route& route) {
  if (map.is_map(key)) {
    route.fallback.reset();
    map.map(key, [&](YamlMap& inner) {
      inner.text("fallback", route.fallback);
      inner.dictionary("tables", [&](const std::string& table, const YAML::Node& value) {
        if (auto text = inner.expand(value, table)) route.tables[table] = *text;
      });
      if (!inner.has("fallback") && !inner.has("tables")) {
        inner.problem("\"" + key + "\" needs \"tables\" or \"fallback\"");
      }
    });
  } else {
    map.text(key, route.fallback);
  }
  if (auto unmapped = map.choice("unmapped", {"error", "drop"})) {
    route.unmapped = *unmapped ? Unmapped::kDrop : Unmapped::kError;
  }
}

void read_tls(YamlMap& map, TlsConfig& tls) {
  map.map("tls", [&](YamlMap& inner) {
    inner.text("ca_file", tls.ca_file);
    inner.text("cert_file", tls.cert_file);
    inner.text("key_file", tls.key_file);
    inner.flag("verify", tls.verify);
  });
}

RedisConfig read_redis(YamlMap& map) {
  RedisConfig redis;
  map.require("url");
  map.secret("url", redis.url);
  read_route(map, "stream", redis.stream);
  map.number("maxlen", redis.maxlen, 1, INT64_MAX);
  map.texts("fields", redis.fields, {"data", "id", "op", "schema", "table", "key"});
  map.text("username", redis.username);
  map.secret("password", redis.password);
  read_tls(map, redis.tls);
  map.number("pipeline", redis.pipeline, 1, 100'000);
  map.duration("connect_timeout", redis.connect_timeout);
  return redis;
}

HttpConfig read_http(YamlMap& map, Milliseconds deliver_timeout) {
  HttpConfig http;
  map.require("url");
  map.text("url", http.url);
  map.secrets("secret", http.secrets);
  map.dictionary("headers", [&](const std::string& name, const YAML::Node& value) {
    if (auto text = map.expand_secret(value, name)) http.headers.emplace_back(name, *text);
  });
  map.map("batch", [&](YamlMap& batch) {
    batch.number("events", http.batch_events, 1, 100'000);
    uint64_t bytes = http.batch_bytes;
    batch.size("bytes", bytes, 1, 1u << 30);
    http.batch_bytes = bytes;
  });
  map.number("lanes", http.lanes, 1, 256);
  map.flag("cloudevents", http.cloudevents);
  map.text("cloudevents_source", http.cloudevents_source);
  map.number("redirects", http.redirects, 0, 10);
  map.flag("http2", http.http2);
  read_tls(map, http.tls);
  map.duration("connect_timeout", http.connect_timeout);
  // A request that the deadline of its delivery cuts is sent again, although the receiver may have
  // taken it.
  http.timeout = std::min(http.timeout, deliver_timeout);
  map.duration("timeout", http.timeout);
  if (http.timeout > deliver_timeout) {
    map.problem("timeout",
                "\"timeout\" of a request is longer than \"deliver_timeout\", which would end the "
                "request: raise deliver_timeout, or lower timeout");
  }
  if (map.has("url") && !http.url.starts_with("http://") && !http.url.starts_with("https://")) {
    map.problem("url", "\"url\" must begin with http:// or https://");
  }
  return http;
}

RabbitmqConfig read_rabbitmq(YamlMap& map) {
  RabbitmqConfig rabbitmq;
  map.require("url");
  map.require("exchange");
  map.secret("url", rabbitmq.url);
  map.text("exchange", rabbitmq.exchange);
  const std::vector<std::string> kinds = {"direct", "topic", "fanout", "headers"};
  if (auto kind = map.choice("declare", kinds)) rabbitmq.declare = kinds[*kind];
  read_route(map, "routing_key", rabbitmq.routing_key);
  map.flag("persistent", rabbitmq.persistent);
  map.flag("mandatory", rabbitmq.mandatory);
  map.number("unconfirmed", rabbitmq.unconfirmed, 1, 65'535);
  Milliseconds heartbeat = rabbitmq.heartbeat;
  map.duration("heartbeat", heartbeat);
  rabbitmq.heartbeat = std::chrono::ceil<std::chrono::seconds>(heartbeat);
  read_tls(map, rabbitmq.tls);
  map.duration("connect_timeout", rabbitmq.connect_timeout);
  return rabbitmq;
}

FileConfig read_file(YamlMap& map) {
  FileConfig file;
  map.require("path");
  map.text("path", file.path);
  map.flag("fsync", file.fsync);
  return file;
}

SinkConfig read_sink(YamlMap& map) {
  SinkConfig sink;
  const std::vector<std::string> types = {"redis", "http", "rabbitmq", "file", "stdout", "null"};
  map.require("type");
  auto type = map.choice("type", types);
  sink.name = type ? types[*type] : "";
  map.text("name", sink.name);
  map.duration("deliver_timeout", sink.deliver_timeout);
  if (!type) {
    // Its other keys cannot be judged.
    for (const char* key : {"url", "stream", "maxlen", "fields", "username", "password", "tls",
                            "pipeline", "connect_timeout", "secret", "headers", "batch", "lanes",
                            "timeout", "exchange", "routing_key", "path", "unmapped"}) {
      map.has(key);
    }
    return sink;
  }
  switch (*type) {
    case 0:
      sink.options = read_redis(map);
      break;
    case 1:
      sink.options = read_http(map, sink.deliver_timeout);
      break;
    case 2:
      sink.options = read_rabbitmq(map);
      break;
    case 3:
      sink.options = read_file(map);
      break;
    case 4:
      sink.options = StdoutConfig{};
      break;
    default:
      sink.options = NullConfig{};
  }
  if (!is_name(sink.name, true)) {
    map.problem("name", "\"name\" must be up to 63 letters, digits and any of _ - .");
  }
  return sink;
}

PipelineConfig read_pipeline(YamlMap& map) {
  PipelineConfig pipeline;
  map.require("name");
  map.require("source");
  map.require("sinks");
  map.text("name", pipeline.name);
  if (map.has("name") && !is_name(pipeline.name, true)) {
    map.problem("name", "\"name\" must be up to 63 letters, digits and any of _ - .");
  }
  map.map("source", [&](YamlMap& inner) { read_source(inner, pipeline.source); });
  std::set<std::string> names;
  map.maps("sinks", [&](YamlMap& inner) {
    pipeline.sinks.push_back(read_sink(inner));
    const std::string& name = pipeline.sinks.back().name;
    if (!name.empty() && !names.insert(name).second) {
      inner.problem("there are two sinks \"" + name + "\": give each a \"name\" of its own");
    }
  });
  map.size("memory", pipeline.memory, 1u << 20, kMaxMemory);
  for (const SinkConfig& sink : pipeline.sinks) {
    const auto* http = std::get_if<HttpConfig>(&sink.options);
    if (!http || http->batch_bytes <= pipeline.memory) continue;
    map.problem("sinks", "\"bytes\" of the batch of sink \"" + sink.name +
                             "\" is more than \"memory\", which bounds what there is to send: "
                             "raise memory, or lower bytes");
  }
  map.map("retry", [&](YamlMap& inner) {
    inner.duration("initial", pipeline.retry.initial);
    inner.duration("max", pipeline.retry.max);
    if (pipeline.retry.max < pipeline.retry.initial) {
      inner.problem("\"max\" must not be less than \"initial\"");
    }
  });
  map.map("dead_letter", [&](YamlMap& inner) {
    pipeline.dead_letter.emplace();
    inner.require("path");
    inner.number("after", pipeline.dead_letter->after, 1, INT64_MAX);
    inner.text("path", pipeline.dead_letter->path);
  });
  return pipeline;
}

void read_status(YamlMap& map, StatusConfig& status) {
  std::string listen;
  map.text("listen", listen);
  if (!map.has("listen")) return;
  size_t colon = listen.rfind(':');
  std::string port = colon == std::string::npos ? "" : listen.substr(colon + 1);
  bool good = !port.empty() && port.size() <= 5 &&
              std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!good || colon == 0 || std::stoi(port) > 65'535) {
    map.problem("listen", "\"listen\" must be ADDRESS:PORT, such as 127.0.0.1:9187");
    return;
  }
  status.host = listen.substr(0, colon);
  if (status.host.front() == '[' && status.host.back() == ']') {
    status.host = status.host.substr(1, status.host.size() - 2);
  }
  status.port = std::stoi(port);
}

void read_log(YamlMap& map, LogConfig& log) {
  constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn,
                                  LogLevel::kError};
  if (auto level = map.choice("level", {"debug", "info", "warn", "error"})) {
    log.level = kLevels[*level];
  }
  if (auto format = map.choice("format", {"text", "json"})) log.json = *format == 1;
}

void read_root(YamlMap& map, Config& config) {
  map.require("pipelines");
  std::set<std::string> names;
  std::set<std::pair<std::string, std::string>> slots;
  map.maps("pipelines", [&](YamlMap& inner) {
    config.pipelines.push_back(read_pipeline(inner));
    const PipelineConfig& pipeline = config.pipelines.back();
    if (!pipeline.name.empty() && !names.insert(pipeline.name).second) {
      inner.problem("name", "there are two pipelines \"" + pipeline.name + "\"");
    }
    if (!pipeline.source.slot.empty() &&
        !slots.insert({pipeline.source.dsn.reveal(), pipeline.source.slot}).second) {
      inner.problem("source", "two pipelines read slot \"" + pipeline.source.slot +
                                  "\": put all of its sinks into one");
    }
  });
  map.map("status", [&](YamlMap& inner) {
    config.status.emplace();
    read_status(inner, *config.status);
  });
  map.map("log", [&](YamlMap& inner) { read_log(inner, config.log); });
  map.text("state", config.state);
  map.duration("drain", config.drain);
}

}  // namespace

LoadedConfig parse_config(const std::string& text) {
  LoadedConfig loaded;
  // The one place that meets the library's exceptions.
  try {
    YAML::Node root = YAML::Load(text);
    if (!root.IsDefined() || root.IsNull()) {
      loaded.problems.push_back({0, 0, "the file is empty"});
      return loaded;
    }
    YamlMap map(root, "the configuration", loaded.problems);
    read_root(map, loaded.config);
    map.finish();
  } catch (const YAML::Exception& error) {
    loaded.problems.push_back(
        {error.mark.line + 1, error.mark.column + 1, "not valid YAML: " + error.msg});
  }
  std::stable_sort(loaded.problems.begin(), loaded.problems.end(),
                   [](const ConfigProblem& a, const ConfigProblem& b) { return a.line < b.line; });
  return loaded;
}

LoadedConfig load_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (file) text << file.rdbuf();
  if (!file) {
    LoadedConfig loaded;
    loaded.problems.push_back({0, 0, "could not read the file"});
    return loaded;
  }
  LoadedConfig loaded = parse_config(text.str());
  return loaded;
}

std::string describe(const std::string& path, const std::vector<ConfigProblem>& problems) {
  std::string text;
  for (const ConfigProblem& problem : problems) {
    text += path + ":";
    if (problem.line > 0) {
      text += std::to_string(problem.line) + ":" + std::to_string(problem.column) + ":";
    }
    text += " " + problem.what + "\n";
  }
  return text;
}

}  // namespace walspout
