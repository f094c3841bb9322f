// Which events a sink wants: `only` in its configuration. The queue skips all others.
//
// A pattern is SCHEMA.TABLE, in which * stands for any characters, and ? for one. Text in double
// quotes stands for itself, as in SQL. A pattern with ! in front excludes its tables. The last
// pattern that matches a table decides. A table that no pattern matches is wanted if the first
// pattern excludes. Logical messages have no table: only `ops` decides.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "stream/chunk.h"

namespace walspout {

struct OnlyConfig {
  std::vector<std::string> tables;  // patterns; empty: all tables
  std::vector<std::string> ops;     // letters of Event::op; empty: all
  bool schemas_once = false;        // want each schema only once
};

class TablePattern {
 public:
  explicit TablePattern(std::string_view text);

  // What is wrong with a pattern, as the end of a message; empty: nothing.
  static std::string problem(const std::string& text);

  bool matches(std::string_view schema, std::string_view table) const;
  bool excludes() const { return excludes_; }

  // The pattern for LIKE in SQL: a table matches if its schema and name are LIKE any of these.
  struct Like {
    std::string schema;
    std::string table;
  };
  std::vector<Like> likes() const;

 private:
  // Bytes that stand for themselves, and the signs of only.cc.
  using Signs = std::u16string;

  static bool is_like(std::string_view text, std::u16string_view signs);
  static std::string like(std::u16string_view signs);
  static Signs read(std::string_view text, bool& closed);
  std::vector<size_t> dots() const;

  bool excludes_;
  bool closed_ = true;  // each quote is closed
  Signs signs_;         // without the !
};

// Used by one thread.
class Only {
 public:
  explicit Only(const OnlyConfig& config);

  bool wants(const Event& event) const { return wants_op(event.op) && wants_table(event.table); }

  // The same, and remembers the decision for the event's table. `chunk` holds the event.
  bool wants(const Event& event, const Chunk& chunk) {
    if (!wants_op(event.op)) return false;
    if (event.is_schema() && schemas_.contains(event.key_hash)) return false;
    if (patterns_.empty() || event.table == nullptr) return true;
    if (event.table != last_) look_up(event.table, chunk);
    return last_wanted_;
  }

  // The sink took the event.
  void took(const Event& event) {
    if (event.is_schema() && schemas_once_) remember(event.key_hash);
  }
  // Events that the sink took may not have arrived.
  void forget() { schemas_.clear(); }

 private:
  // Keeps the table, so that no other table gets its address.
  struct Decision {
    std::shared_ptr<const Table> table;
    bool wanted;
  };

  bool wants_op(char op) const { return ops_[static_cast<unsigned char>(op)]; }
  bool wants_table(const Table* table) const;
  void look_up(const Table* table, const Chunk& chunk);
  void remember(uint64_t fingerprint);

  std::array<bool, 256> ops_{};
  std::vector<TablePattern> patterns_;
  bool schemas_once_;
  std::unordered_set<uint64_t> schemas_;  // fingerprints
  std::unordered_map<const Table*, Decision> known_;
  const Table* last_ = nullptr;  // a key of `known_`
  bool last_wanted_ = false;
};

}  // namespace walspout
