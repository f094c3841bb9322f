#include "sink/postgres/statements.h"

#include <functional>

namespace walspout {
namespace {

std::string name(std::string_view text) {
  return Connection::quote_name(text);
}

// Elements of such an array may be arrays themselves, which the server would take for dimensions.
bool is_array_of_json(const ShapeColumn& column) {
  return column.type == "json[]" || column.type == "jsonb[]";
}

// As json_to_recordset() is to read it.
std::string read_type(const ShapeColumn& column) {
  return is_array_of_json(column) ? "pg_catalog.json" : column.type;
}

// What it has read, as the target's column takes it.
std::string value(const ShapeColumn& column) {
  const std::string read = "s." + name(column.name);
  if (!is_array_of_json(column)) return read;
  const std::string element = column.type.substr(0, column.type.size() - 2);
  return "CASE WHEN " + read +
         " IS NOT NULL THEN ARRAY(SELECT NULLIF(e::pg_catalog.text, 'null')::pg_catalog." +
         element + " FROM pg_catalog.json_array_elements(" + read +
         ") WITH ORDINALITY AS x(e, n) ORDER BY n) END";
}

using Make = std::function<std::string(const ShapeColumn& column)>;

// What is made of the columns that are `wanted`, one behind the other.
std::string joined(const Shape& shape, const char* between,
                   const std::function<bool(const ShapeColumn&)>& wanted, const Make& make) {
  std::string all;
  for (const ShapeColumn& column : shape.columns) {
    if (wanted(column)) all += (all.empty() ? "" : between) + make(column);
  }
  return all;
}

bool any(const ShapeColumn& /*column*/) {
  return true;
}
bool is_key(const ShapeColumn& column) {
  return column.in_key;
}
bool is_no_key(const ShapeColumn& column) {
  return !column.in_key;
}

std::string names(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(shape, ", ", wanted, [](const ShapeColumn& column) { return name(column.name); });
}

std::string defined(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(shape, ", ", wanted, [](const ShapeColumn& column) {
    return name(column.name) + " " + read_type(column);
  });
}

// t."id" = s."id" AND …
std::string same_key(const Shape& shape, const std::string& one, const std::string& other) {
  return joined(shape, " AND ", is_key, [&](const ShapeColumn& column) {
    return one + "." + name(column.name) + " " + column.equal + " " + other + "." +
           name(column.name);
  });
}

// Of all rows with a key the statements set what is no key; a table may have nothing else.
bool (*settable(const Shape& shape))(const ShapeColumn&) {
  return names(shape, is_no_key).empty() ? is_key : is_no_key;
}

std::string sets(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(shape, ", ", wanted, [](const ShapeColumn& column) {
    return name(column.name) + " = " + value(column);
  });
}

std::string sets_excluded(const Shape& shape) {
  return joined(shape, ", ", is_no_key, [](const ShapeColumn& column) {
    return name(column.name) + " = excluded." + name(column.name);
  });
}

std::string patches(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(shape, ", ", wanted, [](const ShapeColumn& column) {
    const std::string is_named =
        " OPERATOR(pg_catalog.?) " + Connection::quote_literal(column.name);
    return name(column.name) + " = CASE WHEN (d.unchanged" + is_named + ") IS TRUE OR (d.elided" +
           is_named + ") IS TRUE THEN t." + name(column.name) + " ELSE s." + name(column.name) +
           " END";
  });
}

std::string insert(const Shape& shape) {
  const std::string columns = names(shape, any);
  return "INSERT INTO " + shape.quoted + " AS t (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " +
         joined(shape, ", ", any, value) + " FROM pg_catalog.json_to_recordset($1) AS s(" +
         defined(shape, any) + ")";
}

std::string upsert(const Shape& shape) {
  const std::string columns = names(shape, is_no_key);
  return insert(shape) + " ON CONFLICT (" + names(shape, is_key) + ") DO " +
         (columns.empty() ? "NOTHING" : "UPDATE SET " + sets_excluded(shape));
}

std::string patched_rows(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return "pg_catalog.json_to_recordset($1) AS d(after pg_catalog.json, unchanged "
         "pg_catalog.jsonb, elided pg_catalog.jsonb) CROSS JOIN LATERAL "
         "pg_catalog.json_to_record(d.after) AS s(" +
         defined(shape, wanted) + ")";
}

std::string old_key(const Shape& shape) {
  return "pg_catalog.json_to_recordset($2) AS o(" + defined(shape, is_key) + ")";
}

}  // namespace

std::string change_statement(Change change, const Shape& shape) {
  const std::string& table = shape.quoted;
  switch (change) {
    case Change::kInsert:
      return insert(shape);
    case Change::kUpsert:
      return upsert(shape);
    case Change::kUpdate:
      return "UPDATE " + table + " AS t SET " + sets(shape, settable(shape)) +
             " FROM pg_catalog.json_to_recordset($1) AS s(" + defined(shape, any) + ") WHERE " +
             same_key(shape, "t", "s");
    case Change::kPatch:
      return "UPDATE " + table + " AS t SET " + patches(shape, settable(shape)) + " FROM " +
             patched_rows(shape, any) + " WHERE " + same_key(shape, "t", "s");
    case Change::kDelete:
      return "DELETE FROM " + table + " AS t USING pg_catalog.json_to_recordset($1) AS s(" +
             defined(shape, is_key) + ") WHERE " + same_key(shape, "t", "s");
    case Change::kMakeRoom:
      return "DELETE FROM " + table + " AS t USING " + patched_rows(shape, is_key) +
             " CROSS JOIN " + old_key(shape) + " WHERE " + same_key(shape, "t", "s") +
             " AND NOT (" + same_key(shape, "s", "o") + ")";
    case Change::kMove:
      return "UPDATE " + table + " AS t SET " + patches(shape, any) + " FROM " +
             patched_rows(shape, any) + " CROSS JOIN " + old_key(shape) + " WHERE " +
             same_key(shape, "t", "o");
    case Change::kTruncate:
      break;
  }
  return "TRUNCATE " + table;
}

}  // namespace walspout
