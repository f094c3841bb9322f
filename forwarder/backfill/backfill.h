// The backfills of a pipeline: rows that exist already, sent beside the stream.
//
// The Ledger knows how far they are, the Reader reads, and the source's thread places what was read
// where its mark comes (StreamObserver). regress/backfill_model.py is a model of the rules.
#pragma once

#include <string>
#include <vector>

#include "backfill/ledger.h"
#include "backfill/reader.h"
#include "backfill/watcher.h"
#include "source/observer.h"

namespace walspout {

class Backfill : public StreamObserver {
 public:
  // All are outlived by what they refer to.
  Backfill(std::string pipeline, SourceConfig config, const EventQueue& queue,
           const SourceStats& stats);

  void start() {
    reader_.start();
    watcher_.start();
  }

  // The source has ended: saves how far the backfills are.
  void stop() {
    watcher_.stop();
    reader_.stop();
  }

  // Those that are not finished. Any thread.
  std::vector<BackfillRecord> records() const { return ledger_.records(); }

  void leave() override { watcher_.leave(); }
  Result<void> before_slot(Connection& connection) override;
  Result<void> begin(Connection& connection, bool forget) override;
  void observe(const Chunk& chunk, uint32_t open_xid) override;
  std::vector<Chunk> mark(const Mark& mark) override;
  void placed(uint64_t pushed) override;
  void handled(uint64_t events) override;
  Lsn hold() override { return ledger_.hold(); }

 private:
  Result<void> request_what_is_configured(Connection& connection);
  Result<void> request_published(Connection& connection);

  const std::string pipeline_;
  const SourceConfig config_;
  Ledger ledger_;
  Reader reader_;
  Watcher watcher_;
  bool known_ = false;  // the database has the table of requests
};

}  // namespace walspout
