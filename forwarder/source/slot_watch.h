// How much WAL the slot makes the server keep, and how much it may: asked from time to time, beside
// the stream, on a thread and a connection of its own. So the stream waits for nothing.
//
// A connection is made for each look. An ordinary connection that stays would hold up a smart
// shutdown, and a replication connection that stays would take one of max_wal_senders.
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
  // The statistics outlive it. What is found is set in them.
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
