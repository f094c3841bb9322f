// The last events that passed, for people who watch them on the status page.
//
// Costs nothing while it is not watched: the reader then looks at one number for each chunk. Which
// part of an event is kept is for the configuration to say, because rows may be private.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "stream/event.h"

namespace walspout {

enum class TapLevel : int { kOff, kKeys, kRows };

struct TappedEvent {
  uint64_t number = 0;  // counts all events that were kept, from 1
  std::string id;
  char op = 0;
  std::string schema;
  std::string table;
  std::string prefix;  // of a logical message
  int64_t commit_time = 0;
  uint64_t bytes = 0;    // of the document
  std::string key;       // JSON; empty: the table has none, or the key is longer than kMostOfKey
  std::string document;  // JSON; empty: the level is kKeys, or it is longer than kMostOfDocument
};

class Tap {
 public:
  static constexpr size_t kMostOfKey = 512;         // bytes
  static constexpr size_t kMostOfDocument = 4'096;  // bytes
  static constexpr size_t kKept = 200;              // events
  static constexpr size_t kOfAChunk = 20;  // the last ones, when events come by the thousand
  static constexpr Duration kWatched = std::chrono::seconds(10);

  explicit Tap(TapLevel level) : level_(level) {}

  TapLevel level() const { return level_; }

  // From any thread. What was kept is forgotten.
  void set_level(TapLevel level);

  // Somebody looks, and will for a while. From any thread.
  void watch(TimePoint now);
  bool is_watched() const { return until_.load(std::memory_order_relaxed) != 0; }

  // On the reader's thread, while it is watched. `events` live during the call only.
  void see(std::span<const Event> events, TimePoint now);

  // Those behind a number, at most `most` of them, the newest ones; of a table SCHEMA.TABLE whose
  // name has `filter` in it. From any thread.
  std::vector<TappedEvent> events(uint64_t after, const std::string& filter, size_t most) const;

 private:
  std::atomic<TapLevel> level_;
  std::atomic<int64_t> until_{0};  // of the clock; 0: it is not watched
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::deque<TappedEvent> kept_;
};

}  // namespace walspout
