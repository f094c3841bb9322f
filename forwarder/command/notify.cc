#include "command/notify.h"

#include <systemd/sd-daemon.h>

#include <cstdlib>
#include <ctime>

#include "base/log.h"

namespace walspout {

namespace {

constexpr Duration kStatusInterval = std::chrono::seconds(10);

}  // namespace

Notifier::Notifier() : interval_(kStatusInterval) {
  const char* socket = std::getenv("NOTIFY_SOCKET");
  listened_to_ = socket != nullptr && *socket != '\0';
  if (!listened_to_) return;
  uint64_t micros = 0;
  if (sd_watchdog_enabled(0, &micros) > 0) {
    watchdog_ = std::chrono::microseconds(micros);
    // Half of the time, as sd_watchdog_enabled(3) advises; half of that is how late a thread may
    // be.
    interval_ = std::min(interval_, watchdog_ / 2);
  }
  next_ = Clock::now();
}

void Notifier::ready() {
  sd_notify(0, "READY=1");
}

void Notifier::reloading() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int64_t micros = static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  sd_notify(0, ("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(micros)).c_str());
}

void Notifier::stopping() {
  stopping_ = true;
  status_ = "draining";
  sd_notify(0, "STOPPING=1\nSTATUS=draining");
}

void Notifier::tick(const Pipelines::List& pipelines, TimePoint now) {
  if (now < next_) return;
  next_ = now + interval_;
  if (!stopping_) say_status(pipelines);
  if (watchdog_ == Duration::zero()) return;
  for (const auto& pipeline : pipelines) {
    const std::string thread = pipeline->late_thread(now, watchdog_ / 2);
    if (thread.empty()) continue;
    if (!std::exchange(hang_reported_, true)) {
      log(LogLevel::kError, "a thread hangs, the watchdog will end this process",
          {{"pipeline", pipeline->config().name}, {"at", thread}});
    }
    return;
  }
  hang_reported_ = false;
  sd_notify(0, "WATCHDOG=1");
}

void Notifier::say_status(const Pipelines::List& pipelines) {
  size_t streaming = 0;
  size_t sinks = 0;
  size_t failing = 0;
  for (const auto& pipeline : pipelines) {
    streaming += pipeline->input().stats().state == SourcePhase::kStreaming ? 1 : 0;
    for (size_t i = 0; i < pipeline->config().sinks.size(); i++) {
      const SinkState state = pipeline->sink_stats(i).state;
      sinks++;
      failing += state != SinkState::kConnecting && state != SinkState::kDelivering ? 1 : 0;
    }
  }
  std::string status = std::to_string(streaming) + " of " + std::to_string(pipelines.size()) +
                       " pipelines streaming, " + std::to_string(failing) + " of " +
                       std::to_string(sinks) + " sinks failing";
  if (status == status_) return;
  status_ = std::move(status);
  sd_notify(0, ("STATUS=" + status_).c_str());
}

}  // namespace walspout
