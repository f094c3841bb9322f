// Lets people with the token pause, resume and retry sinks.
//
// The token comes in a header that browsers do not send by themselves, so pages of other sites
// cannot use it. After many wrong tokens, all tokens are rejected for a while.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "status/http_server.h"

namespace walspout {

class Pipelines;

// Compares two texts in a time that does not depend on where they differ.
bool is_same_secret(std::string_view a, std::string_view b);

// Limits failures: kAtOnce at once, then one for each interval.
class FailureLimit {
 public:
  static constexpr int kAtOnce = 10;
  static constexpr Duration kInterval = std::chrono::seconds(3);

  bool is_reached(TimePoint now);
  void failed(TimePoint now);

 private:
  void forget(TimePoint now);

  int failures_ = 0;
  TimePoint since_{};
};

class Control {
 public:
  explicit Control(const Pipelines& pipelines) : pipelines_(pipelines) {}

  // An empty token turns control off.
  void set_token(Secret token);
  bool is_on() const;

  // POST /control?pipeline=NAME&sink=NAME&action=pause|resume|retry, on the server's thread.
  // `host`: the configured one.
  Answer answer(const Request& request, std::string_view host, TimePoint now);

 private:
  Answer act(std::string_view query) const;

  const Pipelines& pipelines_;
  mutable std::mutex mutex_;
  Secret token_;
  FailureLimit limit_;
};

}  // namespace walspout
