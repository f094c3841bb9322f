// The thread of a backfill: finds requests, reads rows on an ordinary connection, and saves how far
// each table is. It waits for the server, and the source's thread never waits for it.
//
// One round reads rows of some tables with one snapshot, and commits a mark behind them. The next
// round is read while the last one waits for its mark.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backfill/give_way.h"
#include "backfill/ledger.h"
#include "backfill/restart_file.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"
#include "postgres/connection.h"
#include "source/config.h"
#include "source/stats.h"
#include "stream/queue.h"
#include "stream/stats.h"

namespace walspout {

class Reader {
 public:
  // All are outlived by what they refer to.
  Reader(const std::string& pipeline, const SourceConfig& config, Ledger& ledger,
         const EventQueue& queue, const SourceStats& stats, const RestartFile& restarts);
  ~Reader() { stop(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void start();

  // Saves what there is to save, and ends. Waits for that, a few seconds at most.
  void stop();

  // There may be something to do. From any thread.
  void wake() const { wake_(); }

  // Why it cannot go on; empty: it can. Any thread.
  std::string trouble() const { return trouble_.get(); }

  // Bytes of WAL that the slot keeps because of what the database does not have. Any thread.
  uint64_t held_bytes() const;

  // Of the marks of this life.
  const std::string& nonce() const { return nonce_; }

 private:
  void run();
  Result<void> open();
  Result<void> work();
  Result<void> look();
  Result<void> save();
  Result<void> pass_barrier();
  Result<void> see();
  Result<bool> read();
  bool has_room() const;
  void give_way(size_t bytes, TimePoint began);
  void wait_until(TimePoint time);
  Result<void> fail(const std::vector<ReadRequest>& requests, ServerError error);
  Result<std::vector<Row>> ask(const std::string& statement);
  ServerResult<std::vector<Row>> read_rows(const std::vector<ReadRequest>& requests, Round& round);
  Result<void> understand(const std::vector<Row>& rows, const std::vector<ReadRequest>& requests,
                          Round& round, TimePoint began);
  void add(BackfillRecord record, bool again = false);
  Result<void> begin_again(const ReadRequest& request);
  void failed(const Error& error);
  void give_up();
  void tell();
  void wait(Duration time);

  const std::string& pipeline_;
  SourceConfig config_;  // the DSN may change
  Ledger& ledger_;
  const EventQueue& queue_;
  const SourceStats& stats_;
  const RestartFile& restarts_;
  const std::string nonce_;
  SharedText trouble_;
  std::optional<TimePoint> failing_since_;
  std::optional<TimePoint> warned_at_;
  bool save_failed_ = false;  // the last one
  Wake wake_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> leave_{false};  // at once
  std::optional<Connection> connection_;
  Backoff backoff_;
  GiveWay way_;
  uint64_t marks_ = 0;
  bool more_ = false;  // requests are left that were not loaded
  bool unable_said_ = false;
  size_t tables_begun_ = 0;  // on this connection
  bool alone_ = false;       // one table a round: a round has failed
  TimePoint saved_at_;
  TimePoint looked_at_;
  TimePoint seen_at_;
  TimePoint told_at_;
};

}  // namespace walspout
