// The configuration as all commands use it: what the file says, and the problems that show only in
// the whole of it.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/folder.h"
#include "command/commands.h"
#include "postgres/connection.h"
#include "postgres/place.h"
#include "sink/sinks.h"
#include "source/claim.h"
#include "source/kafka/consumer.h"

namespace walspout {

namespace {

// The end of a message, "can both write ...": the resource that both sinks would write although it
// takes events of one sink only, and the remedy. Empty: no such resource is known.
std::string conflict(const SinkConfig& a, const SinkConfig& b, bool one_pipeline) {
  const auto shared = shared_place(a, b);
  if (!shared) return "";
  return "can both write " + shared->what + ", which takes events from one of them only: " +
         (one_pipeline || !shared->has_templates
              ? "give each sink a `" + shared->key + "` of its own"
              : "put {pipeline} or {database} into `" + shared->key + "`");
}

// Tells the sinks where their events come from, and finds sinks that write the same destination.
void find_shared(Config& config, std::vector<ConfigProblem>& problems) {
  std::vector<std::pair<const PipelineConfig*, const SinkConfig*>> sinks;
  for (PipelineConfig& pipeline : config.pipelines) {
    const auto& kafka = pipeline.source.kafka;
    const Origin origin{pipeline.name,
                        kafka ? kafka->group : Place::of(pipeline.source.dsn).database};
    for (SinkConfig& sink : pipeline.sinks) {
      if (Origin* known = origin_of(sink)) *known = origin;
      sinks.emplace_back(&pipeline, &sink);
    }
  }
  for (const PipelineConfig& pipeline : config.pipelines) {
    if (!pipeline.dead_letter) continue;
    const std::string letters = resolved(pipeline.dead_letter->path);
    for (const auto& [owner, sink] : sinks) {
      if (file_of(*sink) != letters) continue;
      problems.push_back({0, 0,
                          "sink \"" + sink->name + "\" of pipeline \"" + owner->name +
                              "\" writes the dead letter file of pipeline \"" + pipeline.name +
                              "\", " + letters + ": give each a `path` of its own"});
    }
  }
  for (size_t i = 0; i < sinks.size(); i++) {
    for (size_t j = i + 1; j < sinks.size(); j++) {
      const std::string what =
          conflict(*sinks[i].second, *sinks[j].second, sinks[i].first == sinks[j].first);
      if (what.empty()) continue;
      const auto name = [&](size_t k) {
        return "sink \"" + sinks[k].second->name + "\" of pipeline \"" + sinks[k].first->name +
               "\"";
      };
      problems.push_back({0, 0, name(i) + " and " + name(j) + " " + what});
    }
  }
}

// Identical texts were found when the file was read.
void find_shared_slots(const Config& config, std::vector<ConfigProblem>& problems) {
  std::vector<Place> places;
  for (const PipelineConfig& pipeline : config.pipelines) {
    const size_t i = places.size();
    places.push_back(Place::of(pipeline.source.dsn));
    if (pipeline.source.kafka) continue;
    for (size_t j = 0; j < i; j++) {
      const PipelineConfig& other = config.pipelines[j];
      if (other.source.slot != pipeline.source.slot || other.source.kafka) continue;
      if (!places[i].is_server_of(places[j])) continue;
      problems.push_back({0, 0,
                          "pipelines \"" + other.name + "\" and \"" + pipeline.name +
                              "\" read slot \"" + pipeline.source.slot +
                              "\" of one server: put all of its sinks into one"});
    }
  }
}

}  // namespace

LoadedConfig load_whole_configuration(const std::string& path,
                                      const std::optional<std::string>& kept) {
  LoadedConfig loaded = load_config(path);
  if (loaded.problems.empty()) {
    for (const PipelineConfig& pipeline : loaded.config.pipelines) {
      if (pipeline.source.kafka) {
        if (auto good = kafka_source_options(*pipeline.source.kafka); !good) {
          loaded.problems.push_back(
              {0, 0, "pipeline \"" + pipeline.name + "\": source: " + good.error().what});
        }
        continue;
      }
      Result<void> good = Connection::check_dsn(pipeline.source.dsn);
      if (!good) {
        loaded.problems.push_back(
            {0, 0, "pipeline \"" + pipeline.name + "\": dsn: " + good.error().what});
      }
    }
  }
  if (loaded.problems.empty()) {
    find_shared_slots(loaded.config, loaded.problems);
    find_shared(loaded.config, loaded.problems);
  }
  if (!loaded.problems.empty()) return loaded;
  // systemd names the directories that it created for the service; the first one counts.
  const char* given = std::getenv("STATE_DIRECTORY");
  std::string& state = loaded.config.state;
  if (state.empty() && given) state = std::string(given, std::strcspn(given, ":"));
  const std::string& used = kept.value_or(state);
  for (PipelineConfig& pipeline : loaded.config.pipelines) {
    pipeline.state = used;
    if (loaded.config.status) pipeline.tap = loaded.config.status->tap_level();
    if (used.empty()) continue;
    for (SinkConfig& sink : pipeline.sinks) remember_in(sink, used, pipeline.name);
  }
  return loaded;
}

std::optional<Config> configuration(const std::string& path) {
  LoadedConfig loaded = load_whole_configuration(path);
  if (loaded.problems.empty()) return std::move(loaded.config);
  std::fputs(describe(path, loaded).c_str(), stderr);
  return std::nullopt;
}

}  // namespace walspout
