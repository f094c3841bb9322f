// What the service manager is told, if there is one (sd_notify): that we are ready, how we are,
// that we stop; and, if it watches us, that no thread hangs.
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

  // To be called at next(), and whenever there is time. Tells the watchdog that all is well, unless
  // a thread hangs: then it is told nothing, which makes it end us, and the log is told why.
  void tick(const Pipelines::List& pipelines, TimePoint now);

  // TimePoint::max(): never, as nothing listens.
  TimePoint next() const { return next_; }

 private:
  void say_status(const Pipelines::List& pipelines);

  bool listened_to_ = false;
  Duration watchdog_ = Duration::zero();  // without a sign for so long we are ended; 0: not watched
  Duration interval_;
  TimePoint next_ = TimePoint::max();
  std::string status_;  // as told
  bool stopping_ = false;
  bool said_ = false;  // that a thread hangs
};

}  // namespace walspout
