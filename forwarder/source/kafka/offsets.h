// How far the partitions of a consumer were read, and how far every sink is done with them.
//
// The queue counts events over all partitions, and says up to which one the sinks are done. This
// class ties such counts to offsets. Pure; not synchronized.
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
    int64_t next = kUnknown;       // offset that is read next; unknown: the first one there is
    int64_t durable = kUnknown;    // all before it is done with
    int64_t committed = kUnknown;  // likewise, and the group knows
    int64_t end = kUnknown;        // of the partition, as far as known
    uint64_t events = 0;           // the queue's count behind the last event of this partition
    uint64_t generation = 0;
    bool touched = false;  // since pushed() was called last
  };
  using Key = std::pair<std::string, int32_t>;  // topic, partition

  // A partition is ours, and is read from there on.
  void assign(const Key& key, int64_t next);
  void revoke(const Key& key);
  void clear();

  // Null: the partition is not ours. The place stays where it is until the partition is revoked.
  Place* find(const Key& key);
  const std::map<Key, Place>& all() const { return places_; }

  // Whether a message of that offset is new.
  static bool is_new(const Place& place, int64_t offset) { return offset >= place.next; }

  // A message was taken over, or there is none before `next`.
  void take(Place& place, int64_t offset, int64_t next);

  // All that was taken is among the first `events` events of the queue.
  void pushed(uint64_t events);

  // The sinks are done with so many.
  void handled(uint64_t events);

  // What is not done with will not be: it is read again.
  void forget();

  // The partition reaches so far; kUnknown says nothing.
  void ends(const Key& key, int64_t end);

  // What the group does not know yet.
  std::vector<std::pair<Key, int64_t>> to_commit() const;
  void committed(const Key& key, int64_t offset);

  // Messages that are not done with.
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
  bool touched_ = false;  // some place is
};

}  // namespace walspout
