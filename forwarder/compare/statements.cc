#include "compare/statements.h"

#include <algorithm>
#include <string_view>

#include "postgres/connection.h"

namespace walspout {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string all;
  for (const std::string& item : items) all += (all.empty() ? "" : ", ") + item;
  return all;
}

// A record's text tells NULL from an empty text, and values from each other. Types are printed by
// their own functions: no user's cast runs.
std::string hash(const TableSide& side, const std::vector<std::string>& values) {
  const std::string record = "ROW(" + joined(values) + ")::pg_catalog.text";
  if (!side.portable) {
    return "pg_catalog.hashtextextended(" + record + " COLLATE pg_catalog.\"C\", 0)";
  }
  return "('x' || pg_catalog.substr(pg_catalog.md5(pg_catalog.convert_to(" + record +
         ", 'UTF8')), 1, 16))::pg_catalog.bit(64)::pg_catalog.int8";
}

std::string bucket(const TableSide& side) {
  return "(" + hash(side, side.key_texts) + " & " + std::to_string(kBuckets - 1) + ")";
}

bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A value of a key, read as the column's type. A number of a wider type than the column's is
// compared all the same.
std::string literal(const TableSide& side, size_t column, const std::string& text) {
  if (side.key_numbers[column] && is_number(text)) return "(" + text + ")";
  return Connection::quote_literal(text);
}

std::string beside(const TableSide& side, const char* comparison, const KeyTexts& key) {
  std::string values;
  for (size_t i = 0; i < key.size(); i++) {
    values += (values.empty() ? "" : ", ") + literal(side, i, key[i]);
  }
  return "(" + joined(side.keys) + ") " + comparison + " (" + values + ")";
}

std::string from(const TableSide& side, const Piece& piece) {
  std::string where;
  const auto add = [&where](const std::string& condition) {
    where += (where.empty() ? " WHERE " : " AND ") + condition;
  };
  if (!side.rows.empty()) add("(" + side.rows + ")");
  if (!side.unkeyed.empty()) add("NOT (" + side.unkeyed + ")");
  if (piece.after) add(beside(side, ">", *piece.after));
  if (piece.up_to) add(beside(side, "<=", *piece.up_to));
  if (!piece.buckets.empty()) {
    std::string numbers;
    for (const int one : piece.buckets) {
      numbers += (numbers.empty() ? "" : ", ") + std::to_string(one);
    }
    add(bucket(side) + " IN (" + numbers + ")");
  }
  return " FROM " + side.from + " AS t" + where;
}

}  // namespace

std::string fixed_settings() {
  return "SET LOCAL transaction_read_only = on; SET LOCAL intervalstyle = postgres; "
         "SET LOCAL lc_monetary = 'C'; SET LOCAL bytea_output = hex; SET LOCAL extra_float_digits "
         "= 1; SET LOCAL row_security = off; SET LOCAL jit = off; ";
}

std::string find_hash_probe() {
  return "SELECT pg_catalog.hashtextextended(pg_catalog.repeat('walspout', 9) COLLATE "
         "pg_catalog.\"C\", 0), "
         "pg_catalog.current_setting('server_encoding')";
}

std::string find_sum(const TableSide& side, const Piece& piece) {
  return "SELECT pg_catalog.count(*), pg_catalog.sum(" + hash(side, side.values) + ")" +
         from(side, piece);
}

std::string find_unkeyed(const TableSide& side) {
  return "SELECT pg_catalog.count(*) FROM " + side.from + " AS t WHERE (" + side.unkeyed + ")" +
         (side.rows.empty() ? "" : " AND (" + side.rows + ")");
}

std::string find_bound(const TableSide& side, const std::optional<KeyTexts>& after, uint64_t rows) {
  return "SELECT " + joined(side.key_texts) + from(side, {after, std::nullopt, {}}) + " ORDER BY " +
         joined(side.keys) + " OFFSET " + std::to_string(rows - 1) + " LIMIT 1";
}

std::string find_bounds(const TableSide& side, const Piece& piece, uint64_t step) {
  std::string names;
  for (size_t i = 0; i < side.keys.size(); i++) {
    names += (names.empty() ? "k" : ", k") + std::to_string(i);
  }
  return "SELECT " + names + " FROM (SELECT " + joined(side.key_texts) +
         ", pg_catalog.row_number() OVER (ORDER BY " + joined(side.keys) + ")" + from(side, piece) +
         ") s(" + names + ", n) WHERE n % " + std::to_string(step) + " = 0 ORDER BY n";
}

std::string find_buckets(const TableSide& side) {
  return "SELECT b, pg_catalog.count(*), pg_catalog.sum(h) FROM (SELECT " + bucket(side) + ", " +
         hash(side, side.values) + from(side, {}) + ") s(b, h) GROUP BY b";
}

std::string find_rows(const TableSide& side, const Piece& piece) {
  return "SELECT " + joined(side.key_texts) + ", " + hash(side, side.values) + from(side, piece);
}

std::string find_versions(const TableSide& side, const std::vector<KeyTexts>& keys) {
  std::string names;
  std::string same;
  for (size_t i = 0; i < side.keys.size(); i++) {
    // A row filter names columns without the table, so no column may have such a name.
    const std::string name = "\"walspout key " + std::to_string(i) + "\"";
    names += (i ? ", " : "") + name;
    same +=
        (i ? " AND " : "") + side.keys[i] + " = CAST(v." + name + " AS " + side.key_types[i] + ")";
  }
  std::string values;
  for (const KeyTexts& key : keys) {
    std::string row;
    for (const std::string& one : key) {
      row += (row.empty() ? "(" : ", ") + Connection::quote_literal(one);
    }
    values += (values.empty() ? "" : ", ") + row + ")";
  }
  return "SELECT " + joined(side.key_texts) + ", " + hash(side, side.values) +
         ", pg_catalog.concat_ws(' ', t.tableoid::pg_catalog.oid, t.ctid, t.xmin) FROM (VALUES " +
         values + ") v(" + names + ") JOIN " + side.from + " AS t ON " + same +
         (side.rows.empty() ? "" : " WHERE (" + side.rows + ")");
}

std::string find_columns(const TableSide& side, const KeyTexts& key) {
  std::string hashes;
  for (const std::string& value : side.values) {
    hashes += (hashes.empty() ? "" : ", ") + hash(side, {value});
  }
  std::string same;
  for (size_t i = 0; i < key.size(); i++) {
    same += (i ? " AND " : "") + side.keys[i] + " = " + literal(side, i, key[i]);
  }
  return "SELECT " + hashes + " FROM " + side.from + " AS t WHERE " + same +
         (side.rows.empty() ? "" : " AND (" + side.rows + ")");
}

std::string find_estimate(const std::string& schema, const std::string& table) {
  return "SELECT GREATEST(0, pg_catalog.sum(c.reltuples))::pg_catalog.int8 FROM "
         "pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE "
         "n.nspname = " +
         Connection::quote_literal(schema) + " AND c.relname = " + Connection::quote_literal(table);
}

}  // namespace walspout
