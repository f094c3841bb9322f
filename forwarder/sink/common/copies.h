// The copies of tables that a sink keeps in another Postgres, as `walspout compare` and `walspout
// sequences` need them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "postgres/connection.h"
#include "stream/event.h"

namespace walspout {

// Where the rows of a table go.
struct CopyPlace {
  std::string schema;
  std::string table;
  bool keeps_versions = false;  // a row of the source has a row for each version
  // Columns that have another name in the copy: first the name in documents, then that in the copy.
  std::vector<std::pair<std::string, std::string>> renamed = {};
  std::vector<std::string> left_out = {};  // columns in documents that are not written

  std::string quoted() const {
    return Connection::quote_name(schema) + "." + Connection::quote_name(table);
  }
  std::string text() const { return schema + "." + table; }

  // The column's name in the copy; nothing: the column is not written.
  std::optional<std::string> column(const std::string& name) const {
    for (const std::string& one : left_out) {
      if (one == name) return std::nullopt;
    }
    for (const auto& [from, to] : renamed) {
      if (from == name) return to;
    }
    return name;
  }
};

struct CopiedColumn {
  std::string source;  // its name in documents
  std::string name;    // in the copy
  bool in_key = false;
};

struct CopiedTable {
  CopyPlace place;
  std::vector<CopiedColumn> columns;  // those that the source fills
  // An SQL condition on the alias t: which rows of the copy stand for rows of the source; empty:
  // all.
  std::string rows;
  bool keeps_deleted = false;  // the copy may have rows that the source has deleted
};

class Copies {
 public:
  virtual ~Copies() = default;

  virtual const Secret& dsn() const = 0;
  virtual Milliseconds connect_timeout() const = 0;

  // Reads no catalog. Nothing: the configuration drops the rows of that table.
  [[nodiscard]] virtual Result<std::optional<CopyPlace>> place(const Table& source) = 0;

  // Reads the target's catalogs. Nothing: as in place(). Error: the copy does not fit; names the
  // statement that changes that.
  [[nodiscard]] virtual Result<std::optional<CopiedTable>> find(Connection& target,
                                                                const Table& source,
                                                                TimePoint deadline) = 0;

  // A query for the commit LSN of the last event in the copies. It returns no row, or NULL, before
  // the first event. `identity`: of the source, see SourceState.
  virtual std::string position_query(const std::string& identity) const = 0;
};

}  // namespace walspout
