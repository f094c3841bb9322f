// A table of the target as a table of the source fills it: which columns, which key.
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

  // Of what a template has made: a dot divides, and %2E and %25 stand for characters of a name.
  [[nodiscard]] static Result<PostgresName> parse(std::string_view text);
};

struct ShapeColumn {
  std::string source;  // name in documents; empty: the column has a constant
  std::string name;    // in the target
  std::string type;    // the target's, as SQL has it
  Reading reading{};   // of the value in a document
  bool in_key = false;
  std::string equal{};     // operator that compares keys, as SQL has it
  std::string constant{};  // as SQL has it

  bool is_constant() const { return source.empty(); }
};

struct Shape {
  PostgresName target;
  std::string quoted;                // the target's name
  std::vector<ShapeColumn> columns;  // those that the source fills
  bool keyed = false;
  bool exact_keys = false;  // keys that are equal for the target have the same bytes in documents
  bool has_triggers = false;
  bool has_reader = false;                 // the target has the extension's function (statements.h)
  std::optional<HistoryConfig> history{};  // a row of the source has a row for each version
  std::string deleted_at{};                // a column of this name gets the time of a delete
};

// What may be done to the target so that it fits.
struct ShapeChanges {
  bool create_table = false;
  bool add_columns = false;
};

// Looks into the target's catalogs. Error: the table does not fit; says which statement changes
// that.
[[nodiscard]] Result<Shape> load_shape(Connection& connection, const Table& source,
                                       const PostgresName& target, const RowsConfig& rows,
                                       ShapeChanges changes, TimePoint deadline);

}  // namespace walspout
