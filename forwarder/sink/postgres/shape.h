// A table of the target as a table of the source fills it: which columns, which key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "postgres/connection.h"
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
  std::string name;  // in documents and in the target
  std::string type;  // the target's, as SQL has it
  bool in_key = false;
  std::string equal{};  // operator that compares keys, as SQL has it
};

struct Shape {
  PostgresName target;
  std::string quoted;                // the target's name
  std::vector<ShapeColumn> columns;  // those that the source fills
  bool keyed = false;
  bool exact_keys = false;  // keys that are equal for the target have the same bytes in documents
  bool has_triggers = false;
};

// What may be done to the target so that it fits.
struct ShapeChanges {
  bool create_table = false;
  bool add_columns = false;
};

// Looks into the target's catalogs. Error: the table does not fit; says which statement changes
// that. `keyed`: rows are looked for by their key.
[[nodiscard]] Result<Shape> load_shape(Connection& connection, const Table& source,
                                       const PostgresName& target, bool keyed, ShapeChanges changes,
                                       TimePoint deadline);

// CREATE TABLE for a table like the source's.
std::string create_table_statement(const Table& source, const PostgresName& target);

}  // namespace walspout
