// Statements that find the published tables, and those that joined since the last look; and the
// parsing of their rows.
//
// The table walspout.tables has the known tables of a slot, with the catalog entries that published
// each table. If none of a table's entries remain, the table has left; with other entries it has
// joined again. A partition that is published as its root may bring rows that no event has: then
// these rows are backfilled. The row of relation 0 says that the slot is known.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

// A table whose name events have. For partitions: the table that they are published as.
struct PublishedTable {
  std::string schema;
  std::string name;
  std::string oid;
  std::string entries;       // an array of the catalogs' entries, as text
  bool has_key = true;       // a key for reading in pieces
  std::string partitions{};  // an array of those that are published as this table, as text
  bool grown = false;        // partitions have joined the table
  std::string only{};        // a condition for their rows; empty: all rows
};

// All published tables. Calls no function that locks a table.
std::string find_published(const SourceConfig& config, int server_version);
PublishedTable published_table(const Row& row);

// Whether the configuration includes the table's rows.
bool wants_rows(const BackfillConfig& config, const std::string& schema, const std::string& name);

// Whether the role may write walspout.tables, and may ask for the system identifier.
std::string find_tables_rights();

// The system identifier. Raises without that right.
std::string find_system();

// Whether the slot is known on this server.
std::string find_known(const std::string& slot, const std::string& system);

// forget_slot() deletes all rows of the slot; know_slot() adds the row of relation 0.
std::string forget_slot(const std::string& slot);
std::string find_right_to_forget();  // whether the role may do the first
std::string know_slot(const std::string& slot, const std::string& system);

// A changed table: a row of find_published(), with the kind of change in front.
struct TableChange {
  enum class Kind { kJoined, kLeft, kGrown, kOther } kind = Kind::kOther;
  PublishedTable table;
};
std::string find_changes(const SourceConfig& config, int server_version);
TableChange table_change(const Row& row);

// In one transaction: saves the changes as known, and requests backfills of these tables.
std::string know_changes(const SourceConfig& config, const std::vector<TableChange>& changes,
                         const std::vector<PublishedTable>& backfilled);

// Cancels the unfinished requests of these tables.
std::string replace_requests(const std::string& slot, const std::vector<PublishedTable>& tables);

// Requests backfills of those tables that exist. `first`: the slot is about to be created, and
// tables without a key are read with its snapshot.
std::string request_all(const SourceConfig& config, const std::vector<PublishedTable>& tables,
                        bool first);

}  // namespace walspout
