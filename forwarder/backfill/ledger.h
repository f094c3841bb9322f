// The state of the backfills of a slot: how far each is read, placed in the stream, durable, and
// saved; and delivered changes that its rows may lack.
//
// Two threads share it. The source's thread reports the stream, and gets rows to place. The
// reader's thread asks what to read next, brings rows, and saves the progress. The source's thread
// never waits for the reader. No function does I/O.
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

// A row of the table walspout.backfills.
struct BackfillRecord {
  int64_t id = 0;
  uint32_t relation = 0;  // OID of the table; 0: gone.
  std::string schema;     // the schema's name in events.
  std::string name;
  std::string condition;  // empty: all rows.
  uint64_t rate = 0;      // rows a second; 0: no limit.
  BackfillState state = BackfillState::kRequested;
  std::vector<std::string> cursor;  // read on after this key; empty: from the begin.
  std::vector<std::pair<uint64_t, std::string>> again;  // keys to read again, with numbers.
  uint64_t rows = 0;
  int64_t estimate = -1;   // number of all rows; -1: unknown.
  std::string shape;       // hash of the table's files, names and keys.
  uint64_t barrier = 0;    // read no row before all older transactions end.
  std::string error;       // that delays the backfill, or has ended it.
  std::string held_up_by;  // what the backfill waits for; not saved.
  bool has_key = true;     // false: read at once, before all changes.
};

// What to read from one table.
struct ReadRequest {
  enum class Kind { kScan, kAgain, kCheck } kind = Kind::kScan;
  int64_t id = 0;
  uint64_t generation = 0;
  BackfillRecord table;             // current state; cursor: where the scan continues
  std::vector<std::string> keys{};  // kAgain
  size_t most_bytes = SIZE_MAX;     // of one read
};

// The rows read for a request.
struct ReadResult {
  ReadRequest request;
  std::vector<Chunk> rows{};
  RowsRead read{};
  std::string shape{};
};

// Reads with one snapshot, and the number of their mark.
struct Round {
  uint64_t number = 0;
  std::optional<Snapshot> snapshot{};
  std::vector<ReadResult> reads{};
  size_t bytes = 0;
};

class Ledger {
 public:
  // Limits for all tables together: `kept_bytes` of changes that are kept, `key_bytes` of keys to
  // read again.
  explicit Ledger(size_t kept_bytes, size_t key_bytes)
      : budget_{kept_bytes}, key_budget_{key_bytes} {}

  // Source's thread ------------------------------------------------------------------------------

  // Replaces all state with that of the database. The database's progress of `wrong` is wrong: they
  // begin again.
  void load(std::vector<BackfillRecord> records, const std::set<int64_t>& wrong = {});

  // The stream was interrupted and continues: missing marks are no longer expected.
  void reconnect();

  void observe(const Chunk& chunk, uint32_t open_xid);
  std::vector<Chunk> place(uint64_t number, const Mark& mark);
  // For a table without a key. begin_first(): placing begins. place_first(): `rows` rows are
  // placed; `end`: the last ones.
  void begin_first(int64_t id);
  void place_first(int64_t id, uint64_t rows, bool end);
  void placed(uint64_t pushed);
  bool handled(uint64_t events);  // whether that changed anything
  Lsn hold() const;

  // That transaction changed the table of requests.
  void look(uint32_t xid);

  // Reader's thread ------------------------------------------------------------------------------

  // Adds a request that was found. `again`: it begins again with a changed table, so it has no
  // cursor, and its saved keys are forgotten. From now on, deliveries of its table are observed.
  void add(BackfillRecord record, bool again = false);

  // A barrier is about to be taken for these. Later deliveries may be newer than the barrier.
  void ask_barrier(const std::vector<int64_t>& ids);

  // The state in the table of requests has changed.
  void set_state(int64_t id, BackfillState state);
  void set_barrier(int64_t id, uint64_t barrier);
  void set_shape(int64_t id, std::string shape);
  void set_error(int64_t id, std::string error, bool ends);
  void set_held_up(int64_t id, std::string by);

  // A snapshot was just taken. Backfills whose barrier the snapshot has passed begin to run.
  void use_snapshot(const Snapshot& snapshot);

  // What to read next: at most `tables` tables, of which at most `large` are large.
  std::vector<ReadRequest> next(size_t tables, size_t large, TimePoint now);

  // Reads nothing of the table before this time.
  void rest(int64_t id, TimePoint until);

  // The round was read. Its mark may come at any time from now on.
  void add_round(Round round);

  // These requests could not be read.
  void give_back(const std::vector<ReadRequest>& requests);

  // The number of observed events of the stream. Any thread.
  uint64_t observed() const { return observed_.load(std::memory_order_relaxed); }

  size_t waiting_rounds() const;
  size_t waiting_bytes() const;

  // Changes since the last save. Then saved() gets the result, and returns whether the backfill has
  // ended.
  struct Unsaved {
    BackfillRecord record;
    uint64_t version = 0;
    std::vector<std::string> cursor;
    KeyChanges keys;
  };
  std::vector<Unsaved> unsaved();
  bool saved(int64_t id, uint64_t version, bool good);

  // Backfills that hold back the slot. give_up() releases the slot: these backfills begin again.
  // any_wrong() is true until the database has that.
  std::set<int64_t> holding() const;
  void give_up(const std::set<int64_t>& ids);
  bool any_wrong() const;

  // Backfills that began again since the last call, because of too many keys to read again.
  std::vector<BackfillRecord> begun_again();

  // Unfinished requests, for status reports. Any thread.
  std::vector<BackfillRecord> records() const;
  bool any_unfinished() const { return unfinished_.load(); }
  std::vector<uint32_t> looks() const;
  // The table of requests cannot be read.
  void give_up_looks();
  void looked(const Snapshot& snapshot);

 private:
  // A position in the order of the key.
  struct Cursor {
    std::vector<std::string> after;  // empty: the begin.
    bool end = false;                // the end of the table was reached.
    uint64_t rows = 0;
  };
  struct Target {
    Target(KeptBudget& changes, KeptBudget& keys) : kept(changes), again(keys) {}

    BackfillRecord record;
    uint64_t generation = 0;         // reads of an older generation are void.
    uint64_t record_generation = 0;  // placements of an older one are void.
    bool keeping = false;            // keep deliveries; false: only keys to read again.
    Kept kept;
    ReadAgain again;
    bool asked_barrier = false;    // before it, a table without rows read needs no keys.
    uint64_t restarted = 0;        // first version after a restart; 0: it is saved.
    bool wrong = false;            // the slot was released before that was saved.
    bool ending = false;           // every sink has all rows; not saved yet.
    bool end_saving = false;       // the end is being saved.
    size_t most_bytes = SIZE_MAX;  // of one read.
    Cursor read;                   // where the next scan continues.
    Cursor placed;                 // placed in the stream.
    Cursor durable;                // every sink has it.
    bool reading_again = false;
    bool checking = false;  // until the check is durable
    TimePoint rests_until{};
    uint64_t version = 1;  // of the state to save
    uint64_t saved = 0;
    Lsn unsaved_key;  // commit of the first transaction that added a key since the last save began
    Lsn saving_key;   // likewise, for the save under way
  };
  struct Placing {
    int64_t id;
    uint64_t generation;
    Cursor cursor;
    std::vector<std::pair<std::string, uint64_t>> keys;  // with the number of its placement
    bool done;
    uint64_t pushed;
  };

  Target* find(int64_t id);
  std::vector<Target*> find(const Table& table);
  void observe(Target& target, uint32_t xid, const Event& event, const EventDetail& detail,
               const std::shared_ptr<const Table>& table);
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
  std::deque<Round> rounds_;      // read; wait for their marks
  std::vector<Placing> placing_;  // of the last mark
  std::deque<Placing> placings_;  // not done by every sink
  size_t waiting_bytes_ = 0;
  uint64_t generations_ = 0;
  int64_t last_read_ = 0;  // id of the table read last, for fairness
  std::vector<uint32_t> looks_;
  std::atomic<bool> unfinished_{false};
  std::atomic<bool> observing_{false};
  std::atomic<uint64_t> observed_{0};
};

}  // namespace walspout
