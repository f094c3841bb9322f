// Delivered changes of one table that a snapshot may not see: newer than the rows that a backfill
// reads.
//
// A transaction is kept from its delivery until it is visible to a snapshot. Keys are compared by
// the bytes of the `key` object. Pure and not synchronized.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backfill/budget.h"
#include "backfill/snapshot.h"
#include "base/lsn.h"
#include "stream/chunk.h"

namespace walspout {

// An update without the columns that did not change.
struct PartialChange {
  std::string after;    // the object
  std::string members;  // its members, see source/members.h
  std::shared_ptr<const Table> table;
};

// What the receiver already has of a row that was read.
struct Fate {
  bool dropped = false;                        // the whole row, or the fact that it is gone
  std::vector<const PartialChange*> partials;  // otherwise: newer values, the latest last
};

class Kept {
 public:
  // The budget outlives this object.
  explicit Kept(KeptBudget& budget) : budget_(budget) {}
  ~Kept() { clear(); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // An event of the table was delivered. `detail`: empty if the frame has no details; then the
  // event has all columns. Returns a key if the receiver may lack columns of its row: the row has
  // to be read again.
  struct Arrival {
    std::string key;
    std::string from;      // the key before; empty: none, or unknown
    bool entered = false;  // no key before: the row was outside of the row filter
  };
  std::optional<Arrival> add(uint32_t xid, const Event& event, const EventDetail& detail,
                             const std::shared_ptr<const Table>& table);

  // Whether the receiver may lack columns of the row at the event's key. The row came from another
  // key, or from outside of the row filter.
  static bool comes_in_part(const Event& event, const EventDetail& detail) {
    return !detail.members.empty() && (event.op == 'c' || (event.op == 'u' && event.barrier));
  }
  static Arrival arrival(const Event& event, const EventDetail& detail);

  // Forgets transactions that the snapshot sees.
  void prune(const Snapshot& snapshot);

  void clear();

  // The commit record of the first kept transaction; 0 if no transaction is kept.
  Lsn first() const { return transactions_.empty() ? Lsn{} : transactions_.front().lsn; }

  // Changes of rows since one snapshot.
  class Newer {
   public:
    Newer(const Kept& kept, const Snapshot& snapshot);

    // The rows read with the snapshot are useless: there were too many newer changes to keep them.
    bool is_unknown() const { return unknown_; }

    bool empty() const { return fates_.empty() && !truncated_; }

    // The fate of the row with that key; null: unchanged since it was read.
    const Fate* fate(std::string_view key) const;

    // Whether a newer change requires that key to be read again.
    bool is_moved_to(std::string_view key) const { return moved_.contains(key); }

   private:
    Fate& of(std::string_view key);

    bool unknown_ = false;
    bool truncated_ = false;
    const Fate gone_{true, {}};
    std::unordered_map<std::string_view, Fate> fates_;
    std::unordered_map<std::string_view, bool> moved_;
  };

 private:
  enum class Kind {
    kWhole,    // the receiver has the row, or knows that it is gone.
    kPartial,  // the receiver has some columns.
    kMoved,    // likewise, of a row that moved to this key.
    kTruncate,
  };
  struct Change {
    Kind kind;
    std::string key;
    std::unique_ptr<PartialChange> partial{};  // kPartial
  };
  struct Transaction {
    uint32_t xid = 0;
    Lsn lsn;
    bool unknown = false;  // its changes did not fit the budget
    size_t bytes = 0;
    std::vector<Change> changes;
  };

  void put(Transaction& transaction, Change change);
  void forget_changes(Transaction& transaction);

  KeptBudget& budget_;
  std::deque<Transaction> transactions_;  // in the order of delivery
};

}  // namespace walspout
