// Fills a structure from a mapping, by a table of keys.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/keys.h"
#include "config/yaml.h"

namespace walspout {

// Reports problems to the map. Leaves lists of sections without `inner` to the caller. Returns the
// keys with good values, and the sections that are present.
std::set<std::string> load(YamlMap& map, const Section& section, void* target);

// Reports a rule's problem, if there is one.
void report(YamlMap& map, const std::optional<KeyProblem>& problem);

// Accepts all keys of a table and reads none: for a section whose type is unknown.
void accept_keys(YamlMap& map, const Section& section);

}  // namespace walspout
