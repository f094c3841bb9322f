// What a slot's reader counts and says of itself, beside what every input does.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "postgres/connection.h"
#include "stream/stats.h"

namespace walspout {

// The server that streams, and the process of it that does.
struct SlotServer {
  ServerAddress address;
  int process = 0;
};

// What the server keeps for the slot, in bytes.
struct RetainedWal {
  TimePoint at{};                 // when it was asked; TimePoint{}: never
  std::string status;             // wal_status
  std::optional<uint64_t> bytes;  // from where the slot needs the log
  std::optional<uint64_t> safe;   // that may be written before the slot is lost
  std::optional<uint64_t> limit;  // nothing: there is no limit
};

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
  SharedText identity;        // as of then: SourceState's
  Shared<SlotServer> server;  // as of then
  Shared<RetainedWal> retained;
};

}  // namespace walspout
