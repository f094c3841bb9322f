#include "command/reload.h"

#include <algorithm>

namespace walspout {

namespace {

constexpr size_t kMostNamed = 20;

// Whether `key` is below `outer`. If a list became shorter, its length already counts as changed.
bool is_inside(const std::string& key, const std::string& outer) {
  return key.size() > outer.size() && key.starts_with(outer) &&
         (key[outer.size()] == '.' || key[outer.size()] == '[');
}

}  // namespace

std::string changed_keys(const PipelineConfig& now, const PipelineConfig& next) {
  std::vector<std::string> changed;
  const auto note = [&changed](const std::string& key) {
    if (!changed.empty() && is_inside(key, changed.back())) return;
    changed.push_back(key);
  };
  auto a = now.given.begin();
  auto b = next.given.begin();
  while (a != now.given.end() || b != next.given.end()) {
    if (b == next.given.end() || (a != now.given.end() && a->first < b->first)) {
      note((a++)->first);
    } else if (a == now.given.end() || b->first < a->first) {
      note((b++)->first);
    } else {
      if (a->second != b->second) note(a->first);
      ++a, ++b;
    }
  }
  // The text of the key is `file:PATH` before and after. Other secrets are read from their files
  // again where they are used.
  const std::string hash_key = "source.hash_key";
  if (now.source.hash_key.reveal() != next.source.hash_key.reveal() &&
      std::find(changed.begin(), changed.end(), hash_key) == changed.end()) {
    changed.push_back(hash_key);
  }
  std::string names;
  for (size_t i = 0; i < std::min(changed.size(), kMostNamed); i++) {
    names += (i > 0 ? ", " : "") + changed[i];
  }
  if (changed.size() > kMostNamed) {
    names += " and " + std::to_string(changed.size() - kMostNamed) + " more";
  }
  return names;
}

std::vector<std::string> restart_keys(const Config& now, const Config& next) {
  std::vector<std::string> keys;
  if (now.status.has_value() != next.status.has_value()) {
    keys.emplace_back("status");
  } else if (now.status && now.status->listen != next.status->listen) {
    keys.emplace_back("status.listen");
  }
  if (now.log.json != next.log.json) keys.emplace_back("log.format");
  if (now.state != next.state) keys.emplace_back("state");
  return keys;
}

const PipelineConfig* find_pipeline(const Config& config, const std::string& name) {
  for (const PipelineConfig& pipeline : config.pipelines) {
    if (pipeline.name == name) return &pipeline;
  }
  return nullptr;
}

}  // namespace walspout
