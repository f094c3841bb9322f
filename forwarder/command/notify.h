// Tells the service manager, if there is one (sd_notify), when we are ready, stop, or change state.
// If it watches us, also tells it that no thread hangs.
#pragma once

#include <string>

#include "base/clock.h"
#include "pipeline/pipelines.h"

namespace walspout {

class Notifier {
 public:
  Notifier();

  void ready();
  void reloading();  // until ready()
  void stopping();

  // Call it at next(), and whenever there is time. Tells the watchdog that all is well. If a thread
  // hangs, it logs why and tells the watchdog nothing, so that the watchdog ends the process.
  void tick(const Pipelines::List& pipelines, TimePoint now);

  // TimePoint::max(): never, as nothing listens.
  TimePoint next() const { return next_; }

 private:
  void say_status(const Pipelines::List& pipelines);

  bool listened_to_ = false;
  Duration watchdog_ = Duration::zero();  // it ends us after this time without a sign; 0: off
  Duration interval_;
  TimePoint next_ = TimePoint::max();
  std::string status_;  // the last status that was sent
  bool stopping_ = false;
  bool hang_reported_ = false;  // a hanging thread was reported
};

}  // namespace walspout
