// The thread that looks at the catalogs while the slot is streamed. It keeps the publication of
// `source.tables` up to date, and finds tables that have joined.
//
// Each look makes a new connection, because an open connection would hold up a smart shutdown.
// Nothing waits for this thread.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "base/wake.h"
#include "postgres/connection.h"
#include "source/config.h"
#include "source/publication.h"
#include "source/stats.h"

namespace walspout {

class Watcher {
 public:
  // All references outlive this object.
  Watcher(const std::string& pipeline, const SourceConfig& config, const SourceStats& stats);
  ~Watcher() { stop(); }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Whether there is anything to look for.
  static bool is_wanted(const SourceConfig& config);

  void start();
  void stop();

  // Ends work under way soon. From any thread.
  void leave() {
    stop_ = true;
    wake_();
  }

  // Call it before the slot is created. Error: the slot is not created now.
  Result<void> before_slot(Connection& stream);

  // Call it before the slot is streamed: the publication must exist.
  Result<void> before_stream(Connection& stream);

 private:
  void run();
  Result<void> look();
  Result<void> look_for_new(Connection& connection);
  Result<std::string> system_of(Connection& connection);
  Result<void> know(Connection& connection, bool slot_is_new);
  Result<Connection> beside(Connection& stream);
  void log_changes(const PublicationChanges& changes);
  void wait(Duration time);

  const std::string& pipeline_;
  SourceConfig config_;  // the DSN can change
  const SourceStats& stats_;
  Wake wake_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::string left_out_said_;
  std::string failed_said_;
};

}  // namespace walspout
