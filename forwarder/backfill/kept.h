// What was delivered of one table and a snapshot may not see: changes that are newer than the rows
// that a backfill reads.
//
// A transaction is kept from its delivery until it is visible. Keys are compared by the bytes of
// the `key` object. Pure and not synchronized.
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

// An update that lacks columns, because they did not change.
struct PartialChange {
  std::string after;    // the object
  std::string members;  // its members, see source/members.h
  std::shared_ptr<const Table> table;
};

// What the receiver has of a row that was read.
struct Fate {
  bool dropped = false;                        // all of it, or it knows that the row is gone
  std::vector<const PartialChange*> partials;  // if not: newer values, the latest last
};

class Kept {
 public:
  // The budget outlives it.
  explicit Kept(KeptBudget& budget) : budget_(budget) {}
  ~Kept() { clear(); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;

  // An event of the table was delivered. `detail`: nothing, if the frame tells nothing more; the
  // event lacks no column then. Returns a key whose row the receiver may not have as a whole: it
  // has to be read again.
  struct Arrival {
    std::string key;
    std::string from;  // the key that the row had before; empty: it had none, or it is not known
    bool entered = false;  // it had none: it comes from outside of the row filter
  };
  std::optional<Arrival> add(uint32_t xid, const Event& event, const EventDetail& detail,
                             const std::shared_ptr<const Table>& table);

  // Whether the receiver may lack columns of the row at the event's key: it has come there from
  // another key, or from outside of the row filter.
  static bool comes_in_part(const Event& event, const EventDetail& detail) {
    return !detail.members.empty() && (event.op == 'c' || (event.op == 'u' && event.barrier));
  }
  static Arrival arrival(const Event& event, const EventDetail& detail);

  // Forgets what the snapshot sees.
  void prune(const Snapshot& snapshot);

  void clear();

  // The commit record of the first transaction that is kept; 0: there is no transaction.
  Lsn first() const { return transactions_.empty() ? Lsn{} : transactions_.front().lsn; }

  // Rows that were read with one snapshot, and what became of them since.
  class Newer {
   public:
    Newer(const Kept& kept, const Snapshot& snapshot);

    // Rows that were read are of no use: too much is newer, and what it concerns is not known.
    bool is_unknown() const { return unknown_; }

    bool empty() const { return fates_.empty() && !truncated_; }

    // Of the row with that key; null: it is as it was read.
    const Fate* fate(std::string_view key) const;

    // Whether that key has to be read again because of what is newer.
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
    kWhole,    // the receiver has the row, or knows that there is no such row
    kPartial,  // it has some columns
    kMoved,    // it has some columns, of a row that came to this key
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
    bool unknown = false;  // there was no room for its changes
    size_t bytes = 0;
    std::vector<Change> changes;
  };

  void put(Transaction& transaction, Change change);
  void forget_changes(Transaction& transaction);

  KeptBudget& budget_;
  std::deque<Transaction> transactions_;  // as they were delivered
};

}  // namespace walspout
