// The last events of a pipeline, for people who watch them on the status page.
//
// Costs next to nothing while not watched: the reader checks one number for each chunk. The
// configuration decides which part of an event is kept, because rows may be private.
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
  uint64_t number = 0;  // counts all kept events, from 1
  std::string id;
  char op = 0;
  std::string schema;
  std::string table;
  std::string prefix;  // of a logical message
  int64_t commit_time = 0;
  uint64_t bytes = 0;    // of the document
  std::string key;       // JSON; empty: no key, or longer than kMostOfKey
  std::string document;  // JSON; empty: level kKeys, or longer than kMostOfDocument
};

class Tap {
 public:
  static constexpr size_t kMostOfKey = 512;         // bytes
  static constexpr size_t kMostOfDocument = 4'096;  // bytes
  static constexpr size_t kKept = 200;              // events
  static constexpr size_t kOfAChunk = 20;           // of a large chunk, only the last events
  static constexpr Duration kWatched = std::chrono::seconds(10);

  explicit Tap(TapLevel level) : level_(level) {}

  TapLevel level() const { return level_; }

  // Forgets the kept events. From any thread.
  void set_level(TapLevel level);

  // A person watches from now on, for kWatched. From any thread.
  void watch(TimePoint now);
  bool is_watched() const { return until_.load(std::memory_order_relaxed) != 0; }

  // Called on the reader's thread while watched. `events` live only during the call.
  void see(std::span<const Event> events, TimePoint now);

  // The newest events after a number, at most `most`, of tables whose SCHEMA.TABLE contains
  // `filter`. From any thread.
  std::vector<TappedEvent> events(uint64_t after, const std::string& filter, size_t most) const;

 private:
  std::atomic<TapLevel> level_;
  std::atomic<int64_t> until_{0};  // by the clock; 0: not watched
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::deque<TappedEvent> kept_;
};

}  // namespace walspout
