// How far a consumer's partitions were read, and how far every sink is done with them.
//
// The queue counts events over all partitions, and knows how many of them the sinks are done with.
// This class maps such counts to offsets. Pure; not synchronized.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace walspout {

class KafkaOffsets {
 public:
  static constexpr int64_t kUnknown = -1;

  struct Place {
    int64_t next = kUnknown;       // the offset to read next; unknown: the first offset.
    int64_t durable = kUnknown;    // the sinks are done with all before it.
    int64_t committed = kUnknown;  // likewise, and committed to the group.
    int64_t end = kUnknown;        // of the partition, as far as known.
    uint64_t events = 0;           // the queue's count after this partition's last event
    uint64_t generation = 0;
    bool touched = false;  // since pushed() was called last
  };
  using Key = std::pair<std::string, int32_t>;  // topic, partition

  // A partition is ours, and is read from `next` on.
  void assign(const Key& key, int64_t next);
  void revoke(const Key& key);
  void clear();

  // Null: the partition is not ours. The pointer is valid until the partition is revoked.
  Place* find(const Key& key);
  const std::map<Key, Place>& all() const { return places_; }

  // Whether a message with that offset is new.
  static bool is_new(const Place& place, int64_t offset) { return offset >= place.next; }

  // A message was taken over, or there is no message before `next`.
  void take(Place& place, int64_t offset, int64_t next);

  // All taken messages are among the first `events` events of the queue.
  void pushed(uint64_t events);

  // The sinks are done with the first `events` events.
  void handled(uint64_t events);

  // Events that the sinks are not done with were discarded: they are read again.
  void forget();

  // The partition ends at `end`; kUnknown is ignored.
  void ends(const Key& key, int64_t end);

  // Offsets that are not committed to the group yet.
  std::vector<std::pair<Key, int64_t>> to_commit() const;
  void committed(const Key& key, int64_t offset);

  // Messages that the sinks are not done with.
  uint64_t lag() const;

 private:
  struct Mark {
    uint64_t events;
    Key key;
    uint64_t generation;
    int64_t next;
  };

  std::map<Key, Place> places_;
  std::deque<Mark> marks_;  // in the order of their counts
  uint64_t generation_ = 0;
  bool touched_ = false;  // whether any place is touched
};

}  // namespace walspout
