// Fills a structure from a mapping, as a table of keys says.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/keys.h"
#include "config/yaml.h"

namespace walspout {

// What is wrong is noted in the map. Lists of sections without `inner` are left to the caller.
// Returns the keys whose values were good, and the sections that are there.
std::set<std::string> load(YamlMap& map, const Section& section, void* target);

// Notes what a rule has found, if anything.
void report(YamlMap& map, const std::optional<KeyProblem>& problem);

// Takes all keys of a table for known, and reads none: what they belong to is not known.
void accept_keys(YamlMap& map, const Section& section);

}  // namespace walspout
