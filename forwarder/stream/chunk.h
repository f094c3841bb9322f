// What the source reads at once: messages, and the events in them.
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
  Lsn lsn;                   // as in the events' ids
  Lsn end_lsn;               // the position to confirm
  size_t events_before = 0;  // how many of the chunk's events belong to it or precede it
  int64_t time = 0;          // of the commit, as in Event; 0: a message of its own
  uint32_t xid = 0;          // 0: a message of its own
};

// What a backfill needs to know of some events: of rows that it reads, of changes that lack
// columns, and of those that changed the key.
struct EventDetail {
  size_t event = 0;          // which of the chunk's
  std::string_view members;  // numbers, see source/members.h
  std::string_view old_key;  // likewise; empty: the old key is not known
  bool open_id = false;      // the document has room for its id
};

// A transaction that a backfill has committed, so as to find the place in the stream.
struct Mark {
  std::string_view content;
  Lsn lsn;  // of its commit record
  Lsn end_lsn;
  int64_t time = 0;
  uint32_t xid = 0;
};

// Messages in a row and the events in them, which point into them: they live and go together.
struct Chunk {
  std::vector<Message> messages;
  std::vector<Event> events;
  std::vector<Commit> commits;
  std::vector<std::shared_ptr<const Table>> tables;  // those that the events point to
  std::vector<EventDetail> details;                  // of those events that have some
  std::vector<Mark> marks;
  size_t message_bytes = 0;

  // What it costs to keep it.
  size_t bytes() const {
    return message_bytes + messages.size() * kMessageOverhead + events.capacity() * sizeof(Event) +
           kOverhead;
  }

 private:
  static constexpr size_t kMessageOverhead = sizeof(Message) + 64;
  static constexpr size_t kOverhead = 256;
};

}  // namespace walspout
