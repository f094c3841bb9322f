// The keys of rows that a backfill has to read again, and which of them the database lacks.
//
// A key waits until its row is placed in the stream, and is pending until every sink has that row.
// The database has both kinds. Each key has a number there, so that a save lists only the changes
// since the last save. Pure and not synchronized.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backfill/budget.h"

namespace walspout {

// The changes that a save makes to the keys in the database, in this order.
struct KeyChanges {
  bool all = false;                                     // delete all keys.
  std::vector<std::pair<uint64_t, std::string>> add{};  // by number; may exist already.
  std::vector<uint64_t> remove{};                       // may not exist.

  bool empty() const { return !all && add.empty() && remove.empty(); }
};

class ReadAgain {
 public:
  // The budget outlives this object. Keys may exceed the budget: the owner has to check.
  explicit ReadAgain(KeptBudget& budget) : budget_(budget) {}
  ~ReadAgain() { budget_.used -= bytes_; }
  ReadAgain(const ReadAgain&) = delete;
  ReadAgain& operator=(const ReadAgain&) = delete;

  // Loads the keys of the database.
  void load(std::vector<std::pair<uint64_t, std::string>> saved);

  // The row has to be read, even if it was read and is pending.
  void add(std::string key);

  // The row has been placed in the stream. Returns the number of the placement, for remove().
  uint64_t place(const std::string& key);

  // Every sink has the row of this placement. The key stays if it waits again, or was placed again
  // since.
  void remove(const std::string& key, uint64_t place);

  void clear();

  bool waits(std::string_view key) const { return waiting_.contains(key); }
  bool any_waits() const { return !waiting_.empty(); }
  bool empty() const { return keys_.empty(); }
  size_t bytes() const { return bytes_; }

  // Up to `most` waiting keys.
  std::vector<std::string> some(size_t most) const;

  // The changes since the last save. The caller must call saved() afterwards.
  KeyChanges take_changes();
  void saved(bool good);

 private:
  struct Key {
    uint64_t number = 0;
    uint64_t place = 0;  // the last placement
  };
  static constexpr size_t kEach = 256;  // bytes of a key beside its text

  KeptBudget& budget_;
  size_t bytes_ = 0;
  uint64_t next_ = 1;
  uint64_t taken_ = 1;  // keys below this number may be in the database
  uint64_t places_ = 0;
  std::map<std::string, Key, std::less<>> keys_;
  std::set<std::string_view> waiting_;                    // of these keys.
  std::map<uint64_t, std::string_view> added_;            // likewise; not in the database yet.
  std::vector<uint64_t> removed_;                         // may be in the database.
  bool all_ = false;                                      // the database has keys to delete.
  std::vector<std::pair<uint64_t, std::string>> saving_;  // being added by a save.
  std::vector<uint64_t> saving_removed_;
  bool saving_all_ = false;
};

}  // namespace walspout
