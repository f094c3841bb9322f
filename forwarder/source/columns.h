// Rules for columns, and constants, as the configuration has them, and the plugin's options that
// say the same.
//
// Pure.
#pragma once

#include <string>

#include "base/keys.h"

namespace walspout {

// What is wrong with the rules of a configuration, for a message; empty: nothing.
std::string column_rules_problem(const TextMaps& rules);
std::string constants_problem(const TextMap& constants);

// The value of the plugin's option for rules that are good.
std::string column_rules_option(const TextMaps& rules);
std::string constants_option(const TextMap& constants);

// What a rule makes of a column, as far as it matters for the key and for names.
struct ColumnChange {
  bool suits_key = true;  // the column is hashed, renamed, or as it is
  bool omits = false;
  bool hashes = false;
  std::string name;  // that the column gets; empty: its own
};
ColumnChange column_change(const std::string& change);

// Whether a pattern of columns, as table patterns are, matches a name.
bool column_matches(const std::string& pattern, const std::string& column);

}  // namespace walspout
