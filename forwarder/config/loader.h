// Fills a structure from a mapping, as a table of keys says.
#pragma once

#include "base/keys.h"
#include "config/yaml.h"

namespace walspout {

// What is wrong is noted in the map. Sections that are lists are left to the caller.
void load(YamlMap& map, const Section& section, void* target);

// The same in two parts, for a structure with keys of several tables: each key, then the rules.
void load_keys(YamlMap& map, const Section& section, void* target);
void load_rules(YamlMap& map, const Section& section, void* target);

// Takes all keys of a table for known, and reads none: what they belong to is not known.
void accept_keys(YamlMap& map, const Section& section);

}  // namespace walspout
