// The publication of a slot whose tables are chosen by patterns, `source.tables`: walspout creates
// the publication, and keeps its tables in line with the patterns.
//
// walspout never changes a publication of others: its own has a comment that marks it. A partition
// is published as its topmost parent in the publication. Tables that cannot be added safely are
// left out and reported: tables that the role does not own, and tables whose updates the server
// would reject once they are published.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

// The publication as the server has it.
struct PublicationView {
  bool in_recovery = false;  // the server is a standby
  bool exists = false;
  bool is_ours = false;     // the publication has our mark
  bool may_alter = false;   // the role owns the publication
  bool may_create = false;  // in this database
  std::string database;
  std::string role;
  std::string owner;  // of the publication
};

// A table that is in the publication, or should be.
struct PatternTable {
  enum class Step { kIn, kAdd, kRemove } step = Step::kIn;
  std::string oid;
  std::string schema;
  std::string name;
  std::string quoted;         // SCHEMA.TABLE, quoted for statements
  std::string owner;          // a role
  bool is_owned = false;      // by our role
  bool has_identity = false;  // the server accepts its updates when it is published
  bool has_primary_key = false;
  bool owner_is_superuser = false;

  bool can_be_changed() const {
    return is_owned && (step != PatternTable::Step::kAdd || has_identity);
  }
};

// A prefix of queries that join large parts of catalogs. The planner cannot estimate recursive
// parts, and would scan them again for each table.
inline constexpr std::string_view kLargeJoins = "SET LOCAL enable_nestloop = off; ";

// Pure: statements and messages.
std::string publication_mark(const std::string& slot);
std::string create_publication(const std::string& slot, int server_version);
std::string comment_publication(const std::string& slot);
std::string find_publication(const std::string& slot);
// `all`: also tables that are in the publication already, and stay.
std::string find_pattern_tables(const SourceConfig& config, bool all);
PublicationView publication_view(const Row& row);
PatternTable pattern_table(const Row& row);
std::string why_left_out(const PatternTable& table);
std::string remedy_of(const PatternTable& table, const std::string& role);

// Why the publication cannot be created or changed, with the remedy; empty: it can.
std::string not_usable(const PublicationView& view, const std::string& slot);

// What was done, and what was not.
struct PublicationChanges {
  std::string role;                      // the role that makes the changes.
  std::vector<std::string> added;        // quoted names.
  std::vector<std::string> removed;      // likewise.
  std::vector<PatternTable> left_out;    // because of the owner or the replica identity.
  std::vector<PatternTable> not_theirs;  // those of left_out that have other owners
  std::string failed;                    // why a table could not be added or removed now
};

// Creates the publication if it is missing, and says whether it did. Needs an ordinary connection.
Result<bool> make_publication(Connection& connection, const SourceConfig& config,
                              TimePoint deadline);

// Adds and removes tables. Skips locked tables.
Result<PublicationChanges> fill_publication(Connection& connection, const SourceConfig& config,
                                            TimePoint deadline);

}  // namespace walspout
