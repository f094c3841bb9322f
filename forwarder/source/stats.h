// What a slot's reader counts and says of itself, beside what every input does.
#pragma once

#include <atomic>
#include <cstdint>

#include "stream/stats.h"

namespace walspout {

struct SourceStats : InputStats {
  std::atomic<uint64_t> messages{0};
  std::atomic<uint64_t> transactions{0};
  std::atomic<uint64_t> received_lsn{0};  // end of what was received, or is known not to be there
  std::atomic<uint64_t> confirmed_lsn{0};
  std::atomic<uint64_t> server_lsn{0};  // as of the last message
  // The end of the server's log when streaming began last: 0 if unknown, kNotYet if it has not
  // begun.
  static constexpr uint64_t kNotYet = UINT64_MAX;
  std::atomic<uint64_t> start_lsn{kNotYet};
  SharedText identity;  // as of then: SourceState's
};

}  // namespace walspout
