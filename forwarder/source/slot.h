// A slot as the server shows it, and what is known of it from before: whether what it would send
// next follows what was delivered.
//
// What is known is the record of what the server was told last, which is kept over restarts where
// there is a state file (source/state_file.h). Owned by the source's thread.
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

// The sequence of events that a slot sends, as sinks know it (SourceState).
inline std::string source_identity(const std::string& system, const std::string& slot,
                                   const std::string& database) {
  return system.empty() ? "" : system + " " + slot + " " + database;
}

class Slot {
 public:
  // `answer`: how long the server may take to answer. All are outlived by what they refer to.
  Slot(const std::string& pipeline, const SourceConfig& config, std::optional<StateFile> state,
       Duration answer, Pulse& pulse);

  // What is done before the slot is made. An error: it is not made now.
  void before_making(std::function<Result<void>(Connection&)> prepare) {
    prepare_ = std::move(prepare);
  }

  // Whether the slot is made with a snapshot, and what is done with that: its name, and where the
  // slot begins. An error: the slot is dropped again.
  void with_snapshot(std::function<bool()> wanted,
                     std::function<Result<void>(const std::string&, Lsn)> use) {
    wants_snapshot_ = std::move(wanted);
    use_snapshot_ = std::move(use);
  }

  // Reads the record that is kept. Once, before all else.
  Result<void> recall();

  // What the server says of itself, and nothing of the slot.
  Result<ServerState> meet(Connection& connection) const;

  // What the server says of itself and of the slot. Makes the slot if it is missing and there never
  // was one. kFatal: the slot is lost, gone, or not ours.
  Result<ServerState> look(Connection& connection);

  // Makes the slot, which is free, one that standbys keep, if the configuration asks for that. Says
  // in the log why if it cannot. Fails if the connection does.
  Result<void> keep_on_standbys(Connection& connection, const ServerState& server);

  // It cannot be streamed, and that does not pass: drops the slot if look() has made it.
  void remove_unread(Connection& connection);

  // Which server it is, how far its log reaches, and the history of that.
  static Result<void> identify(Connection& connection, ServerState& state, TimePoint deadline);

  // Fails if what this server would send next does not follow what was delivered. `received`: what
  // was received completely, by this process. What a standby sent that was not followed since is
  // judged by the transaction that came last: see came().
  Result<void> look_for_gap(Connection& connection, const ServerState& server, Lsn received) const;

  // Somebody else was seen to stream the slot: it may be ahead of the record by good right.
  void shared() { shared_ = true; }

  // We stream it now, from `start`, or where it is if that is later: nothing else moves it.
  void begin(const ServerState& server, Lsn start);

  // How far the timeline is known of what came. A standby that is promoted goes on with the stream,
  // on another timeline: positions of after that must not be told as those of the old one.
  Lsn followed() const { return standby_ ? followed_ : Lsn{UINT64_MAX}; }

  // Asks a standby that streams, by its `process`, on a connection beside the stream which timeline
  // it is on now. Whatever came up to `received` came before, and so is of its history. Fails if
  // that is not known now.
  Result<void> follow(Connection& beside, int process, Lsn received);

  // The timeline of what came.
  const std::string& timeline() const { return record_->timeline; }

  // A part of the transaction came that is committed there. Fails if another one has to come first.
  Result<void> comes(Lsn commit) const;

  // A transaction came, complete. Fails if it should have been another one.
  Result<void> came(const Commit& commit);

  // Whatever there was before this position has come.
  Result<void> sent(Lsn sent) const;

  // Whether what came follows what was delivered, as far as can be told.
  bool settled() const { return !expected_.lsn(); }

  // The server was told at most this position, by this process or those before it. 0: unknown.
  Lsn told() const { return record_ ? record_->told : Lsn{}; }

  // The log is not the one that was received, at this position.
  Failure other_log(Lsn lsn) const;

  // The transaction that came last.
  Lsn last() const { return last_.lsn; }

  // The server is about to be told this position. Returns when that is on disk.
  void tell(Lsn confirmed);

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
  std::optional<SlotRecord> record_;  // none: the slot is believed
  Received last_;
  std::deque<Received> untold_;  // some of those behind what the server was told, oldest first
  ExpectedTransaction expected_;
  std::string started_;   // when the server was that streams, or did last
  bool standby_ = false;  // it is one, or was when it was asked last
  Lsn followed_;
  bool shared_ = false;   // somebody else streamed the slot after record_
  bool made_ = false;     // by us, and not streamed since
  std::string failover_;  // true, false; empty: the server does not know it
  bool unkept_said_ = false;
  bool no_failover_said_ = false;
};

}  // namespace walspout
