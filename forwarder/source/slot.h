// A slot as the server shows it, and our record of its past. Together they tell whether the stream
// would follow what was delivered.
//
// The record has the position last reported to the server. A state file keeps it over restarts
// (source/state_file.h). Owned by the source's thread.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/pulse.h"
#include "base/result.h"
#include "postgres/connection.h"
#include "source/config.h"
#include "source/frames.h"
#include "source/resume.h"
#include "source/state_file.h"

namespace walspout {

// Identifies a slot's sequence of events for sinks (SourceState).
inline std::string source_identity(const std::string& system, const std::string& slot,
                                   const std::string& database) {
  return system.empty() ? "" : system + " " + slot + " " + database;
}

class Slot {
 public:
  // `answer`: how long the server may take to answer. All arguments outlive this object.
  Slot(const std::string& pipeline, const SourceConfig& config, std::optional<StateFile> state,
       Duration answer, Pulse& pulse);

  // `prepare` is called before the slot is created. Error: the slot is not created now.
  void before_making(std::function<Result<void>(Connection&)> prepare) {
    prepare_ = std::move(prepare);
  }

  // `wanted`: whether to create the slot with a snapshot. `use` gets the snapshot's name and the
  // slot's first position. Error: the slot is dropped again.
  void with_snapshot(std::function<bool()> wanted,
                     std::function<Result<void>(const std::string&, Lsn)> use) {
    wants_snapshot_ = std::move(wanted);
    use_snapshot_ = std::move(use);
  }

  // Reads the saved record. Call it once, before everything else.
  Result<void> read_record();

  // Asks the server about itself, not about the slot.
  Result<ServerState> identify_server(Connection& connection) const;

  // Asks the server about itself and the slot. Creates the slot if it is missing and never existed.
  // kFatal: the slot is lost, gone, or not ours.
  Result<ServerState> look(Connection& connection);

  // Makes the slot a failover slot if the configuration says so. The slot must be free. Logs why if
  // it cannot. Fails only if the connection fails.
  Result<void> keep_on_standbys(Connection& connection, const ServerState& server);

  // For a slot that can never be streamed: drops the slot if look() has created it.
  void remove_unread(Connection& connection);

  // Asks which server it is, how far its WAL reaches, and for its timeline history.
  static Result<void> identify(Connection& connection, ServerState& state, TimePoint deadline);

  // Fails if this server's stream would not follow what was delivered. `received`: the end of what
  // this process received completely. For what a standby sent since follow() succeeded, received
  // transactions are checked instead: see check_complete().
  Result<void> look_for_gap(Connection& connection, const ServerState& server, Lsn received) const;

  // Another process streamed the slot, so the slot may rightly be ahead of the record.
  void shared() { shared_ = true; }

  // We stream the slot now, from `start` or its own position, whichever is later. Nothing else
  // moves it.
  void begin(const ServerState& server, Lsn start);

  // Up to this position the timeline of received data is known. A promoted standby continues the
  // stream on another timeline. Positions after the promotion must not be reported as positions of
  // the old timeline.
  Lsn followed() const { return standby_ ? followed_ : Lsn{UINT64_MAX}; }

  // Asks a streaming standby which timeline it is on now, on a connection beside the stream.
  // `process`: its walsender. Data up to `received` arrived before, so it belongs to this history.
  // Fails if the timeline cannot be found out now.
  Result<void> follow(Connection& beside, int process, Lsn received);

  // The timeline of received data.
  const std::string& timeline() const { return record_->timeline; }

  // A part of the transaction committed at `commit` was received. Fails if another transaction
  // should have come first.
  Result<void> check_partial(Lsn commit) const;

  // A complete transaction was received. Fails if another transaction was expected.
  Result<void> check_complete(const Commit& commit);

  // Everything before this position was received. Fails if the expected transaction was not among
  // it.
  Result<void> check_sent(Lsn sent) const;

  // Whether the expected transaction was received, or none is expected.
  bool settled() const { return !expected_.lsn(); }

  // The highest position reported to the server, by this or an earlier process. 0: unknown.
  Lsn reported() const { return record_ ? record_->reported : Lsn{}; }

  // The error: at this position the WAL is not the one that was received.
  Failure other_log(Lsn lsn) const;

  // The last transaction received.
  Lsn last() const { return last_.lsn; }

  // Saves a position that is about to be reported to the server. Returns when it is on disk.
  void save_reported(Lsn confirmed);

 private:
  Result<void> create(Connection& connection);
  Result<void> find_publications(Connection& connection);
  void keep();
  std::string how_to_go_on() const;

  const std::string& pipeline_;
  const SourceConfig& config_;
  const std::optional<StateFile> state_;
  const Duration answer_;
  Pulse& pulse_;
  const std::string options_;
  std::function<Result<void>(Connection&)> prepare_;
  std::function<bool()> wants_snapshot_;
  std::function<Result<void>(const std::string&, Lsn)> use_snapshot_;
  std::optional<SlotRecord> record_;  // none: the slot is trusted
  Received last_;
  std::deque<Received> unreported_;  // some transactions behind the reported position, oldest first
  ExpectedTransaction expected_;
  std::string started_;   // start time of the last server that streamed
  bool standby_ = false;  // whether that server was a standby at the last answer
  Lsn followed_;
  bool shared_ = false;   // another process streamed the slot after record_
  bool made_ = false;     // we created the slot, and have not streamed it since
  std::string failover_;  // true, false; empty: the server is too old
  bool unkept_said_ = false;
  bool no_failover_said_ = false;
};

}  // namespace walspout
