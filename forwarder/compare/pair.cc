#include "compare/pair.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace walspout {
namespace {

template <size_t N>
bool is_one_of(std::string_view type, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), type) != list.end();
}

constexpr std::array<std::string_view, 4> kTexts = {"text", "character varying", "bpchar", "name"};
constexpr std::array<std::string_view, 3> kWhole = {"smallint", "integer", "bigint"};

bool is_array(std::string_view type) {
  return type.ends_with("[]");
}

std::string plain_text(const std::string& value) {
  return "(" + value + ")::pg_catalog.text";
}

// The value as a document has it, without the quotes of a string.
std::string in_document(const std::string& value) {
  return "(pg_catalog.to_json(" + value + ") #>> '{}')";
}

// Gives one text to all values that are equal in the target's type. `lenient`: the types of the two
// columns differ.
std::string one_text(const std::string& value, const std::string& base, bool lenient) {
  if (base == "jsonb") return "NULLIF(" + value + ", 'null')";  // documents have null for both
  if (base == "json") {
    // Documents have spaces instead of line breaks between tokens.
    return "CASE WHEN pg_catalog.json_typeof(" + value + ") <> 'null' THEN pg_catalog.translate(" +
           plain_text(value) + ", E'\\n\\r', '  ') END";
  }
  if (base == "json[]") {
    return "pg_catalog.translate(" + plain_text(value) + ", E'\\n\\r', '  ')";
  }
  if (!lenient) return value;
  if (base == "numeric") return "pg_catalog.trim_scale(" + value + ")";
  if (base == "numeric[]") {
    const std::string zeros = "pg_catalog.regexp_replace(" + plain_text(value) +
                              ", '(\\.[0-9]*[1-9])0+(?=[,}])', '\\1', 'g')";
    return "pg_catalog.regexp_replace(" + zeros + ", '\\.0+(?=[,}])', '', 'g')";
  }
  if (base == "bpchar") return "pg_catalog.rtrim(" + plain_text(value) + ")";
  return value;
}

// The text of a source's value in the target's type, converted by way of the document as the sink
// does it.
std::string converted(const std::string& value, const ValueType& from, const ValueType& to) {
  if (from.base == to.base) return value;
  // Numbers are printed alike. One that is too large for the target is a difference.
  if (is_one_of(from.base, kWhole) && is_one_of(to.base, kWhole)) return value;
  if (is_one_of(to.base, kTexts)) {
    // Documents keep the blanks of char(n).
    const bool is_as_it_is = is_one_of(from.base, kTexts) && from.base != "bpchar";
    return is_as_it_is ? value : in_document(value);
  }
  if (to.base == "json") return "pg_catalog.to_json(" + value + ")";
  if (to.base == "jsonb") return "pg_catalog.to_json(" + value + ")::pg_catalog.jsonb";
  if (is_array(from.base) != is_array(to.base)) return value;
  return "CAST(" + (is_array(to.base) ? plain_text(value) : in_document(value)) + " AS " + to.base +
         ")";
}

using Types = std::map<std::string, ValueType>;

// Names of members differ between versions of the catalogs, so the query looks for them in JSON.
Result<Types> find_types(Connection& connection, const std::string& schema,
                         const std::string& table, TimePoint deadline) {
  auto rows = connection.query(
      "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
      "pg_catalog.format_type(b.type, -1), y.typnamespace = "
      "'pg_catalog'::pg_catalog.regnamespace, CASE WHEN l.oid IS NULL THEN '' WHEN l.collname = "
      "'default' AND l.collnamespace = 'pg_catalog'::pg_catalog.regnamespace THEN "
      "pg_catalog.concat_ws(' ', coalesce(d.j ->> 'datlocprovider', 'c'), d.j ->> 'datcollate', "
      "coalesce(d.j ->> 'datlocale', d.j ->> 'daticulocale')) ELSE pg_catalog.concat_ws(' ', "
      "l.collprovider, l.collcollate, coalesce(pg_catalog.to_jsonb(l) ->> 'colllocale', "
      "pg_catalog.to_jsonb(l) ->> 'colliculocale')) END, a.attnotnull FROM pg_catalog.pg_class c "
      "JOIN "
      "pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_attribute a ON "
      "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped CROSS JOIN LATERAL (WITH "
      "RECURSIVE d(type, depth) AS (SELECT a.atttypid, 0 UNION ALL SELECT t.typbasetype, d.depth + "
      "1 FROM d JOIN pg_catalog.pg_type t ON t.oid = d.type AND t.typtype = 'd') SELECT type FROM "
      "d ORDER BY depth DESC LIMIT 1) b JOIN pg_catalog.pg_type y ON y.oid = b.type LEFT JOIN "
      "pg_catalog.pg_collation l ON l.oid = a.attcollation CROSS JOIN (SELECT "
      "pg_catalog.to_jsonb(o) FROM pg_catalog.pg_database o WHERE o.datname = "
      "pg_catalog.current_database()) d(j) WHERE n.nspname = " +
          Connection::quote_literal(schema) +
          " AND c.relname = " + Connection::quote_literal(table),
      deadline);
  if (!rows) return Failure(std::move(rows.error().error));
  Types types;
  for (const Row& row : *rows) {
    types[text(row, 0)] = {text(row, 1), text(row, 2), text(row, 3) == "t", text(row, 4),
                           text(row, 5) == "t"};
  }
  return types;
}

std::string column_of(const std::string& name) {
  return "t." + Connection::quote_name(name);
}

// Adds the columns to compare.
class Builder {
 public:
  Builder(const SentTable& sent, const CopiedTable& copied, Types source, Types target)
      : sent_(sent), copied_(copied), source_(std::move(source)), target_(std::move(target)) {}

  TablePair build(bool portable);

 private:
  const SentColumn* sent(const std::string& in_documents) const;
  const CopiedColumn* copied(const std::string& in_documents) const;
  void add_values();
  void add_key();
  void add_key_column(const SentColumn& from, const CopiedColumn& to);

  const SentTable& sent_;
  const CopiedTable& copied_;
  const Types source_;
  const Types target_;
  TablePair pair_;
};

const SentColumn* Builder::sent(const std::string& in_documents) const {
  for (size_t i = 0; i < sent_.columns.size(); i++) {
    if (sent_.table.columns[i].name == in_documents) return &sent_.columns[i];
  }
  return nullptr;
}

const CopiedColumn* Builder::copied(const std::string& in_documents) const {
  for (const CopiedColumn& column : copied_.columns) {
    if (column.source == in_documents) return &column;
  }
  return nullptr;
}

void Builder::add_values() {
  for (const CopiedColumn& to : copied_.columns) {
    const SentColumn* from = sent(to.source);
    const auto type = target_.find(to.name);
    if (from == nullptr || type == target_.end()) continue;
    if (!from->change.empty()) {
      pair_.notes.push_back("column " + to.name +
                            " is not compared: the source sends it changed (" + from->change + ")");
      continue;
    }
    ValueType its{"text", "text", true, ""};
    std::string value = Connection::quote_literal(from->constant) + "::pg_catalog.text";
    if (!from->column.empty()) {
      its = source_.at(from->column);
      value = column_of(from->column);
    }
    ValueTexts texts = value_texts(value, its, column_of(to.name), type->second, false);
    if (its.base != type->second.base) {
      pair_.read.push_back(to.name + " (" + its.text + " in the source, " + type->second.text +
                           " in the target)");
    }
    pair_.columns.push_back(to.name);
    pair_.source.values.push_back(std::move(texts.source));
    pair_.target.values.push_back(std::move(texts.target));
  }
}

void Builder::add_key_column(const SentColumn& from, const CopiedColumn& to) {
  const ValueType& here = source_.at(from.column);
  const ValueType& there = target_.at(to.name);
  const ValueTexts texts =
      value_texts(column_of(from.column), here, column_of(to.name), there, true);
  const bool are_whole = is_one_of(here.base, kWhole) && is_one_of(there.base, kWhole);
  const auto add = [&](TableSide& side, const std::string& column, const std::string& text_of,
                       const ValueType& type) {
    side.keys.push_back(column);
    side.key_texts.push_back(text_of);
    side.key_types.push_back(are_whole ? "bigint" : type.base);
    side.key_numbers.push_back(are_whole);
  };
  add(pair_.source, column_of(from.column), texts.source, here);
  add(pair_.target, column_of(to.name), texts.target, there);
  if (!there.not_null) {
    std::string& unkeyed = pair_.target.unkeyed;
    unkeyed += (unkeyed.empty() ? "" : " OR ") + column_of(to.name) + " IS NULL";
  }
  pair_.has_order = pair_.has_order && here.order == there.order;
  pair_.key.push_back(to.name);
}

void Builder::add_key() {
  for (const std::string& name : sent_.key) {
    const SentColumn* from = sent(name);
    const CopiedColumn* to = copied(name);
    if (from == nullptr || to == nullptr || !from->change.empty()) {
      pair_.key.clear();
      pair_.notes.push_back("column " + name +
                            " of its key is sent changed, so rows cannot be told "
                            "apart");
      for (TableSide* side : {&pair_.source, &pair_.target}) {
        side->keys.clear();
        side->key_texts.clear();
        side->key_types.clear();
        side->key_numbers.clear();
        side->unkeyed.clear();
      }
      pair_.has_order = true;
      return;
    }
    add_key_column(*from, *to);
  }
}

TablePair Builder::build(bool portable) {
  pair_.schema = sent_.table.schema;
  pair_.table = sent_.table.name;
  pair_.source_name = pair_.schema + "." + pair_.table;
  pair_.target_name = copied_.place.text();
  pair_.source.from = sent_.from;
  pair_.source.rows = sent_.filter;
  pair_.target.from = copied_.place.quoted();
  pair_.target.rows = copied_.rows;
  pair_.source.portable = pair_.target.portable = portable;
  pair_.finds_extra = sent_.sends_deletes && !copied_.keeps_deleted;
  pair_.finds_changed = sent_.sends_updates;
  add_values();
  const bool keyed = std::any_of(copied_.columns.begin(), copied_.columns.end(),
                                 [](const CopiedColumn& column) { return column.in_key; });
  if (keyed) add_key();
  return std::move(pair_);
}

}  // namespace

ValueTexts value_texts(const std::string& source, const ValueType& source_type,
                       const std::string& target, const ValueType& target_type, bool is_key) {
  // A type that only one server knows is compared as it is printed.
  if (!source_type.is_builtin || !target_type.is_builtin) return {source, target};
  const bool lenient = is_key || source_type.text != target_type.text;
  const std::string made = converted(source, source_type, target_type);
  return {one_text(made, target_type.base, lenient), one_text(target, target_type.base, lenient)};
}

Result<Servers> look_at_servers(Connection& source, Connection& target, TimePoint deadline) {
  auto here = source.query(find_hash_probe(), deadline);
  if (!here) return Failure(std::move(here.error().error));
  auto there = target.query(find_hash_probe(), deadline);
  if (!there) return Failure(std::move(there.error().error));
  return Servers{*here != *there};
}

Result<TablePair> make_pair(Connection& source, Connection& target, const SentTable& sent,
                            const CopiedTable& copied, const Servers& servers, TimePoint deadline) {
  auto here = find_types(source, sent.table.schema, sent.table.name, deadline);
  if (!here) return Failure(here.error());
  auto there = find_types(target, copied.place.schema, copied.place.table, deadline);
  if (!there) return Failure(there.error());
  return Builder(sent, copied, std::move(*here), std::move(*there)).build(servers.portable);
}

}  // namespace walspout
