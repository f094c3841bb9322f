// Which tables are published, and which of them have joined since they were looked at last: the
// text of statements, and rows that are read of them.
//
// The table walspout.tables has what was known of a slot: each table, and the entries of the
// catalogs by which it was published. A table of which no entry is left has left, and has joined
// again if there are other ones. The row of relation 0 says that the slot is known at all.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

// A table whose events have its name: of partitions, what is published in their place.
struct PublishedTable {
  std::string schema;
  std::string name;
  std::string oid;
  std::string entries;  // an array of the catalogs' entries, as text
  bool has_key = true;  // by which it can be read in pieces
};

// All tables that are published. No function is called that locks a table.
std::string find_published(const SourceConfig& config, int server_version);
PublishedTable published_table(const Row& row);

// Whether the configuration wants the table's rows.
bool wants_rows(const BackfillConfig& config, const std::string& schema, const std::string& name);

// Whether the role may keep walspout.tables, and may ask which server this is.
std::string find_tables_rights();

// Which server this is. Raises without that right.
std::string find_system();

// Whether the slot is known on this server.
std::string find_known(const std::string& slot, const std::string& system);

// Forgets all that is known of the slot; says that the slot is known.
std::string forget_slot(const std::string& slot);
std::string know_slot(const std::string& slot, const std::string& system);

// What has changed since: as find_published(), and in front of it a word.
struct TableChange {
  enum class Kind { kJoined, kLeft, kOther } kind = Kind::kOther;
  PublishedTable table;
};
std::string find_changes(const SourceConfig& config, int server_version);
TableChange table_change(const Row& row);

// In one transaction: that is known, and these tables are backfilled.
std::string know_changes(const SourceConfig& config, const std::vector<TableChange>& changes,
                         const std::vector<PublishedTable>& backfilled);

// Requests the backfills of tables that exist. `first`: the slot is about to be made, and tables
// without a key are read with its snapshot.
std::string request_all(const SourceConfig& config, const std::vector<PublishedTable>& tables,
                        bool first);

}  // namespace walspout
