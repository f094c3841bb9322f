// A table of the source and its copy, as the comparison needs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "compare/source_table.h"
#include "compare/statements.h"
#include "postgres/connection.h"
#include "sink/sinks.h"

namespace walspout {

// The type of a column, as format_type() prints it.
struct ValueType {
  std::string text;
  std::string base;         // the type, or a domain's base type; without modifiers
  bool is_builtin = false;  // so both servers know it
  std::string order;        // what its values are sorted by; empty: all servers sort them alike
  bool not_null = false;    // the column has no NULL
};

// The text of a source's value, and of a target's value. The two are the same if the sink counts
// the values as equal. Pure.
struct ValueTexts {
  std::string source;
  std::string target;
};
[[nodiscard]] ValueTexts value_texts(const std::string& source, const ValueType& source_type,
                                     const std::string& target, const ValueType& target_type,
                                     bool is_key);

struct TablePair {
  std::string source_name;  // for messages
  std::string target_name;
  std::string schema, table;         // in the source
  std::vector<std::string> key;      // names of its columns in the target; empty: no key
  std::vector<std::string> columns;  // likewise, of all compared columns
  std::vector<std::string> read;     // columns whose value is read as another type, for messages
  TableSide source;
  TableSide target;
  bool has_order = true;           // true: both servers sort the keys alike.
  bool finds_extra = true;         // true: a row that the source lacks is a difference.
  bool finds_changed = true;       // true: a row with other values is a difference.
  std::vector<std::string> notes;  // what is not compared, and why.
};

// How the two servers are compared.
struct Servers {
  bool portable = false;  // their own hashes differ
};
[[nodiscard]] Result<Servers> look_at_servers(Connection& source, Connection& target,
                                              TimePoint deadline);

[[nodiscard]] Result<TablePair> make_pair(Connection& source, Connection& target,
                                          const SentTable& sent, const CopiedTable& copied,
                                          const Servers& servers, TimePoint deadline);

}  // namespace walspout
