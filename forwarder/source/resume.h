// Where to go on after a connection has been made, and whether to go on at all: decided from what
// is known of the slot's past and what the server says now. The slot is the truth: what is
// remembered here may only make it repeat less, or find a gap that nothing else would notice.
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

// Where a server's history left a timeline.
struct TimelineSwitch {
  std::string timeline;
  Lsn left;
};

// Of the server, when a connection has been made.
struct ServerState {
  std::string system;  // the cluster's identifier
  std::string timeline;
  Lsn wal_end;            // flushed
  Lsn slot_confirmed;     // confirmed_flush_lsn
  std::string slot_user;  // the process that has it; empty: none
  bool slot_streamed =
      false;  // by a walsender, and not by a query, nor by the session that makes it
  bool in_recovery = false;
  std::vector<TimelineSwitch> history{};  // oldest first; empty: none, or it is not known
  Milliseconds timeout{0};                // how long it waits for us; 0: for ever
  std::string started{};                  // when the server was
};

// A transaction that was received.
struct Received {
  Lsn lsn;  // 0: none. As in the events' ids
  Lsn end;
  int64_t time = 0;  // of the commit

  bool operator==(const Received&) const = default;
};

// What the server was last told of the slot: only we move it, so it is at most there.
struct SlotRecord {
  std::string system;
  std::string timeline;
  Lsn told;               // written down before the server is told
  Lsn began{};            // the timeline; 0: the first one, or it is not known
  Received last{};        // one of the latest transactions before `told`
  std::string options{};  // with which it was received
};

// Of this process, since it started.
struct ReceivedState {
  bool any = false;  // whether there has been a connection before
  std::string system;
  std::string timeline;
  Lsn end;  // transactions that end up to here have been received completely
  std::string started{};
  Lsn last{};  // the last of these
  Lsn told{};  // the server was told at most this position of the slot
};

struct Resume {
  Lsn start;            // for START_REPLICATION; 0: where the slot is
  bool forget = false;  // positions of before mean nothing in this history
};

// What TIMELINE_HISTORY gives: lines of "timeline, tab, position, tab, reason", and whatever a
// person wrote between them.
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

// Where the server left a timeline; 0 if it never was on it.
inline Lsn left_at(const ServerState& server, std::string_view timeline) {
  for (const TimelineSwitch& step : server.history) {
    if (step.timeline == timeline) return step.left;
  }
  return {};
}

// Where a timeline began that the server was or is on; 0: the first one, or it is not known.
inline Lsn began_at(const ServerState& server, std::string_view timeline) {
  Lsn began;
  for (const TimelineSwitch& step : server.history) {
    if (step.timeline == timeline) break;
    began = step.left;
  }
  return began;
}

// Whether the server still runs that was seen when it was `started`, on `timeline`. A server that
// runs never leaves its own history: promoted, it goes on where it was, on another timeline.
inline bool still_runs(const ServerState& server, std::string_view system,
                       std::string_view timeline, std::string_view started) {
  return !started.empty() && server.started == started && server.system == system &&
         (server.timeline == timeline || left_at(server, timeline));
}

// On the same history of the same server it goes on behind the last complete transaction received,
// however far the sinks are. A slot beyond what the server was told was read by another forwarder,
// which has delivered what is queued here: that is forgotten. A server that was started again may
// be another one, restored from a backup: it sends that transaction again (ExpectedTransaction).
inline Resume resume(const ReceivedState& received, const ServerState& server) {
  if (!received.any) return {};
  const bool running = still_runs(server, received.system, received.timeline, received.started);
  if (received.system != server.system || (received.timeline != server.timeline && !running) ||
      server.wal_end < received.end || server.slot_confirmed > received.told) {
    return {{}, true};
  }
  if (received.last && received.started != server.started) return {received.last, false};
  return {received.end, false};
}

// A server that was restored to an earlier point, and has since written as much log on the same
// timeline as it had before, shows it nowhere but in the log itself. Where the slot is behind a
// transaction that was received, the server has to send just that one again.
class ExpectedTransaction {
 public:
  ExpectedTransaction() = default;

  // `start`: where it will stream from, or at the slot's position if that is later.
  ExpectedTransaction(const Received& last, Lsn start, Lsn slot_confirmed) {
    if (last.lsn && std::max(start, slot_confirmed) <= last.lsn) expected_ = last;
  }

  // A transaction came. False: another one than has to be there.
  bool came(const Received& transaction) {
    if (!expected_.lsn || transaction.lsn < expected_.lsn) return true;
    if (transaction != expected_) return false;
    expected_ = {};
    return true;
  }

  // All that the log has before `sent` has come. False: without what has to be there.
  bool sent(Lsn sent) const { return !expected_.lsn || sent < expected_.end; }

  Lsn lsn() const { return expected_.lsn; }

 private:
  Received expected_;
};

// Why what was delivered does not lead up to what this server would send next: there are changes
// that no server will send, or there were some that this server does not have. Empty if it does.
//
// `reached`: what has been received from the old server, at least `told`. `shared`: another process
// was seen to stream the slot after the record was written, and has moved it rightly.
inline std::string gap(const SlotRecord& record, Lsn reached, const ServerState& server,
                       bool shared) {
  if (record.system != server.system) {
    return "this is another server: its system identifier was " + record.system + " and is " +
           server.system + ". What the old one had and this one lacks is not known";
  }
  const Lsn left = left_at(server, record.timeline);
  const Lsn began = began_at(server, record.timeline);
  // Two recoveries that do not know of each other give their timelines the same number.
  if ((left || record.timeline == server.timeline) && began && record.began &&
      began != record.began) {
    return "this server has another history: its timeline " + record.timeline + " began at " +
           to_string(began) + ", and the one that was delivered at " + to_string(record.began) +
           ". Changes were delivered that it does not have";
  }
  if (record.timeline != server.timeline && left < reached) {
    return "this server has another history: it left timeline " + record.timeline + " at " +
           (left ? to_string(left) : "a place that it does not know") +
           ", and what was delivered reaches " + to_string(reached) +
           ". Changes were delivered that it does not have";
  }
  if (server.wal_end < reached) {
    return "the server's log ends at " + to_string(server.wal_end) +
           ", before what was delivered from it (" + to_string(reached) +
           "): it was restored from a backup, or lost its last changes in a crash. Changes were "
           "delivered that it does not have";
  }
  if (!shared && server.slot_confirmed > record.told) {
    return "the slot was re-created or moved by somebody else: it was confirmed up "
           "to " +
           to_string(record.told) + ", and is at " + to_string(server.slot_confirmed) +
           ". Changes between these are not kept for this pipeline";
  }
  return {};
}

}  // namespace walspout
