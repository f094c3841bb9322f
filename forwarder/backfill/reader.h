// The thread of the backfills: finds requests, reads rows on an ordinary connection, and saves the
// progress of each table. The thread waits for the server; the source's thread never waits for this
// one.
//
// One round reads rows of some tables with one snapshot, and commits a mark behind them. The next
// round is read while the last one waits for its mark.
#pragma once

#include <atomic>
#include <map>
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
  // All references outlive this object.
  Reader(const std::string& pipeline, const SourceConfig& config, Ledger& ledger,
         const EventQueue& queue, const SourceStats& stats, const RestartFile& restarts);
  ~Reader() { stop(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void start();

  // Saves the progress, and ends the thread. Waits a few seconds at most.
  void stop();

  // Wakes the thread, because there may be work. From any thread.
  void wake() const { wake_(); }

  // Why the thread cannot continue; empty: it can. Any thread.
  std::string trouble() const { return trouble_.get(); }

  // Bytes of WAL that the slot retains because of unsaved state. Any thread.
  uint64_t held_bytes() const;

  // The nonce in the marks of this process.
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
  std::string repeated_schemas(const Round& round) const;
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
  void log_progress();
  void wait(Duration time);

  const std::string& pipeline_;
  SourceConfig config_;  // the DSN can change
  Ledger& ledger_;
  const EventQueue& queue_;
  const SourceStats& stats_;
  const RestartFile& restarts_;
  const std::string nonce_;
  SharedText trouble_;
  std::optional<TimePoint> failing_since_;
  std::optional<TimePoint> warned_at_;
  bool save_failed_ = false;  // the last save failed
  Wake wake_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> leave_{false};  // end at once
  std::optional<Connection> connection_;
  Backoff backoff_;
  GiveWay way_;
  uint64_t marks_ = 0;
  bool more_ = false;  // some requests are not loaded yet
  bool unable_said_ = false;
  size_t tables_begun_ = 0;  // on this connection
  bool alone_ = false;       // one table a round, after a failed round
  TimePoint saved_at_;
  TimePoint looked_at_;
  TimePoint seen_at_;
  TimePoint told_at_;
  std::map<int64_t, uint64_t> told_rows_;  // rows at that time, by id
};

}  // namespace walspout
