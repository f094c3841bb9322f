// Where to continue after a connect, and whether to continue at all. Decided from what is known of
// the slot's past and what the server says now. The slot is the truth: remembered state may only
// reduce repetition, or reveal a gap that nothing else would show.
//
// Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lsn.h"

namespace walspout {

// The position where a server's history left a timeline.
struct TimelineSwitch {
  std::string timeline;
  Lsn left;
};

// The state of the server after a connect.
struct ServerState {
  std::string system;  // the cluster's identifier
  std::string timeline;
  Lsn wal_end;            // flushed
  Lsn slot_confirmed;     // confirmed_flush_lsn
  std::string slot_user;  // the process that holds the slot; empty: none
  bool slot_streamed =
      false;  // by a walsender, not by a query or by the session that creates the slot
  bool in_recovery = false;
  std::vector<TimelineSwitch> history{};  // oldest first; empty: none, or unknown
  Milliseconds timeout{0};                // wal_sender_timeout; 0: no limit
  std::string started{};                  // start time of the server
};

// A received transaction.
struct Received {
  Lsn lsn;  // as in the events' ids; 0: none
  Lsn end;
  int64_t time = 0;  // of the commit

  bool operator==(const Received&) const = default;
};

// The position of the slot last reported to the server. Only we move the slot, so it is never
// beyond.
struct SlotRecord {
  std::string system;
  std::string timeline;
  Lsn reported;           // saved before the server gets it
  Lsn began{};            // first position of the timeline; 0: timeline 1, or unknown
  Received last{};        // one of the last transactions before `reported`
  std::string options{};  // that `last` was received with
};

// The state of this process, since it started.
struct ReceivedState {
  bool any = false;  // whether there has been a connection before
  std::string system;
  std::string timeline;
  Lsn end;  // all transactions that end up to here were received completely
  std::string started{};
  Lsn last{};      // the last of these transactions
  Lsn reported{};  // the highest position reported to the server
};

struct Resume {
  Lsn start;            // for START_REPLICATION; 0: the slot's position
  bool forget = false;  // earlier positions have no meaning in this history
};

// Parses the result of TIMELINE_HISTORY: lines of "timeline, tab, position, tab, reason". Other
// lines may stand between them.
inline std::vector<TimelineSwitch> parse_history(std::string_view text) {
  std::vector<TimelineSwitch> history;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    std::string_view left = line.substr(tab + 1);
    left = left.substr(0, left.find('\t'));
    if (std::optional<Lsn> lsn = parse_lsn(left)) {
      history.push_back({std::string(line.substr(0, tab)), *lsn});
    }
  }
  return history;
}

// Where the server left a timeline; 0: it was never on that timeline.
inline Lsn left_at(const ServerState& server, std::string_view timeline) {
  for (const TimelineSwitch& step : server.history) {
    if (step.timeline == timeline) return step.left;
  }
  return {};
}

// Where a timeline of the server's history began; 0: timeline 1, or unknown.
inline Lsn began_at(const ServerState& server, std::string_view timeline) {
  Lsn began;
  for (const TimelineSwitch& step : server.history) {
    if (step.timeline == timeline) break;
    began = step.left;
  }
  return began;
}

// Whether this is still the same run of the server, started at `started` and then on `timeline`. A
// running server never leaves its history: when promoted, it continues from its position on another
// timeline.
inline bool still_runs(const ServerState& server, std::string_view system,
                       std::string_view timeline, std::string_view started) {
  return !started.empty() && server.started == started && server.system == system &&
         (server.timeline == timeline || left_at(server, timeline));
}

// On the same history of the same server, continues after the last complete transaction received,
// however far the sinks are. If the slot is beyond the position that we reported, another forwarder
// has read it and delivered what is queued here. Then the queued events are forgotten. A restarted
// server may be another one, restored from a backup: it has to send the last transaction again
// (ExpectedTransaction).
inline Resume resume(const ReceivedState& received, const ServerState& server) {
  if (!received.any) return {};
  const bool running = still_runs(server, received.system, received.timeline, received.started);
  if (received.system != server.system || (received.timeline != server.timeline && !running) ||
      server.wal_end < received.end || server.slot_confirmed > received.reported) {
    return {{}, true};
  }
  if (received.last && received.started != server.started) return {received.last, false};
  return {received.end, false};
}

// A server restored to an earlier point may since have written as much WAL on the same timeline as
// before. Only the WAL itself shows that. If the slot is behind a received transaction, the server
// has to send exactly this transaction again.
class ExpectedTransaction {
 public:
  ExpectedTransaction() = default;

  // `start`: the requested position. The stream begins there or at the slot's position, whichever
  // is later.
  ExpectedTransaction(const Received& last, Lsn start, Lsn slot_confirmed) {
    if (last.lsn && std::max(start, slot_confirmed) <= last.lsn) expected_ = last;
  }

  // A transaction was received. False: it is not the expected one.
  bool matches(const Received& transaction) {
    if (!expected_.lsn || transaction.lsn < expected_.lsn) return true;
    if (transaction != expected_) return false;
    expected_ = {};
    return true;
  }

  // Everything in the WAL before `sent` was received. False: the expected transaction was not among
  // it.
  bool agrees_with(Lsn sent) const { return !expected_.lsn || sent < expected_.end; }

  Lsn lsn() const { return expected_.lsn; }

 private:
  Received expected_;
};

// Why this server's stream does not follow what was delivered: changes are lost, or delivered
// changes are missing on this server. Empty: the stream follows.
//
// `reached`: the end of what was received from the old server, at least `reported`. `shared`:
// another process streamed the slot after the record was written, so it may have moved the slot.
inline std::string gap(const SlotRecord& record, Lsn reached, const ServerState& server,
                       bool shared) {
  if (record.system != server.system) {
    return "this is another server: its system identifier was " + record.system + " and is " +
           server.system + ". Which changes of the old one this one lacks is not known";
  }
  const Lsn left = left_at(server, record.timeline);
  const Lsn began = began_at(server, record.timeline);
  // Two independent recoveries can give their timelines the same number.
  if ((left || record.timeline == server.timeline) && began && record.began &&
      began != record.began) {
    return "this server has another history: its timeline " + record.timeline + " began at " +
           to_string(began) + ", and the one that was delivered at " + to_string(record.began) +
           ". It lacks changes that were delivered";
  }
  if (record.timeline != server.timeline && left < reached) {
    return "this server has another history: it left timeline " + record.timeline + " at " +
           (left ? to_string(left) : "a place that it does not know") +
           ", and what was delivered reaches " + to_string(reached) +
           ". It lacks changes that were delivered";
  }
  if (server.wal_end < reached) {
    return "the server's WAL ends at " + to_string(server.wal_end) +
           ", before what was delivered from it (" + to_string(reached) +
           "): it was restored from a backup, or lost its last changes in a crash. It lacks "
           "changes "
           "that were delivered";
  }
  if (!shared && server.slot_confirmed > record.reported) {
    return "the slot was re-created or moved by somebody else: it was confirmed up "
           "to " +
           to_string(record.reported) + ", and is at " + to_string(server.slot_confirmed) +
           ". Changes between these are not kept for this pipeline";
  }
  return {};
}

}  // namespace walspout
