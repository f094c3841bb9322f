// Rules for columns, and constants: from the configuration to the plugin's options.
//
// Pure.
#pragma once

#include <string>

#include "base/keys.h"

namespace walspout {

// What is wrong with the rules of a configuration, as a message; empty: nothing.
std::string column_rules_problem(const TextMaps& rules);
std::string constants_problem(const TextMap& constants);

// The value of the plugin's option, for valid rules.
std::string column_rules_option(const TextMaps& rules);
std::string constants_option(const TextMap& constants);

// The effect of a rule on a column's name and on its use in the key.
struct ColumnChange {
  bool suits_key = true;  // the column is hashed, renamed, or unchanged
  bool omits = false;
  bool hashes = false;
  std::string name;  // the new name; empty: the column keeps its own
};
ColumnChange column_change(const std::string& change);

// Whether a pattern matches a column's name. The syntax is that of table patterns.
bool column_matches(const std::string& pattern, const std::string& column);

}  // namespace walspout
