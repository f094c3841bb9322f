// What else hears of the stream, and has a say in what is confirmed: a backfill, which places the
// rows that it reads among the changes. Functions are called by the source's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/lsn.h"
#include "base/result.h"
#include "postgres/connection.h"
#include "stream/chunk.h"

namespace walspout {

class StreamObserver {
 public:
  virtual ~StreamObserver() = default;

  // The source is to stop: what the functions below wait for is given up. From any thread.
  virtual void leave() = 0;

  // The slot is about to be made, on this connection. An error: it is not made now.
  virtual Result<void> before_slot(Connection& connection) = 0;

  // Whether the slot is to be made with a snapshot. Then made_slot() gets it, and where the slot
  // begins; the snapshot is there until that returns. An error: the slot is dropped again.
  virtual bool wants_snapshot() = 0;
  virtual Result<void> made_slot(const std::string& snapshot, Lsn at) = 0;

  // Rows that come before all changes. Until is_first() is false the stream is not read.
  struct FirstPart {
    Chunk rows;  // perhaps without events
    Lsn at;      // where the slot begins
  };
  virtual bool is_first() = 0;
  virtual std::optional<FirstPart> first() = 0;

  // The slot is about to be streamed. `forget`: what was received before means nothing, or there
  // was nothing before. Then what is kept in the database counts. An error: it is not streamed now.
  virtual Result<void> begin(Connection& connection, bool forget) = 0;

  // Has been received, and is about to be handed over. `open_xid`: the transaction of the events
  // behind the last commit.
  virtual void observe(const Chunk& chunk, uint32_t open_xid) = 0;

  // A mark has come, and all that comes before it was handed over. The chunks that belong there.
  virtual std::vector<Chunk> mark(const Mark& mark) = 0;

  // These chunks were handed over, too: so many events ever.
  virtual void placed(uint64_t pushed) = 0;

  // All sinks are done with so many events.
  virtual void handled(uint64_t events) = 0;

  // Nothing at or behind this position may be confirmed; 0: all may be.
  virtual Lsn hold() = 0;
};

}  // namespace walspout
