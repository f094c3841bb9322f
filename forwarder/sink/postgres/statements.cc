#include "sink/postgres/statements.h"

#include <algorithm>
#include <functional>

namespace walspout {
namespace {

const std::string kRefusal(kRefusalMark);

std::string name(std::string_view text) {
  return Connection::quote_name(text);
}

// Elements of such arrays may be JSON arrays, which the server would take for dimensions.
bool is_array_of_json(const ShapeColumn& column) {
  return column.type == "json[]" || column.type == "jsonb[]";
}

// The type as which a column is read.
std::string read_type(const ShapeColumn& column) {
  return is_array_of_json(column) ? "pg_catalog.json" : column.reading.type;
}

std::string cast(const std::string& value, const std::string& type) {
  return "CAST(" + value + " AS " + type + ")";
}

// An expression that raises an error for a row, because there is no such setting. The name depends
// on the value, so that the server evaluates the expression only for bad rows. The value itself is
// not in the name.
std::string refusal(const ShapeColumn& column, const std::string& read) {
  const std::string what = kRefusal + "value too " + (column.reading.cuts ? "long" : "precise") +
                           " for column " + name(column.name) + " of type " + column.type +
                           ", which would " + (column.reading.cuts ? "cut" : "round") + " it";
  return cast("pg_catalog.current_setting(" + Connection::quote_literal(what) +
                  " || pg_catalog.left(" + cast(read, "pg_catalog.text") + ", 0))",
              column.type);
}

// The value read as `read`, converted for the target's column.
std::string value_of(const ShapeColumn& column, const std::string& read) {
  if (column.is_constant()) return column.constant;
  if (column.reading.checked) {
    const std::string made = cast(read, column.type);
    return "CASE WHEN " + cast(made, column.reading.type) + " OPERATOR(pg_catalog.=) " + read +
           " THEN " + made + " WHEN " + read + " IS NOT NULL THEN " + refusal(column, read) +
           " END";
  }
  if (!is_array_of_json(column)) return read;
  const std::string element = column.type.substr(0, column.type.size() - 2);
  return "CASE WHEN " + read +
         " IS NOT NULL THEN ARRAY(SELECT NULLIF(e::pg_catalog.text, 'null')::pg_catalog." +
         element + " FROM pg_catalog.json_array_elements(" + read +
         ") WITH ORDINALITY AS x(e, n) ORDER BY n) END";
}

std::string value(const ShapeColumn& column) {
  return value_of(column, "s." + name(column.source));
}

using Make = std::function<std::string(const ShapeColumn& column)>;

// Joins what `make` makes of the columns that `wanted` selects.
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

// Rows of a JSON array of objects, before the list of their columns.
std::string rows_of(const Shape& shape, const char* documents) {
  return std::string(shape.has_reader ? "walspout.read_documents"
                                      : "pg_catalog.json_to_recordset") +
         "(" + documents + ")";
}

// The row of one object, which is a column of such rows.
std::string row_of(const Shape& shape, const char* document) {
  return std::string(shape.has_reader ? "walspout.read_documents" : "pg_catalog.json_to_record") +
         "(" + document + ")";
}

// The type of that column.
const char* document_type(const Shape& shape) {
  return shape.has_reader ? "pg_catalog.text" : "pg_catalog.json";
}

// The column definitions for these functions.
std::string defined(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(
      shape, ", ",
      [wanted](const ShapeColumn& column) { return !column.is_constant() && wanted(column); },
      [](const ShapeColumn& column) { return name(column.source) + " " + read_type(column); });
}

// Names a column's value in one of the row sources that a statement compares.
using Called = std::function<std::string(const ShapeColumn& column)>;

Called in_target(const std::string& alias) {
  return [alias](const ShapeColumn& column) { return alias + "." + name(column.name); };
}

// The names in the rows of these functions.
Called in_document(const std::string& alias) {
  return [alias](const ShapeColumn& column) {
    return column.is_constant() ? column.constant : alias + "." + name(column.source);
  };
}

// t."id" = s."id" AND …
std::string same_key(const Shape& shape, const Called& one, const Called& other) {
  return joined(shape, " AND ", is_key, [&](const ShapeColumn& column) {
    return one(column) + " " + column.equal + " " + other(column);
  });
}

// `value`, which the server does not know before the key in the document. Keys are never NULL. But
// IS NOT NULL would be false for a row type with a NULL in it.
std::string with_key(const Shape& shape, const Called& document, const std::string& value) {
  const auto key = std::find_if(
      shape.columns.begin(), shape.columns.end(),
      [](const ShapeColumn& column) { return column.in_key && !column.is_constant(); });
  return "CASE WHEN " + document(*key) + " IS DISTINCT FROM NULL THEN " + value + " END";
}

// The condition for the row `t` with the key of a document. Each document has to look up its row in
// the index. For a table that is still small, a plan would be cheaper that reads all rows, and
// compares each with all documents; but the table may have grown when the statement runs. A list
// for the first column of the index makes such a plan impossible, as the server neither sorts nor
// joins by lists.
std::string has_key(const Shape& shape, const Called& document) {
  return joined(shape, " AND ", is_key, [&](const ShapeColumn& column) {
    std::string wanted = document(column);
    if (column.is_constant()) wanted = with_key(shape, document, wanted);
    if (column.begins_index) wanted = "ANY (ARRAY[" + wanted + "])";
    return in_target("t")(column) + " " + column.equal + " " + wanted;
  });
}

std::string has_key(const Shape& shape) {
  return has_key(shape, in_document("s"));
}

// The columns to set: those outside the key. Equal keys may have several texts, such as 1.0 and
// 1.00; then also the key. A table may have only its key.
bool (*settable(const Shape& shape))(const ShapeColumn&) {
  if (!shape.exact_keys) return any;
  return names(shape, is_no_key).empty() ? is_key : is_no_key;
}

std::string sets(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(shape, ", ", wanted, [](const ShapeColumn& column) {
    return name(column.name) + " = " + value(column);
  });
}

std::string sets_excluded(const Shape& shape) {
  return joined(shape, ", ", shape.exact_keys ? is_no_key : any, [](const ShapeColumn& column) {
    return name(column.name) + " = excluded." + name(column.name);
  });
}

// The new value of a column, or the target's value if the document lacks the column.
std::string patch(const ShapeColumn& column, const std::string& fresh) {
  if (column.is_constant()) return column.constant;
  const std::string is_named =
      " OPERATOR(pg_catalog.?) " + Connection::quote_literal(column.source);
  return "CASE WHEN (d.unchanged" + is_named + ") IS TRUE OR (d.elided" + is_named +
         ") IS TRUE THEN t." + name(column.name) + " ELSE " + fresh + " END";
}

std::string patches(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return joined(shape, ", ", wanted, [](const ShapeColumn& column) {
    return name(column.name) + " = " + patch(column, value(column));
  });
}

std::string insert(const Shape& shape) {
  const std::string columns = names(shape, any);
  return "INSERT INTO " + shape.quoted + " AS t (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " +
         joined(shape, ", ", any, value) + " FROM " + rows_of(shape, "$1") + " AS s(" +
         defined(shape, any) + ")";
}

std::string upsert(const Shape& shape) {
  const std::string set = sets_excluded(shape);
  return insert(shape) + " ON CONFLICT (" + names(shape, is_key) + ") DO " +
         (set.empty() ? "NOTHING" : "UPDATE SET " + set);
}

std::string patched_rows(const Shape& shape, bool (*wanted)(const ShapeColumn&)) {
  return rows_of(shape, "$1") + " AS d(at pg_catalog.timestamptz, after " + document_type(shape) +
         ", unchanged pg_catalog.jsonb, elided pg_catalog.jsonb) CROSS JOIN LATERAL " +
         row_of(shape, "d.after") + " AS s(" + defined(shape, wanted) + ")";
}

std::string old_key(const Shape& shape) {
  return rows_of(shape, "$2") + " AS o(" + defined(shape, is_key) + ")";
}

// The condition for rows of this source, by its constants. Empty: all rows.
std::string own_rows(const Shape& shape) {
  return joined(
      shape, " AND ",
      [&](const ShapeColumn& column) {
        return column.is_constant() && column.name != shape.deleted_at;
      },
      [](const ShapeColumn& column) {
        return "t." + name(column.name) + " " +
               (column.equal.empty() ? "OPERATOR(pg_catalog.=)" : column.equal) + " " +
               column.constant;
      });
}

std::string and_own_rows(const Shape& shape) {
  const std::string own = own_rows(shape);
  return own.empty() ? "" : " AND " + own;
}

// Times and keys of deletes.
std::string deleted_keys(const Shape& shape) {
  return rows_of(shape, "$1") + " AS d(at pg_catalog.timestamptz, key " + document_type(shape) +
         ") CROSS JOIN LATERAL " + row_of(shape, "d.key") + " AS s(" + defined(shape, is_key) + ")";
}

// History --------------------------------------------------------------------------------------
//
// The version with an open end is the row. All parts of a statement see the target before the
// statement, and no two parts change the same row.

class History {
 public:
  explicit History(const Shape& shape)
      : shape_(shape),
        history_(shape.history.value_or(HistoryConfig())),
        open_(cast(Connection::quote_literal(history_.open_end()), "pg_catalog.timestamptz")) {}

  std::string version(bool may_insert) const;
  std::string close() const;
  std::string move(bool may_insert) const;
  std::string truncate(const std::string& at) const;

 private:
  std::string column(const std::string& alias, const std::string& called) const {
    return alias + "." + name(called);
  }
  std::string is_open(const std::string& alias) const {
    return column(alias, history_.end) + " = " + open_;
  }
  // Conditions for a version `t` of the row with the key of `document`.
  std::string open(const Called& document) const {
    return has_key(shape_, document) + " AND " + column("t", history_.end) + " = " +
           with_key(shape_, document, open_);
  }
  std::string open_and_fresh(const Called& document) const {
    return open(document) + " AND " + is_fresh("t", with_key(shape_, document, "d.at"));
  }
  std::string open_and_older(const Called& document) const {
    return open(document) + " AND NOT " + is_fresh("t", "d.at");
  }
  std::string ended_now(const Called& document) const {
    return has_key(shape_, document) + " AND " + column("t", history_.end) + " = " +
           with_key(shape_, document, "d.at");
  }
  // The version began in this transaction, of which only the last state counts.
  std::string is_fresh(const std::string& alias, const std::string& at) const {
    return column(alias, history_.start) + " = " + at;
  }
  // The source's clock may have gone back; versions never overlap.
  std::string end_at(const std::string& at) const {
    return "GREATEST(" + at + ", " + column("t", history_.start) +
           " + '1 microsecond'::pg_catalog.interval)";
  }
  std::string update(const std::string& set, const std::string& from,
                     const std::string& where) const {
    return "UPDATE " + shape_.quoted + " AS t SET " + set + " FROM " + from + " WHERE " + where;
  }
  std::string set_end(const std::string& at, const std::string& deleted) const {
    return name(history_.end) + " = " + end_at(at) + ", " + name(history_.deleted) + " = " +
           deleted;
  }
  // OFFSET keeps the server from joining the tables in another way, as has_key() does.
  std::string exists(const std::string& key) const {
    return "EXISTS (SELECT FROM " + shape_.quoted + " AS x WHERE " + key + " AND " + is_open("x") +
           " OFFSET 0)";
  }
  std::string begins_again(const std::string& key, const std::string& at) const {
    return exists(key + " AND " + is_fresh("x", at));
  }
  // Names columns c0, c1, …, because the user's names could clash.
  std::string numbered(const std::string& alias) const;
  std::string rows() const;
  std::string patched() const;
  std::string text_of(const std::function<std::string(size_t, const ShapeColumn&)>& make) const;
  std::string inserted(const std::string& select) const;
  Called in_rows() const;

  const Shape& shape_;
  const HistoryConfig history_;
  const std::string open_;
};

std::string History::numbered(const std::string& alias) const {
  std::string all;
  for (size_t i = 0; i < shape_.columns.size(); i++) {
    all += (all.empty() ? "" : ", ") + alias + ".c" + std::to_string(i);
  }
  return all;
}

Called History::in_rows() const {
  return [this](const ShapeColumn& column) {
    return "d.c" + std::to_string(&column - shape_.columns.data());
  };
}

// WITH d(at, unchanged, elided, c0, …) AS (what the documents have)
std::string History::rows() const {
  std::string columns = "at, unchanged, elided";
  for (size_t i = 0; i < shape_.columns.size(); i++) columns += ", c" + std::to_string(i);
  return "WITH d(" + columns + ") AS MATERIALIZED (SELECT d.at, d.unchanged, d.elided, " +
         joined(shape_, ", ", any, value) + " FROM " + patched_rows(shape_, any) + ")";
}

// The new version as columns c0, …, of rows that `t` and `d` have.
std::string History::patched() const {
  size_t i = 0;
  return joined(shape_, ", ", any, [&](const ShapeColumn& column) {
    const std::string number = "c" + std::to_string(i++);
    return patch(column, "d." + number) + " AS " + number;
  });
}

std::string History::inserted(const std::string& select) const {
  return "INSERT INTO " + shape_.quoted + " (" + names(shape_, any) + ", " + name(history_.start) +
         ", " + name(history_.end) + ", " + name(history_.deleted) + ") OVERRIDING SYSTEM VALUE " +
         select;
}

// Makes the row equal to the document. The current version ends, unless nothing changes.
std::string History::version(bool may_insert) const {
  const Called in_d = in_rows();
  const std::string same = same_key(shape_, in_target("x"), in_d);
  const std::string tail = ", " + open_ + ", false FROM ";
  const std::string old_text =
      "CAST(ROW(" + joined(shape_, ", ", any, in_target("t")) + ") AS pg_catalog.text)";
  const std::string new_text =
      "CAST(ROW(" +
      joined(shape_, ", ", any,
             [&](const ShapeColumn& column) { return patch(column, in_d(column)); }) +
      ") AS pg_catalog.text)";
  std::string statement =
      rows() + ", same AS (" +
      update(joined(shape_, ", ", any,
                    [&](const ShapeColumn& column) {
                      return name(column.name) + " = " + patch(column, in_d(column));
                    }),
             "d", open_and_fresh(in_d)) +
      "), closed AS (" +
      update(set_end("d.at", "false"), "d",
             open_and_older(in_d) + " AND " + old_text + " <> " + new_text) +
      " RETURNING " + column("t", history_.end) + " AS started, " + patched() + ")";
  std::string select = "SELECT " + numbered("c") + ", c.started" + tail + "closed AS c";
  if (may_insert) {
    // A row that is deleted and inserted in one transaction counts as never deleted.
    statement += ", back AS (" +
                 update(name(history_.deleted) + " = false", "d",
                        ended_now(in_d) + " AND " + column("t", history_.deleted)) +
                 ")";
    select += " UNION ALL SELECT " + numbered("d") + ", GREATEST(d.at, (SELECT pg_catalog.max(" +
              column("x", history_.end) + ") FROM " + shape_.quoted + " AS x WHERE " + same + "))" +
              tail + "d WHERE NOT " + exists(same);
  }
  return statement + ", opened AS (" + inserted(select) + ") SELECT 1 FROM d WHERE " + exists(same);
}

std::string History::close() const {
  const Called in_s = in_document("s");
  const std::string keys = deleted_keys(shape_);
  const std::string same = same_key(shape_, in_target("x"), in_s);
  return "WITH gone AS (DELETE FROM " + shape_.quoted + " AS t USING " + keys + " WHERE " +
         open_and_fresh(in_s) + " RETURNING 1), last AS (" +
         update(name(history_.deleted) + " = true", keys,
                ended_now(in_s) + " AND " + begins_again(same, "d.at")) +
         "), closed AS (" + update(set_end("d.at", "true"), keys, open_and_older(in_s)) +
         " RETURNING 1) SELECT 1 FROM gone UNION ALL SELECT 1 FROM closed";
}

// Gives the row with the old key its new key.
std::string History::move(bool may_insert) const {
  const Called in_d = in_rows();
  const Called in_o = in_document("o");
  const std::string from = "d, " + old_key(shape_);
  const std::string same_old = same_key(shape_, in_target("x"), in_o);
  const std::string stays = same_key(shape_, in_d, in_o);
  const std::string moves = " AND NOT (" + stays + ")";
  const std::string started = "GREATEST(d.at, (SELECT pg_catalog.max(CASE WHEN NOT (" +
                              is_open("t") + ") THEN " + column("t", history_.end) + " WHEN " +
                              is_fresh("t", "d.at") + " THEN d.at ELSE " + end_at("d.at") +
                              " END) FROM " + shape_.quoted + " AS t WHERE " +
                              same_key(shape_, in_target("t"), in_d) + "))";
  const auto select = [&](const std::string& alias, const std::string& more) {
    return "SELECT " + numbered(alias) + ", " + started + ", " + open_ + ", false FROM d" + more;
  };
  std::string opened = select("c", ", gone AS c") + " UNION ALL " + select("c", ", closed AS c");
  if (may_insert) {
    opened +=
        " UNION ALL " + select("d", ", " + old_key(shape_)) + " WHERE NOT " + exists(same_old);
  }
  return rows() + ", gone AS (DELETE FROM " + shape_.quoted + " AS t USING " + from + " WHERE " +
         open_and_fresh(in_o) + " RETURNING " + patched() + "), last AS (" +
         update(name(history_.deleted) + " = true", from,
                ended_now(in_o) + moves + " AND " + begins_again(same_old, "d.at")) +
         "), closed AS (" +
         update(set_end("d.at", "NOT (" + stays + ")"), from, open_and_older(in_o)) +
         " RETURNING " + patched() + "), room AS (DELETE FROM " + shape_.quoted + " AS t USING " +
         from + " WHERE " + open_and_fresh(in_d) + moves + "), made AS (" +
         update(set_end("d.at", "false"), from, open_and_older(in_d) + moves) + "), back AS (" +
         update(name(history_.deleted) + " = false", "d",
                ended_now(in_d) + " AND " + column("t", history_.deleted)) +
         "), opened AS (" + inserted(opened) +
         ") SELECT 1 FROM gone UNION ALL SELECT 1 FROM closed";
}

std::string History::truncate(const std::string& at) const {
  const std::string own = and_own_rows(shape_);
  const std::string same = same_key(shape_, in_target("x"), in_target("t"));
  const std::string all = "UPDATE " + shape_.quoted + " AS t SET ";
  return "WITH gone AS (DELETE FROM " + shape_.quoted + " AS t WHERE " + is_open("t") + " AND " +
         is_fresh("t", at) + own + "), last AS (" + all + name(history_.deleted) +
         " = true WHERE " + column("t", history_.end) + " = " + at + own + " AND " +
         begins_again(same, at) + ") " + all + set_end(at, "true") + " WHERE " + is_open("t") +
         " AND NOT " + is_fresh("t", at) + own;
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
      return "UPDATE " + table + " AS t SET " + sets(shape, settable(shape)) + " FROM " +
             rows_of(shape, "$1") + " AS s(" + defined(shape, any) + ") WHERE " + has_key(shape);
    case Change::kPatch:
      return "UPDATE " + table + " AS t SET " + patches(shape, settable(shape)) + " FROM " +
             patched_rows(shape, any) + " WHERE " + has_key(shape);
    case Change::kDelete:
      return "DELETE FROM " + table + " AS t USING " + rows_of(shape, "$1") + " AS s(" +
             defined(shape, is_key) + ") WHERE " + has_key(shape);
    case Change::kMark:
      return "UPDATE " + table + " AS t SET " + name(shape.deleted_at) + " = d.at FROM " +
             deleted_keys(shape) + " WHERE " + has_key(shape);
    case Change::kMakeRoom:
      return "DELETE FROM " + table + " AS t USING " + patched_rows(shape, is_key) +
             " CROSS JOIN " + old_key(shape) + " WHERE " + has_key(shape) + " AND NOT (" +
             same_key(shape, in_document("s"), in_document("o")) + ")";
    case Change::kMove:
      return "UPDATE " + table + " AS t SET " + patches(shape, any) + " FROM " +
             patched_rows(shape, any) + " CROSS JOIN " + old_key(shape) + " WHERE " +
             has_key(shape, in_document("o"));
    case Change::kVersion:
    case Change::kNewVersion:
      return History(shape).version(true);
    case Change::kNextVersion:
      return History(shape).version(false);
    case Change::kClose:
      return History(shape).close();
    case Change::kMoveVersion:
      return History(shape).move(true);
    case Change::kMoveNextVersion:
      return History(shape).move(false);
    case Change::kTruncate:
      break;
  }
  return "";
}

std::string current_rows(const Shape& shape) {
  std::string rows = own_rows(shape);
  const auto add = [&rows](const std::string& condition) {
    rows += (rows.empty() ? "" : " AND ") + condition;
  };
  if (shape.history) {
    add("t." + name(shape.history->end) + " = " +
        cast(Connection::quote_literal(shape.history->open_end()), "pg_catalog.timestamptz"));
  }
  if (!shape.deleted_at.empty()) add("t." + name(shape.deleted_at) + " IS NULL");
  return rows;
}

std::vector<std::string> truncate_statements(const std::vector<const Shape*>& shapes,
                                             const std::string& time) {
  const std::string at = cast(Connection::quote_literal(time), "pg_catalog.timestamptz");
  std::vector<std::string> statements;
  std::string whole;  // tables that are truncated together
  for (const Shape* shape : shapes) {
    const std::string own = own_rows(*shape);
    if (shape->history) {
      statements.push_back(History(*shape).truncate(at));
    } else if (!shape->deleted_at.empty()) {
      const std::string column = name(shape->deleted_at);
      statements.push_back("UPDATE " + shape->quoted + " AS t SET " + column + " = " + at +
                           " WHERE t." + column + " IS NULL" + and_own_rows(*shape));
    } else if (!own.empty()) {
      statements.push_back("DELETE FROM " + shape->quoted + " AS t WHERE " + own);
    } else {
      whole += (whole.empty() ? "" : ", ") + shape->quoted;
    }
  }
  if (!whole.empty()) statements.insert(statements.begin(), "TRUNCATE " + whole);
  return statements;
}

}  // namespace walspout
