// The rows of tables without a key: they are read once, with the snapshot that the server exports
// when it makes the slot, and come before all changes.
//
// Without a key no row is known again, so it cannot be told which changes a row has. With that
// snapshot it can: the slot sends just what the snapshot does not see. The stream is not read until
// all of these rows are placed. A thread reads them; what waits to be placed is bounded.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backfill/ledger.h"
#include "base/lsn.h"
#include "base/result.h"
#include "base/wake.h"
#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

class FirstRows {
 public:
  // `at`: where the slot begins.
  FirstRows(SourceConfig config, std::vector<BackfillRecord> tables, Lsn at);
  ~FirstRows() { stop(); }
  FirstRows(const FirstRows&) = delete;
  FirstRows& operator=(const FirstRows&) = delete;

  // Begins to read, and returns when the snapshot is in use: the server may drop it then. An error:
  // no row was read, and none will be.
  Result<void> start(const std::string& snapshot);

  // From any thread: reading ends soon.
  void leave();
  void stop();

  struct Part {
    int64_t id = 0;  // of the backfill
    Chunk rows;
    bool end = false;  // of the table
  };
  // What is to be placed next, if it is there.
  std::optional<Part> next();

  // Whether there is more to come. Then next() has all that was read.
  bool is_over() const;

  // Why reading has ended early; empty: it has not.
  std::string failed() const;

  Lsn at() const { return at_; }

 private:
  void run(Connection connection, const std::string& message);
  Result<void> take(size_t copy, Message message, std::vector<FrameDecoder>& decoders);
  void finish(const std::string& error);

  SourceConfig config_;
  const std::vector<BackfillRecord> tables_;
  const Lsn at_;
  uint64_t index_ = 0;
  int64_t time_ = 0;
  Wake wake_;
  std::thread thread_;
  std::atomic<bool> leave_{false};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool in_use_ = false;
  bool over_ = false;
  std::string error_;
  std::deque<Part> parts_;
  size_t bytes_ = 0;
};

}  // namespace walspout
