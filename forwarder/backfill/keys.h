// The keys of rows that a backfill has to read again, and what of them the database does not know
// yet.
//
// A key waits until its row has been placed in the stream, and stays, as pending, until every sink
// has that row. The database has both kinds. Each key has a number there, so that a save names only
// what has changed since the one before. Pure and not synchronized.
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

// What a save has to do to the keys in the database, in this order.
struct KeyChanges {
  bool all = false;                                     // forget all keys that are there
  std::vector<std::pair<uint64_t, std::string>> add{};  // by number; perhaps they are there already
  std::vector<uint64_t> remove{};                       // perhaps they are not there

  bool empty() const { return !all && add.empty() && remove.empty(); }
};

class ReadAgain {
 public:
  // The budget outlives it. It may be exceeded: that is for the owner to notice.
  explicit ReadAgain(KeptBudget& budget) : budget_(budget) {}
  ~ReadAgain() { budget_.used -= bytes_; }
  ReadAgain(const ReadAgain&) = delete;
  ReadAgain& operator=(const ReadAgain&) = delete;

  // As the database has it.
  void load(std::vector<std::pair<uint64_t, std::string>> saved);

  // The row is to be read, also if it was read and is pending.
  void add(std::string key);

  // The row has been placed in the stream. Says which time that was, for remove().
  uint64_t place(const std::string& key);

  // Every sink has the row as it was placed then. The key stays if it waits again, or was placed
  // again since.
  void remove(const std::string& key, uint64_t place);

  void clear();

  bool waits(std::string_view key) const { return waiting_.contains(key); }
  bool any_waits() const { return !waiting_.empty(); }
  bool empty() const { return keys_.empty(); }
  size_t bytes() const { return bytes_; }

  // Some that wait.
  std::vector<std::string> some(size_t most) const;

  // What has changed since the last save. What is taken is to be followed by saved().
  KeyChanges take_changes();
  void saved(bool good);

 private:
  struct Key {
    uint64_t number = 0;
    uint64_t place = 0;  // the last time
  };
  static constexpr size_t kEach = 256;  // bytes of a key, beside its text

  KeptBudget& budget_;
  size_t bytes_ = 0;
  uint64_t next_ = 1;
  uint64_t taken_ = 1;  // a save that was begun may have those before this number
  uint64_t places_ = 0;
  std::map<std::string, Key, std::less<>> keys_;
  std::set<std::string_view> waiting_;                    // of these keys
  std::map<uint64_t, std::string_view> added_;            // likewise; the database has them not
  std::vector<uint64_t> removed_;                         // the database may have them
  bool all_ = false;                                      // the database has others
  std::vector<std::pair<uint64_t, std::string>> saving_;  // added
  std::vector<uint64_t> saving_removed_;
  bool saving_all_ = false;
};

}  // namespace walspout
