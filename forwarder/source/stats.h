// The statistics of a slot's reader, in addition to those of every input.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "postgres/connection.h"
#include "stream/stats.h"

namespace walspout {

// The streaming server and its walsender.
struct SlotServer {
  ServerAddress address;
  int process = 0;
};

// WAL that the server retains for the slot, in bytes.
struct RetainedWal {
  TimePoint at{};                 // time of the query; TimePoint{}: never
  std::string status;             // wal_status
  std::optional<uint64_t> bytes;  // of WAL since the slot's restart_lsn
  std::optional<uint64_t> safe;   // can be written before the slot is lost
  std::optional<uint64_t> limit;  // at most; nothing: no limit
};

struct SourceStats : InputStats {
  std::atomic<uint64_t> messages{0};
  std::atomic<uint64_t> transactions{0};
  std::atomic<uint64_t> received_lsn{0};  // all before it was received, or does not exist
  std::atomic<uint64_t> confirmed_lsn{0};
  std::atomic<uint64_t> server_lsn{0};  // as of the last message
  // The end of the server's WAL when streaming last began; 0: unknown; kNotYet: never began.
  static constexpr uint64_t kNotYet = UINT64_MAX;
  std::atomic<uint64_t> start_lsn{kNotYet};
  SharedText identity;        // SourceState's identity, as of then
  Shared<SlotServer> server;  // as of then
  Shared<RetainedWal> retained;
};

}  // namespace walspout
