#include "config/config.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "config/keys.h"
#include "config/loader.h"
#include "config/yaml.h"
#include "config/yaml_text.h"

namespace walspout {

namespace {

constexpr std::string_view kStandardInput = "-";

// The type decides which keys exist. Without a type, accept the keys of all types.
void accept_all_keys(YamlMap& map) {
  for (const SinkType& type : sink_types()) accept_keys(map, type.keys);
}

SinkConfig read_sink(YamlMap& map) {
  const size_t before = map.problem_count();
  TextList types;
  for (const SinkType& type : sink_types()) types.push_back(type.name);
  map.require("type");
  const auto chosen = map.choice("type", types);
  SinkConfig sink = chosen ? sink_config(types[*chosen]) : SinkConfig();
  const size_t problems = map.problem_count();
  load(map, sink_keys(), &sink);
  if (sink.only && map.problem_count() == problems && sink.only->tables.empty() &&
      sink.only->ops.empty()) {
    map.problem("only", "\"only\" needs \"tables\" or \"ops\"");
  }
  if (!sink.type) {
    accept_all_keys(map);
    return sink;
  }
  const std::set<std::string> good = load(map, sink.type->keys, sink.type->target(sink.options));
  const auto has = [&good](const std::string& key) { return good.contains(key); };
  if (sink.type->rule) report(map, sink.type->rule(sink, has));
  // Problems that only the sink's code can find, from the file alone.
  if (map.problem_count() > before) return sink;
  const auto made = make_sink(sink);
  if (!made) map.problem("sink \"" + sink.name + "\": " + made.error().message());
  return sink;
}

// Where a sink sends schemas, if its source has any.
void place_schemas(YamlMap& map, const SourceConfig& source, SinkConfig& sink) {
  Route* route = sink.type ? route_of(sink) : nullptr;
  if (route == nullptr) return;
  if (route->schemas && !source.schemas && !source.kafka) {
    map.problem("sinks", "\"schemas_to\" of sink \"" + sink.name +
                             "\" has no effect while the source sends no schemas: set \"schemas: "
                             "true\" there, or leave the key out");
  }
  if (route->schemas || !source.schemas || route->initial_schemas.empty()) return;
  route->schemas = route->initial_schemas;
  const size_t problems = map.problem_count();
  if (problems > 0) return;
  if (const auto made = make_sink(sink); !made) {
    map.problem("sink \"" + sink.name + "\": " + made.error().message());
  }
}

PipelineConfig read_pipeline(YamlMap& map) {
  PipelineConfig pipeline;
  pipeline.given = map.given();
  load(map, pipeline_keys(), &pipeline);
  std::set<std::string> names;
  map.maps("sinks", [&](YamlMap& inner) {
    pipeline.sinks.push_back(read_sink(inner));
    const std::string& name = pipeline.sinks.back().name;
    if (!name.empty() && !names.insert(name).second) {
      inner.problem("there are two sinks \"" + name + "\": give each a \"name\" of its own");
    }
  });
  for (SinkConfig& sink : pipeline.sinks) place_schemas(map, pipeline.source, sink);
  const auto& kafka = pipeline.source.kafka;
  if (kafka && kafka->foreign == KafkaSourceConfig::Foreign::kDeadLetter && !pipeline.dead_letter) {
    map.problem("source",
                "\"foreign: dead_letter\" needs the file of \"dead_letter\" in the "
                "pipeline");
  }
  for (const SinkConfig& sink : pipeline.sinks) {
    if (!sink.type || !sink.type->reads_documents || pipeline.source.has_envelope()) continue;
    const std::string what =
        sink.type->reads_documents(sink.options, pipeline.source.splits_moves());
    if (what.empty()) continue;
    map.problem("sinks", what + " of sink \"" + sink.name +
                             "\" needs the documents of dialect "
                             "\"walspout\", and \"dialect\" of the source is \"" +
                             pipeline.source.dialect + "\"");
  }
  for (const SinkConfig& sink : pipeline.sinks) {
    if (!sink.type || !sink.type->batch_bytes) continue;
    if (sink.type->batch_bytes(sink.options) <= pipeline.memory) continue;
    map.problem("sinks", "\"bytes\" of the batch of sink \"" + sink.name +
                             "\" is more than \"memory\", which limits the events to send: "
                             "raise memory, or lower bytes");
  }
  return pipeline;
}

void read_root(YamlMap& map, Config& config) {
  load(map, root_keys(), &config);
  std::set<std::string> names;
  std::set<std::pair<std::string, std::string>> slots;
  std::set<std::pair<TextList, std::string>> groups;
  map.maps("pipelines", [&](YamlMap& inner) {
    config.pipelines.push_back(read_pipeline(inner));
    const PipelineConfig& pipeline = config.pipelines.back();
    if (!pipeline.name.empty() && !names.insert(pipeline.name).second) {
      inner.problem("name", "there are two pipelines \"" + pipeline.name + "\"");
    }
    const auto& kafka = pipeline.source.kafka;
    if (kafka && !kafka->group.empty() && !groups.insert({kafka->brokers, kafka->group}).second) {
      inner.problem("source", "two pipelines are members of group \"" + kafka->group +
                                  "\", and each would get a part of the events: put all sinks "
                                  "into one pipeline, or give each pipeline a group of its own");
    }
    if (!pipeline.source.slot.empty() &&
        !slots.insert({pipeline.source.dsn.reveal(), pipeline.source.slot}).second) {
      inner.problem("source", "two pipelines read slot \"" + pipeline.source.slot +
                                  "\": put all of its sinks into one");
    }
  });
}

}  // namespace

TapLevel StatusConfig::tap_level() const {
  const bool local = host == "localhost" || host == "::1" || host.starts_with("127.");
  return tap.value_or(local ? TapLevel::kKeys : TapLevel::kOff);
}

// An empty host, and a port that is not a number, do not parse.
bool StatusConfig::parse() {
  const size_t colon = listen.rfind(':');
  const std::string digits = colon == std::string::npos ? "" : listen.substr(colon + 1);
  const bool number =
      !digits.empty() && digits.size() <= 5 &&
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!number || colon == 0 || std::stoi(digits) > 65'535) return false;
  host = listen.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  port = std::stoi(digits);
  return true;
}

namespace {

// The document of a file. Reports a problem and returns nothing if the file has no document, or
// several. Throws what the library throws.
std::optional<YAML::Node> only_document(const std::string& text,
                                        std::vector<ConfigProblem>& problems) {
  std::optional<YAML::Node> root;
  for (const YAML::Node& document : load_documents(text)) {
    if (!document.IsDefined() || document.IsNull()) continue;
    if (root) {
      const bool is_marked = text.starts_with("---") || text.find("\n---") != std::string::npos;
      problems.push_back({document.Mark().line + 1, document.Mark().column + 1,
                          is_marked ? "one file has one configuration. A second document begins "
                                      "here: remove the \"---\" before it, or use another file"
                                    : "not valid YAML: the configuration ends before this"});
      return std::nullopt;
    }
    root = document;
  }
  if (!root) problems.push_back({0, 0, "the file is empty"});
  return root;
}

LoadedConfig only_problem(ConfigProblem problem) {
  LoadedConfig loaded;
  loaded.problems.push_back(std::move(problem));
  return loaded;
}

}  // namespace

LoadedConfig parse_config(const std::string& text) {
  if (auto wrong = wrong_byte(text)) return only_problem(std::move(*wrong));
  LoadedConfig loaded;
  // The only place where the library's exceptions are caught.
  try {
    const std::optional<YAML::Node> root = only_document(text, loaded.problems);
    if (!root) return loaded;
    YamlMap map(*root, "the configuration", loaded.problems);
    read_root(map, loaded.config);
    map.finish();
  } catch (const YAML::Exception& error) {
    loaded.problems.push_back(explain(text, error.mark.line + 1, error.mark.column + 1, error.msg));
  }
  std::stable_sort(loaded.problems.begin(), loaded.problems.end(),
                   [](const ConfigProblem& a, const ConfigProblem& b) { return a.line < b.line; });
  // A mapping that is merged into several ones reports its problem in each of them.
  const auto is_same = [](const ConfigProblem& a, const ConfigProblem& b) {
    return a.line == b.line && a.column == b.column && a.what == b.what;
  };
  std::vector<ConfigProblem> once;
  for (ConfigProblem& problem : loaded.problems) {
    const bool is_said = std::any_of(once.begin(), once.end(), [&](const ConfigProblem& said) {
      return problem.line > 0 && is_same(said, problem);
    });
    if (!is_said) once.push_back(std::move(problem));
  }
  loaded.problems = std::move(once);
  return loaded;
}

LoadedConfig load_config(const std::string& path) {
  std::error_code ignored;
  if (path != kStandardInput && std::filesystem::is_directory(path, ignored)) {
    return only_problem({0, 0, "this is a directory: name the file in it"});
  }
  errno = 0;
  std::ifstream file;
  if (path != kStandardInput) file.open(path, std::ios::binary);
  std::istream& in = path == kStandardInput ? std::cin : file;
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in || in.bad()) {
    return only_problem({0, 0, "could not read the file: " + std::string(std::strerror(errno))});
  }
  LoadedConfig loaded = parse_config(text);
  loaded.text = std::move(text);
  return loaded;
}

std::string describe(const std::string& path, const LoadedConfig& loaded) {
  const std::string name = path == kStandardInput ? "standard input" : path;
  std::string text;
  for (const ConfigProblem& problem : loaded.problems) {
    text += name + ":";
    if (problem.line > 0) {
      text += std::to_string(problem.line) + ":" + std::to_string(problem.column) + ":";
    }
    text += " " + problem.what + "\n" + quoted_key(loaded.text, problem.line, problem.column);
  }
  return text;
}

}  // namespace walspout
