#include "sink/sinks.h"

#include "base/folder.h"
#include "sink/renewed.h"
#include "sink/types.h"

namespace walspout {

const std::vector<SinkType>& sink_types() {
  static const std::vector<SinkType> types = [] {
    std::vector<SinkType> made;
    for (SinkType (*type)() : kSinkTypes) made.push_back(type());
    return made;
  }();
  return types;
}

SinkConfig sink_config(const std::string& type) {
  SinkConfig config;
  for (const SinkType& candidate : sink_types()) {
    if (candidate.name != type) continue;
    config.name = type;
    config.type = &candidate;
    config.options = candidate.options;
  }
  return config;
}

Result<std::unique_ptr<Sink>> make_sink(const SinkConfig& config) {
  const auto make = [](const SinkConfig& from) { return from.type->make(from.options); };
  auto sink = make(config);
  if (!sink || !RenewedSink::is_needed(config)) return sink;
  return std::make_unique<RenewedSink>(config, std::move(*sink), make);
}

Route* route_of(SinkConfig& config) {
  return config.type->route ? config.type->route(config.options) : nullptr;
}

std::optional<OnlyConfig> only_of(SinkConfig config) {
  const Route* route = route_of(config);
  if (route == nullptr || !route->schemas) return config.only;
  OnlyConfig only = config.only.value_or(OnlyConfig{});
  only.schemas_once = true;
  return only;
}

Origin* origin_of(SinkConfig& config) {
  if (Route* route = route_of(config)) return &route->origin;
  return config.type->origin ? config.type->origin(config.options) : nullptr;
}

std::vector<Secret*> secrets_of(SinkConfig& config) {
  std::vector<Secret*> all;
  for (const Key& key : config.type->keys.keys) {
    if (!key.secrets) continue;
    for (Secret* secret : key.secrets(config.type->target(config.options))) all.push_back(secret);
  }
  return all;
}

void remember_in(SinkConfig& config, const std::string& state, const std::string& pipeline) {
  if (!config.type->memory) return;
  *config.type->memory(config.options) =
      state + "/" + pipeline + "@" + config.name + config.type->memory_suffix;
}

std::string memory_of(SinkConfig config) {
  return config.type->memory ? *config.type->memory(config.options) : std::string();
}

std::string file_of(const SinkConfig& config) {
  return config.type->file ? resolved(config.type->file(config.options)) : std::string();
}

bool needs_id(const SinkConfig& config) {
  return config.type->needs_id && config.type->needs_id(config.options);
}

std::optional<SharedPlace> shared_place(const SinkConfig& a, const SinkConfig& b) {
  const std::string file = file_of(a);
  if (!file.empty() && file == file_of(b)) return SharedPlace{"file \"" + file + "\"", "path"};
  if (a.type != b.type || !a.type->shared) return std::nullopt;
  return a.type->shared(a.options, b.options);
}

}  // namespace walspout
