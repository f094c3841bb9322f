// What is known of the backfills of a slot: how far each is read, placed in the stream, durable,
// and saved; and which changes were delivered that its rows may not have.
//
// Two threads share it. The source's thread tells of the stream, and gets rows to place. The
// reader's thread asks what to read next, brings rows, and saves how far the backfills are. The
// source's thread never waits for the reader. No function does I/O.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backfill/kept.h"
#include "backfill/keys.h"
#include "backfill/snapshot.h"
#include "base/clock.h"
#include "base/lsn.h"
#include "source/frames.h"
#include "stream/chunk.h"

namespace walspout {

enum class BackfillState { kRequested, kWaiting, kRunning, kPaused, kDone, kCanceled, kFailed };

const char* name_of(BackfillState state);
std::optional<BackfillState> backfill_state(std::string_view name);
inline bool is_finished(BackfillState state) {
  return state >= BackfillState::kDone;
}

// A backfill as the table walspout.backfills has it.
struct BackfillRecord {
  int64_t id = 0;
  uint32_t relation = 0;  // of the table; 0: it is gone
  std::string schema;     // as events name it
  std::string name;
  std::string condition;  // empty: all rows
  uint64_t rate = 0;      // rows a second; 0: no limit
  BackfillState state = BackfillState::kRequested;
  std::vector<std::string> cursor;  // the key behind which it goes on; empty: from the begin
  std::vector<std::pair<uint64_t, std::string>> again;  // to read again, with their numbers there
  uint64_t rows = 0;
  int64_t estimate = -1;   // of all rows; -1: unknown
  std::string shape;       // of the table: its files, names and keys
  uint64_t barrier = 0;    // no row is read before all older transactions have ended
  std::string error;       // that holds it up, or has ended it
  std::string held_up_by;  // what it waits for; not saved
  bool has_key = true;     // else it is read at once, before all changes
};

// What is to be read of one table.
struct ReadRequest {
  enum class Kind { kScan, kAgain, kCheck } kind = Kind::kScan;
  int64_t id = 0;
  uint64_t generation = 0;
  BackfillRecord table;             // as it is now; cursor: where the scan goes on
  std::vector<std::string> keys{};  // kAgain
  size_t most_bytes = SIZE_MAX;     // to read at once
};

// What was read of it.
struct ReadResult {
  ReadRequest request;
  std::vector<Chunk> rows{};
  RowsRead read{};
  std::string shape{};
};

// Reads with one snapshot, and the number of the mark behind them.
struct Round {
  uint64_t number = 0;
  std::optional<Snapshot> snapshot{};
  std::vector<ReadResult> reads{};
  size_t bytes = 0;
};

class Ledger {
 public:
  // `kept_bytes`: of changes that are kept, for all tables. `key_bytes`: of keys to read again.
  explicit Ledger(size_t kept_bytes, size_t key_bytes)
      : budget_{kept_bytes}, key_budget_{key_bytes} {}

  // Source's thread ------------------------------------------------------------------------------

  // All that is known comes from the database, again. What it has of `wrong` is wrong: they begin
  // again.
  void load(std::vector<BackfillRecord> records, const std::set<int64_t>& wrong = {});

  // The stream was cut, and goes on: marks that have not come are not waited for.
  void reconnect();

  void observe(const Chunk& chunk, uint32_t open_xid);
  std::vector<Chunk> place(uint64_t number, const Mark& mark);
  // Of a table without a key: its rows are about to be placed; some of them are, `end`: the last.
  void begin_first(int64_t id);
  void place_first(int64_t id, uint64_t rows, bool end);
  void placed(uint64_t pushed);
  bool handled(uint64_t events);  // whether that has changed anything
  Lsn hold() const;

  // Somebody has changed the table of requests, in that transaction.
  void look(uint32_t xid);

  // Reader's thread ------------------------------------------------------------------------------

  // A request that was found, or one that begins again with another table: then it has no cursor,
  // and the keys that were saved are forgotten. From now on what is delivered of its table is
  // observed.
  void add(BackfillRecord record, bool again = false);

  // A barrier is about to be taken for these. What is delivered from now on may be newer than it.
  void ask_barrier(const std::vector<int64_t>& ids);

  // The table of requests says so.
  void set_state(int64_t id, BackfillState state);
  void set_barrier(int64_t id, uint64_t barrier);
  void set_shape(int64_t id, std::string shape);
  void set_error(int64_t id, std::string error, bool ends);
  void set_held_up(int64_t id, std::string by);

  // A snapshot was taken just now. Backfills whose barrier it is beyond begin to run.
  void saw(const Snapshot& snapshot);

  // What may be read next: of many small tables, and of a few large ones.
  std::vector<ReadRequest> next(size_t tables, size_t large, TimePoint now);

  // The table is not read again before this time.
  void rest(int64_t id, TimePoint until);

  // That has been read, and its mark may come at any time from now on.
  void bring(Round round);

  // That could not be read.
  void give_back(const std::vector<ReadRequest>& requests);

  // Events of the stream that were observed. Any thread.
  uint64_t observed() const { return observed_.load(std::memory_order_relaxed); }

  size_t waiting_rounds() const;
  size_t waiting_bytes() const;

  // What has changed since it was saved last. saved() says that it is, or is not; whether that
  // backfill has ended.
  struct Unsaved {
    BackfillRecord record;
    uint64_t version = 0;
    std::vector<std::string> cursor;
    KeyChanges keys;
  };
  std::vector<Unsaved> unsaved();
  bool saved(int64_t id, uint64_t version, bool good);

  // Backfills because of which the slot is held. give_up() releases it: they begin again, and the
  // database does not know. Until it does, any_wrong() is true.
  std::set<int64_t> holding() const;
  void give_up(const std::set<int64_t>& ids);
  bool any_wrong() const;

  // Those that have begun again since, as too many keys were to be read again.
  std::vector<BackfillRecord> begun_again();

  // Requests that are not finished, for people. Any thread.
  std::vector<BackfillRecord> records() const;
  bool any_unfinished() const { return unfinished_.load(); }
  std::vector<uint32_t> looks() const;
  // Nothing can be looked at.
  void give_up_looks();
  void looked(const Snapshot& snapshot);

 private:
  // A place in the order of the key.
  struct Cursor {
    std::vector<std::string> after;  // empty: the begin
    bool end = false;                // of the table was reached
    uint64_t rows = 0;
  };
  struct Target {
    Target(KeptBudget& changes, KeptBudget& keys) : kept(changes), again(keys) {}

    BackfillRecord record;
    uint64_t generation = 0;         // what was read in an older one is void
    uint64_t record_generation = 0;  // what was placed in an older one is, too
    bool keeping = false;            // what is delivered; else only keys to read again are
    Kept kept;
    ReadAgain again;
    bool asked_barrier = false;    // before that no key has to be read again, if no row was read
    uint64_t restarted = 0;        // the version of what is to be saved since; 0: that is saved
    bool wrong = false;            // the slot has been let go before that is saved
    bool ending = false;           // every sink has all of it; that is not saved
    bool end_saving = false;       // but being saved
    size_t most_bytes = SIZE_MAX;  // to read at once
    Cursor read;                   // the next scan goes on there
    Cursor placed;                 // in the stream
    Cursor durable;                // at every sink
    bool reading_again = false;
    bool checking = false;  // until that is durable
    TimePoint rests_until{};
    uint64_t version = 1;  // of what is to be saved
    uint64_t saved = 0;
    Lsn unsaved_key;  // commit of the first transaction that added a key since the last save began
    Lsn saving_key;   // likewise, before that
  };
  struct Placing {
    int64_t id;
    uint64_t generation;
    Cursor cursor;
    std::vector<std::pair<std::string, uint64_t>> keys;  // and which time each was placed
    bool done;
    uint64_t pushed;
  };

  Target* find(int64_t id);
  Target* find(const Table& table);
  void update();
  void begin(Target& target);
  void void_reads(Target& target);
  static bool may_lack_columns(const Target& target, const Kept::Arrival& arrival);
  void add_key(Target& target, std::string key, Lsn lsn);
  void limit_keys();
  void begin_again(Target& target);
  static Lsn held_by(const Target& target);
  void end(Target& target, BackfillState state);
  void read_less(Target& target);
  void place(ReadResult& result, const Snapshot& snapshot, const Mark& mark, uint64_t& index,
             std::vector<Chunk>& out);

  mutable std::mutex mutex_;
  KeptBudget budget_;
  KeptBudget key_budget_;
  std::vector<BackfillRecord> begun_again_;
  std::map<int64_t, std::unique_ptr<Target>> targets_;
  std::deque<Round> rounds_;      // read, their marks have not come
  std::vector<Placing> placing_;  // at the last mark
  std::deque<Placing> placings_;  // in the queue
  size_t waiting_bytes_ = 0;
  uint64_t generations_ = 0;
  int64_t last_read_ = 0;  // table, for their turns
  std::vector<uint32_t> looks_;
  std::atomic<bool> unfinished_{false};
  std::atomic<bool> observing_{false};
  std::atomic<uint64_t> observed_{0};
};

}  // namespace walspout
