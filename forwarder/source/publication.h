// The publication of a slot whose tables are chosen by patterns, `source.tables`: walspout makes
// it, and keeps its tables those that the patterns match.
//
// A publication that was not made here is never changed: ours has a comment that says so. A
// partition is published as the topmost of its parents that is in the publication. What cannot be
// added without harm is left out, and said: tables that the role does not own, and tables whose
// updates the server would reject once they are published.
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

// How the server has it.
struct PublicationView {
  bool in_recovery = false;  // the server is a standby
  bool exists = false;
  bool is_ours = false;     // it has our mark
  bool may_alter = false;   // the role owns it
  bool may_create = false;  // in this database
  std::string database;
  std::string role;
  std::string owner;  // of the publication
};

// A table that is to be in the publication, or is there.
struct PatternTable {
  enum class Step { kIn, kAdd, kRemove } step = Step::kIn;
  std::string oid;
  std::string schema;
  std::string name;
  std::string quoted;         // SCHEMA.TABLE, as statements have it
  std::string owner;          // a role
  bool is_owned = false;      // by our role
  bool has_identity = false;  // its updates are not rejected when it is published
  bool has_primary_key = false;
  bool owner_is_superuser = false;

  bool can_be_changed() const {
    return is_owned && (step != PatternTable::Step::kAdd || has_identity);
  }
};

// In front of queries that join large parts of catalogs. The planner does not know how large what
// is recursive gets, and would go through it again for each table.
inline constexpr std::string_view kLargeJoins = "SET LOCAL enable_nestloop = off; ";

// Pure: statements, and words for people.
std::string publication_mark(const std::string& slot);
std::string create_publication(const std::string& slot, int server_version);
std::string comment_publication(const std::string& slot);
std::string find_publication(const std::string& slot);
// `all`: also tables that are there already, and stay.
std::string find_pattern_tables(const SourceConfig& config, bool all);
PublicationView publication_view(const Row& row);
PatternTable pattern_table(const Row& row);
std::string why_left_out(const PatternTable& table);
std::string remedy_of(const PatternTable& table, const std::string& role);

// Why the publication cannot be made or changed, with the remedy; empty: it can be.
std::string not_usable(const PublicationView& view, const std::string& slot);

// What was done, and what was not.
struct PublicationChanges {
  std::string role;                      // that makes them
  std::vector<std::string> added;        // quoted names
  std::vector<std::string> removed;      // likewise
  std::vector<PatternTable> left_out;    // because of their owner or identity
  std::vector<PatternTable> not_theirs;  // of the left out: those of other owners
  std::string failed;                    // why a table could not be added or removed now
};

// Makes the publication if it is missing. The connection is an ordinary one.
Result<bool> make_publication(Connection& connection, const SourceConfig& config,
                              TimePoint deadline);

// Adds and removes tables. A table that is locked is passed over.
Result<PublicationChanges> fill_publication(Connection& connection, const SourceConfig& config,
                                            TimePoint deadline);

}  // namespace walspout
