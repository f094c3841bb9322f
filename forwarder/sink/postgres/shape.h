// How a table of the source fills a table of the target: columns and key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "postgres/connection.h"
#include "sink/postgres/config.h"
#include "sink/postgres/reading.h"
#include "stream/event.h"

namespace walspout {

struct PostgresName {
  std::string schema;
  std::string table;

  // "schema"."table"
  std::string quoted() const;
  // For people.
  std::string text() const { return schema + "." + table; }
  auto operator<=>(const PostgresName&) const = default;

  // Parses a template's result: a dot separates, and %2E and %25 stand for characters of a name.
  [[nodiscard]] static Result<PostgresName> parse(std::string_view text);
};

struct ShapeColumn {
  std::string source;  // name in documents; empty: the column has a constant
  std::string name;    // in the target
  std::string type;    // the target's, as in SQL
  Reading reading{};   // how to read the value in a document
  bool in_key = false;
  std::string equal{};        // operator that compares keys, as in SQL
  std::string constant{};     // as in SQL
  bool begins_index = false;  // the index of the key begins with it, and it is no array

  bool is_constant() const { return source.empty(); }
};

struct Shape {
  PostgresName target;
  std::string quoted;                // the target's name
  std::vector<ShapeColumn> columns;  // those that the source fills
  bool keyed = false;
  bool exact_keys = false;  // keys that the target calls equal have equal text
  bool has_triggers = false;
  bool has_reader = false;                 // the target has the extension's function (statements.h)
  std::optional<HistoryConfig> history{};  // set: a row for each version of a source's row
  std::string deleted_at{};                // a column of this name gets the time of a delete
};

// What the sink may change in the target so that it fits.
struct ShapeChanges {
  bool create_table = false;
  bool add_columns = false;
};

// Reads the target's catalogs. Error: the table does not fit; names the statement that changes
// that.
[[nodiscard]] Result<Shape> load_shape(Connection& connection, const Table& source,
                                       const PostgresName& target, const RowsConfig& rows,
                                       ShapeChanges changes, TimePoint deadline);

}  // namespace walspout
