// A second connection to the server that streams, for while the stream is not read or says nothing.
//
// A process of the server that has to end cannot tell us so while nothing is read: the process
// waits for ever. The end of the server waits with it, or a checkpoint that has to remove the
// slot's log. This connection is a replication connection, and idle: the server ends it just when
// it asks those that stream to end, and not before. An ordinary connection would hold up a smart
// shutdown.
//
// Not synchronized: the source's thread owns it.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/result.h"
#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

// Of the slot, and of the server.
struct SlotView {
  std::string wal_status;  // "gone": there is no such slot
  std::string user;        // the process that has it; empty: none
  Lsn confirmed;
  Lsn end;  // of the server's log
};

class Aside {
 public:
  explicit Aside(const SourceConfig& config) : config_(config) {}

  // Asks the server of `stream`, and connects for that if need be. Nothing if there is no answer
  // within `patience`, twice that if it has to connect. An error if the server does not let us in.
  Result<std::optional<SlotView>> look(const Connection& stream, Duration patience,
                                       const std::function<bool()>& interrupted);

  // Whether the server has ended this connection, which it does when it stops.
  bool is_lost();

  // Can be read when the server ends the connection; -1: not connected.
  int socket() const { return connection_ ? connection_->socket() : -1; }

  void close() { connection_.reset(); }

 private:
  const SourceConfig& config_;
  std::optional<Connection> connection_;
};

}  // namespace walspout
