// What the source sends of a table: which rows, which columns with which names, and which key.
//
// Reads only catalogs, as a forwarder that reads the slot would see them now.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "postgres/connection.h"
#include "source/config.h"
#include "stream/event.h"

namespace walspout {

// A column as documents have it.
struct SentColumn {
  std::string column;    // name in the table; empty: a constant of the configuration
  std::string constant;  // the value of that constant
  std::string change;    // how the configuration changes the values; empty: not at all
};

struct SentTable {
  Table table;                      // names and columns of documents
  std::vector<SentColumn> columns;  // for each column of `table`
  std::vector<std::string> key;     // names in documents, in the order of the index; empty: no key
  std::string from;                 // for FROM, without an alias
  std::string filter;               // a condition in SQL; empty: all rows
  bool sends_updates = true;
  bool sends_deletes = true;
};

// `oid`: of a table that find_published() returned.
[[nodiscard]] Result<SentTable> look_at_sent(Connection& connection, const SourceConfig& config,
                                             const std::string& schema, const std::string& name,
                                             const std::string& oid, TimePoint deadline);

}  // namespace walspout
