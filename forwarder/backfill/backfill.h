// The backfills of a pipeline: existing rows, sent beside the stream.
//
// The Ledger keeps their progress, the Reader reads rows, and the source's thread places the rows
// at their mark (StreamObserver). regress/backfill_model.py is a model of the rules.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backfill/first_rows.h"
#include "backfill/ledger.h"
#include "backfill/reader.h"
#include "backfill/watcher.h"
#include "source/observer.h"

namespace walspout {

class Backfill : public StreamObserver {
 public:
  // All references outlive this object. `state`: the directory of the pipeline's state; empty: the
  // pipeline keeps no state.
  Backfill(std::string pipeline, SourceConfig config, const std::string& state,
           const EventQueue& queue, const SourceStats& stats);

  void start() {
    reader_.start();
    watcher_.start();
  }

  // Call it when the source has ended. Saves the progress of the backfills.
  void stop();

  // The unfinished backfills. Any thread.
  std::vector<BackfillRecord> records() const { return ledger_.records(); }

  void leave() override;
  bool wants_snapshot() override { return !first_tables_.empty(); }
  Result<void> made_slot(const std::string& snapshot, Lsn at) override;
  bool is_first() override { return first_ != nullptr; }
  std::optional<FirstPart> first() override;
  // Why the backfills cannot continue, and the WAL in bytes that the slot retains meanwhile. Any
  // thread.
  std::string trouble() const { return reader_.trouble(); }
  uint64_t held_bytes() const { return reader_.held_bytes(); }

  Result<void> before_slot(Connection& connection) override;
  Result<void> begin(Connection& connection, bool forget) override;
  void observe(const Chunk& chunk, uint32_t open_xid) override;
  std::vector<Chunk> mark(const Mark& mark) override;
  void placed(uint64_t pushed) override;
  void handled(uint64_t events) override;
  Lsn hold() override { return ledger_.hold(); }

 private:
  Result<void> request_what_is_configured(Connection& connection);
  SourceConfig renewed() const;
  Result<void> find_first_tables(Connection& connection);
  void begin_first();
  Result<void> request_published(Connection& connection);

  const std::string pipeline_;
  const SourceConfig config_;
  const RestartFile restarts_;
  Ledger ledger_;
  Reader reader_;
  Watcher watcher_;
  std::vector<BackfillRecord> first_tables_;  // without a key; set before the slot exists.
  std::mutex first_mutex_;                    // for leave() only.
  std::unique_ptr<FirstRows> first_;          // set while their rows are read and placed.
  std::set<int64_t> first_ended_;             // backfills whose rows are all placed.
  bool first_began_ = false;                  // some rows are placed.
  bool known_ = false;                        // the database has the table of requests
};

}  // namespace walspout
