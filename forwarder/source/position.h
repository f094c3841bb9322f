// How far the server's log reaches while the stream does not say so: when reading waits for a sink,
// or there is no connection. Then the lag is of most interest, and it is asked for on a connection
// of its own.
#pragma once

#include <atomic>
#include <mutex>

#include "base/clock.h"
#include "base/secret.h"
#include "pipeline/stats.h"
#include "source/wake.h"

namespace walspout {

class ServerPosition {
 public:
  // Both are outlived by what they refer to.
  ServerPosition(const Secret& dsn, SourceStats& stats) : dsn_(dsn), stats_(stats) {}

  // Brings the statistics up to date, unless somebody did a moment ago, or is about to. Takes a
  // second at most; what cannot be found out stays as it was. From any thread but the source's.
  void refresh();

  // refresh() returns soon. From any thread.
  void stop();

 private:
  const Secret& dsn_;
  SourceStats& stats_;
  Wake wake_;
  std::mutex mutex_;
  TimePoint asked_{};
  std::atomic<bool> stopping_{false};
};

}  // namespace walspout
