// Where to go on after a reconnect, decided from what this process has received and what the server
// says now. The slot is the truth: what is remembered here may only make it repeat less.
//
// Pure. Field by field: a server that is another one, has another history, or whose log is shorter
// than what was received, gives no reason to skip anything.
#pragma once

#include <cstdint>
#include <string>

#include "base/lsn.h"

namespace walspout {

// Of the server, when a connection has been made.
struct ServerState {
  std::string system;  // the cluster's identifier
  std::string timeline;
  Lsn wal_end;            // flushed
  Lsn slot_confirmed;     // confirmed_flush_lsn
  std::string slot_user;  // the process that streams it; empty: none
};

// Of this process, since it started.
struct ReceivedState {
  bool any = false;  // whether there has been a connection before
  std::string system;
  std::string timeline;
  Lsn end;  // transactions that end up to here have been received completely
};

struct Resume {
  Lsn start;            // for START_REPLICATION; 0: where the slot is
  bool forget = false;  // positions of before mean nothing in this history
  std::string warning;  // something an operator must know; may be empty
};

inline Resume resume(const ReceivedState& received, const ServerState& server) {
  if (!received.any) return {};
  if (received.system != server.system) {
    return {{},
            true,
            "this is another server: its system identifier was " + received.system + " and is " +
                server.system +
                ". What the old one had and this one lacks is not known; going on where its "
                "slot is"};
  }
  Resume result{{}, true, {}};
  if (received.end && server.slot_confirmed > received.end) {
    result.warning =
        "the slot was moved or made anew by somebody else: what was received ends at " +
        to_string(received.end) + ", and the slot is at " + to_string(server.slot_confirmed) +
        ". Changes between these were not delivered by this process";
    return result;
  }
  if (received.timeline != server.timeline) return result;
  if (server.wal_end < received.end) {
    result.warning = "the server's log ends at " + to_string(server.wal_end) +
                     ", before what was received from it (" + to_string(received.end) +
                     "): it was restored from a backup, or lost its last changes in a crash";
    return result;
  }
  result.start = received.end;
  result.forget = false;
  return result;
}

}  // namespace walspout
