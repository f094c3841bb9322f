// The backfills of a pipeline: rows that exist already, sent beside the stream.
//
// The Ledger knows how far they are, the Reader reads, and the source's thread places what was read
// where its mark comes (StreamObserver). regress/backfill_model.py is a model of the rules.
#pragma once

#include <string>
#include <vector>

#include "backfill/ledger.h"
#include "backfill/reader.h"
#include "source/observer.h"

namespace walspout {

class Backfill : public StreamObserver {
 public:
  // All are outlived by what they refer to.
  // `state`: the directory of the pipeline's state; empty: there is none.
  Backfill(std::string pipeline, SourceConfig config, const std::string& state,
           const EventQueue& queue, const SourceStats& stats);

  void start() { reader_.start(); }

  // The source has ended: saves how far the backfills are.
  void stop() { reader_.stop(); }

  // Those that are not finished. Any thread.
  std::vector<BackfillRecord> records() const { return ledger_.records(); }

  // Why they cannot go on, and the bytes of WAL that the slot keeps meanwhile. Any thread.
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
  Result<void> request_published(Connection& connection);

  const std::string pipeline_;
  const SourceConfig config_;
  const RestartFile restarts_;
  Ledger ledger_;
  Reader reader_;
  bool known_ = false;  // the database has the table of requests
};

}  // namespace walspout
