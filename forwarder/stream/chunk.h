// What the source reads at once: messages, and the events in them.
#pragma once

#include <cstdint>
#include <memory>
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
};

// Messages in a row and the events in them, which point into them: they live and go together.
struct Chunk {
  std::vector<Message> messages;
  std::vector<Event> events;
  std::vector<Commit> commits;
  std::vector<std::shared_ptr<const Table>> tables;  // those that the events point to
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
