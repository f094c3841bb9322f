#include "base/farewell.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace walspout {
namespace {

std::atomic<size_t> going_on{0};

struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
};

}  // namespace

bool end_within(std::function<void()> end, Duration patience) {
  const auto shared = std::make_shared<Shared>();
  going_on++;
  const auto run = [shared, end = std::move(end)] {
    end();
    going_on--;
    const std::lock_guard lock(shared->mutex);
    shared->over = true;
    shared->changed.notify_all();
  };
  try {
    std::thread(run).detach();
  } catch (const std::system_error&) {
    run();  // no thread is available
    return true;
  }
  std::unique_lock lock(shared->mutex);
  return shared->changed.wait_until(lock, Clock::now() + patience, [&] { return shared->over; });
}

size_t threads_still_ending() {
  return going_on;
}

}  // namespace walspout
