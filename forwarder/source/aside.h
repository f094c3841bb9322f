// A second connection to the server that streams, for times when the stream is not read or is
// silent.
//
// While nothing is read, a walsender that has to end cannot tell us so: it waits for ever. The
// shutdown of the server waits with it, or a checkpoint that has to remove the slot's WAL. This
// connection is an idle replication connection: on shutdown the server ends it when it asks the
// streaming walsenders to end, not earlier. An ordinary connection would hold up a smart shutdown.
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

// The state of the slot and of the server.
struct SlotView {
  std::string wal_status;  // "gone": there is no such slot
  std::string user;        // the process that holds the slot; empty: none
  Lsn confirmed;
  Lsn end;  // of the server's WAL
};

class Aside {
 public:
  explicit Aside(const SourceConfig& config) : config_(config) {}

  // Asks the server of `stream`, and connects first if necessary. Nothing: no answer came within
  // `patience`, or twice that with connecting. Error: the server rejects the connection.
  Result<std::optional<SlotView>> look(const Connection& stream, Duration patience,
                                       const std::function<bool()>& interrupted);

  // Whether the server has ended this connection, which it does when it stops.
  bool is_lost();

  // Becomes readable when the server ends the connection; -1: not connected.
  int socket() const { return connection_ ? connection_->socket() : -1; }

  void close() { connection_.reset(); }

 private:
  const SourceConfig& config_;
  std::optional<Connection> connection_;
};

}  // namespace walspout
