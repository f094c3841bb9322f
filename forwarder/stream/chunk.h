// What the source reads at once: messages and their events.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/lsn.h"
#include "base/message.h"
#include "stream/event.h"

namespace walspout {

// The end of a transaction: all of its events are among those received so far.
struct Commit {
  Lsn lsn;                   // as in the events' ids.
  Lsn end_lsn;               // the position to confirm.
  size_t events_before = 0;  // the chunk's events up to its end.
  int64_t time = 0;          // of the commit, as in Event; 0: a non-transactional message.
  uint32_t xid = 0;          // 0: a non-transactional message.
};

// Details that a backfill needs for some events: rows that it reads, changes that lack columns, and
// changes of the key.
struct EventDetail {
  size_t event = 0;          // index in the chunk
  std::string_view members;  // numbers, see source/members.h
  std::string_view old_key;  // likewise; empty: the old key is unknown
  bool open_id = false;      // the document has room for its id
};

// A transaction that a backfill commits to mark a place in the stream.
struct Mark {
  std::string_view content;
  Lsn lsn;  // of its commit record
  Lsn end_lsn;
  int64_t time = 0;
  uint32_t xid = 0;
};

// Messages in a row, and their events, which point into the messages. Both have the same lifetime.
struct Chunk {
  std::vector<Message> messages;
  std::vector<Event> events;
  std::vector<Commit> commits;
  std::vector<std::shared_ptr<const Table>> tables;  // the events' tables
  std::vector<EventDetail> details;                  // of events that have details
  std::vector<Mark> marks;
  size_t message_bytes = 0;

  // The memory that the chunk takes.
  size_t bytes() const {
    return message_bytes + messages.size() * kMessageOverhead + events.capacity() * sizeof(Event) +
           kOverhead;
  }

 private:
  static constexpr size_t kMessageOverhead = sizeof(Message) + 64;
  static constexpr size_t kOverhead = 256;
};

}  // namespace walspout
