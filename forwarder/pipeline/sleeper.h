// Sleeps that the end of the pipeline interrupts.
#pragma once

#include <condition_variable>
#include <mutex>

#include "pipeline/deliver.h"

namespace walspout {

class Sleeper : public Timekeeper {
 public:
  void sleep(Duration time) override {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, time, [this] { return awake_; });
  }

  // Ends all current and future sleeps. From any thread.
  void wake() {
    {
      std::lock_guard lock(mutex_);
      awake_ = true;
    }
    woken_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  bool awake_ = false;
};

}  // namespace walspout
