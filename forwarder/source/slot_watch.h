// Asks at intervals how much WAL the slot retains, and how much it may retain. It uses its own
// thread and connection, so the stream does not wait.
//
// Each query makes a new connection. A permanent ordinary connection would hold up a smart
// shutdown, and a permanent replication connection would take one of max_wal_senders.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"
#include "source/config.h"
#include "source/stats.h"

namespace walspout {

class SlotWatch {
 public:
  // The results go into `stats`, which outlives this object.
  SlotWatch(std::string pipeline, const SourceConfig& config, SourceStats& stats);
  ~SlotWatch() { stop(); }
  SlotWatch(const SlotWatch&) = delete;
  SlotWatch& operator=(const SlotWatch&) = delete;

  void start();
  void stop();

 private:
  void run();
  void wait(Duration time);
  Result<void> look();

  const std::string pipeline_;
  const std::string slot_;
  Secret dsn_;
  SourceStats& stats_;
  Wake wake_;
  std::atomic<bool> stop_{false};
  std::string failed_said_;
  std::thread thread_;
};

}  // namespace walspout
