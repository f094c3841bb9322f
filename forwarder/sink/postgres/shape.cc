#include "sink/postgres/shape.h"

#include <algorithm>
#include <map>
#include <set>

#include "sink/postgres/errors.h"

namespace walspout {
namespace {

std::string name(std::string_view text) {
  return Connection::quote_name(text);
}

std::string unescaped(std::string_view text) {
  std::string made;
  for (size_t i = 0; i < text.size(); i++) {
    const std::string_view code = text.substr(i, 3);
    if (code == "%2E" || code == "%25") {
      made += code == "%2E" ? '.' : '%';
      i += 2;
    } else {
      made += text[i];
    }
  }
  return made;
}

// A column of the target.
struct TargetColumn {
  std::string type;
  bool generated = false;
};

struct Target {
  bool exists = false;
  char kind = 0;
  bool has_triggers = false;
  std::map<std::string, TargetColumn> columns;
};

// A column of a unique index.
struct IndexColumn {
  std::string equal;
  bool exact = false;
};
using Index = std::map<std::string, IndexColumn>;

ServerResult<Target> look_at_table(Connection& connection, const PostgresName& target,
                                   TimePoint deadline) {
  auto rows = connection.query(
      "SELECT c.relkind, EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND "
      "NOT t.tgisinternal AND t.tgenabled <> 'D'), a.attname, "
      "pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated <> '' "
      "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
      "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT "
      "a.attisdropped WHERE n.nspname = " +
          Connection::quote_literal(target.schema) +
          " AND c.relname = " + Connection::quote_literal(target.table),
      deadline);
  if (!rows) return tl::unexpected(std::move(rows.error()));
  Target found;
  for (const Row& row : *rows) {
    found.exists = true;
    found.kind = text(row, 0)[0];
    found.has_triggers = text(row, 1) == "t";
    if (row.size() > 2 && row[2]) found.columns[*row[2]] = {text(row, 3), text(row, 4) == "t"};
  }
  return found;
}

// The unique indexes that ON CONFLICT can use.
ServerResult<std::vector<Index>> look_at_indexes(Connection& connection, const PostgresName& target,
                                                 TimePoint deadline) {
  // Of the types of this list, values that are equal have one text.
  const std::string exact =
      "b.typname IN ('bool', 'char', 'int2', 'int4', 'int8', 'oid', 'uuid', 'text', 'varchar', "
      "'name', 'bytea', 'date', 'timestamp', 'timestamptz') AND b.typnamespace = "
      "'pg_catalog'::pg_catalog.regnamespace AND COALESCE(l.collisdeterministic, true)";
  auto rows = connection.query(
      "SELECT i.indexrelid, a.attname, "
      "'OPERATOR(' || pg_catalog.quote_ident(s.nspname) || '.' || o.oprname || ')', " +
          exact +
          " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
          "JOIN pg_catalog.pg_index i ON i.indrelid = c.oid "
          "CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) k "
          "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[k] "
          "JOIN pg_catalog.pg_type d ON d.oid = a.atttypid "
          "JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN d.typtype = 'd' THEN d.typbasetype ELSE "
          "d.oid END "
          "LEFT JOIN pg_catalog.pg_collation l ON l.oid = i.indcollation[k] "
          "JOIN pg_catalog.pg_opclass x ON x.oid = i.indclass[k] "
          "JOIN pg_catalog.pg_amop m ON m.amopfamily = x.opcfamily AND m.amopstrategy = 3 AND "
          "m.amoplefttype = x.opcintype AND m.amoprighttype = x.opcintype "
          "JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr "
          "JOIN pg_catalog.pg_namespace s ON s.oid = o.oprnamespace "
          "WHERE n.nspname = " +
          Connection::quote_literal(target.schema) +
          " AND c.relname = " + Connection::quote_literal(target.table) +
          " AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND "
          "i.indexprs IS NULL",
      deadline);
  if (!rows) return tl::unexpected(std::move(rows.error()));
  std::map<std::string, Index> found;
  for (const Row& row : *rows) {
    found[text(row, 0)][text(row, 1)] = {text(row, 2), text(row, 3) == "t"};
  }
  std::vector<Index> indexes;
  for (auto& [oid, index] : found) indexes.push_back(std::move(index));
  return indexes;
}

std::vector<std::string> key_names(const Table& source) {
  std::vector<std::string> names;
  for (const Column& column : source.columns) {
    if (column.in_key) names.push_back(column.name);
  }
  return names;
}

std::string list(const std::vector<std::string>& names) {
  std::string made;
  for (const std::string& one : names) made += (made.empty() ? "" : ", ") + name(one);
  return made;
}

const Index* index_of(const std::vector<Index>& indexes, const std::vector<std::string>& key) {
  for (const Index& index : indexes) {
    if (index.size() == key.size() &&
        std::all_of(key.begin(), key.end(), [&](const auto& one) { return index.contains(one); })) {
      return &index;
    }
  }
  return nullptr;
}

Result<void> change(Connection& connection, const std::string& statement, TimePoint deadline) {
  if (auto done = connection.query(statement, deadline); !done) {
    return in("`" + statement + "`", postgres_error(done.error()));
  }
  return {};
}

std::vector<const Column*> lacking(const Table& source, const Target& target) {
  std::vector<const Column*> missing;
  for (const Column& column : source.columns) {
    if (!target.columns.contains(column.name)) missing.push_back(&column);
  }
  return missing;
}

std::string add_columns_statement(const std::vector<const Column*>& missing,
                                  const PostgresName& target) {
  std::string made = "ALTER TABLE " + target.quoted();
  for (const Column* column : missing) {
    made += (column == missing.front() ? " ADD COLUMN " : ", ADD COLUMN ") + name(column->name) +
            " " + column->type;
  }
  return made;
}

// Makes what is missing, or says how to.
Result<Target> fitting_target(Connection& connection, const Table& source,
                              const PostgresName& target, ShapeChanges changes,
                              TimePoint deadline) {
  bool changed = false;
  for (;;) {
    auto found = look_at_table(connection, target, deadline);
    if (!found) return Failure(postgres_error(found.error()));
    const auto missing = lacking(source, *found);
    if (found->exists && missing.empty()) return std::move(*found);
    const bool may = found->exists ? changes.add_columns : changes.create_table;
    const std::string statement = found->exists ? add_columns_statement(missing, target)
                                                : create_table_statement(source, target);
    if (!may || changed) {
      return misconfigured(
          "the target lacks " +
              (found->exists ? "columns of table " + target.text() : "table " + target.text()) +
              ": " + statement + "; or set " + (found->exists ? "add_columns" : "create_tables") +
              ": true",
          connection.endpoint());
    }
    if (auto made = change(connection, statement, deadline); !made) return Failure(made.error());
    changed = true;
  }
}

}  // namespace

std::string PostgresName::quoted() const {
  return name(schema) + "." + name(table);
}

Result<PostgresName> PostgresName::parse(std::string_view text) {
  const size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot + 1 == text.size() ||
      text.find('.', dot + 1) != std::string_view::npos) {
    return misconfigured("target \"" + std::string(text) +
                         "\" is not SCHEMA.TABLE (a dot within a name is %2E)");
  }
  return PostgresName{unescaped(text.substr(0, dot)), unescaped(text.substr(dot + 1))};
}

std::string create_table_statement(const Table& source, const PostgresName& target) {
  std::string columns;
  for (const Column& column : source.columns) {
    columns += (columns.empty() ? "" : ", ") + name(column.name) + " " + column.type +
               (column.not_null ? " NOT NULL" : "");
  }
  const auto key = key_names(source);
  if (!key.empty()) columns += ", PRIMARY KEY (" + list(key) + ")";
  return "CREATE TABLE " + target.quoted() + " (" + columns + ")";
}

Result<Shape> load_shape(Connection& connection, const Table& source, const PostgresName& target,
                         bool keyed, ShapeChanges changes, TimePoint deadline) {
  const auto key = key_names(source);
  if (keyed && key.empty()) {
    return misconfigured("table " + source.schema + "." + source.name +
                             " has no key, so its rows cannot be found in the target: set mode: "
                             "append for it, or ALTER TABLE ... ADD PRIMARY KEY or REPLICA "
                             "IDENTITY in the source, or leave it out (only)",
                         connection.endpoint());
  }
  auto found = fitting_target(connection, source, target, changes, deadline);
  if (!found) return Failure(found.error());
  if (found->kind != 'r' && found->kind != 'p') {
    return misconfigured(target.text() + " is no table", connection.endpoint());
  }
  Shape shape{target, target.quoted(), {}, false, false, found->has_triggers};
  const Index* index = nullptr;
  std::vector<Index> indexes;
  if (!key.empty()) {
    auto looked = look_at_indexes(connection, target, deadline);
    if (!looked) return Failure(postgres_error(looked.error()));
    indexes = std::move(*looked);
    index = index_of(indexes, key);
    if (index == nullptr) {
      return misconfigured(
          "table " + target.text() + " of the target has no unique index on the key (" + list(key) +
              "): CREATE UNIQUE INDEX ON " + target.quoted() + " (" + list(key) + ")",
          connection.endpoint());
    }
    shape.keyed = true;
    shape.exact_keys = std::all_of(index->begin(), index->end(),
                                   [](const auto& column) { return column.second.exact; });
  }
  for (const Column& column : source.columns) {
    const TargetColumn& its = found->columns.at(column.name);
    if (its.generated && !column.in_key) continue;  // the target computes it
    shape.columns.push_back(
        {column.name, its.type, column.in_key,
         column.in_key && index != nullptr ? index->at(column.name).equal : std::string()});
  }
  return shape;
}

}  // namespace walspout
