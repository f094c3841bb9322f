// An observer of the stream that may hold back the confirmed position: a backfill, which places the
// rows that it reads among the changes. The source's thread calls all functions.
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

  // The source stops: the functions below give up waiting. From any thread.
  virtual void leave() = 0;

  // The slot is about to be created, on this connection. Error: it is not created now.
  virtual Result<void> before_slot(Connection& connection) = 0;

  // Whether to create the slot with a snapshot. If so, made_slot() gets the snapshot and the slot's
  // first position; the snapshot is valid until made_slot() returns. Error: the slot is dropped
  // again.
  virtual bool wants_snapshot() = 0;
  virtual Result<void> made_slot(const std::string& snapshot, Lsn at) = 0;

  // Rows that precede all changes. While is_first() is true, the stream is not read.
  struct FirstPart {
    Chunk rows;  // perhaps without events
    Lsn at;      // where the slot begins
  };
  virtual bool is_first() = 0;
  virtual std::optional<FirstPart> first() = 0;

  // The slot is about to be streamed. `forget`: nothing was received before, or it no longer
  // counts; then the state in the database counts. Error: the slot is not streamed now.
  virtual Result<void> begin(Connection& connection, bool forget) = 0;

  // A chunk was received, and is about to be handed over. `open_xid`: the transaction of the events
  // behind the last commit.
  virtual void observe(const Chunk& chunk, uint32_t open_xid) = 0;

  // A mark was received, and everything before it was handed over. Returns the chunks that belong
  // there.
  virtual std::vector<Chunk> mark(const Mark& mark) = 0;

  // These chunks were handed over too. `pushed`: events handed over so far.
  virtual void placed(uint64_t pushed) = 0;

  // All sinks are done with the first `events` events.
  virtual void handled(uint64_t events) = 0;

  // Nothing at or behind this position may be confirmed; 0: no limit.
  virtual Lsn hold() = 0;
};

}  // namespace walspout
