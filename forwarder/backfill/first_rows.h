// Reads the rows of tables without a key once, with the snapshot that the server exports when it
// creates the slot. The rows come before all changes.
//
// Without a key a row cannot be matched with its changes. With that snapshot it need not be: the
// slot sends exactly what the snapshot does not see. The stream is not read until all of these rows
// are placed. A separate thread reads the rows, within a bound on the memory.
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
  // `at`: the slot's first position.
  FirstRows(SourceConfig config, std::vector<BackfillRecord> tables, Lsn at);
  ~FirstRows() { stop(); }
  FirstRows(const FirstRows&) = delete;
  FirstRows& operator=(const FirstRows&) = delete;

  // Begins to read, and returns when the snapshot is in use: then the server may drop it. Error: no
  // row was or will be read.
  Result<void> start(const std::string& snapshot);

  // Ends reading soon. From any thread.
  void leave();
  void stop();

  struct Part {
    int64_t id = 0;  // of the backfill
    Chunk rows;
    bool end = false;  // of the table
  };
  // The part to place next; nothing: none is ready.
  std::optional<Part> next();

  // Whether reading has ended. Then next() has all remaining parts.
  bool is_over() const;

  // Why reading ended early; empty: it did not.
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
