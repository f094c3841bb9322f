#include "source/slot.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/log.h"
#include "source/lost.h"
#include "source/slot_wait.h"

namespace walspout {

namespace {

constexpr std::string_view kObjectInUse = "55006";
constexpr std::string_view kFirstTimeline = "1";  // has no history file
constexpr size_t kUntold = 1000;
constexpr Duration kFollow = std::chrono::seconds(2);  // for an answer beside the stream

uint64_t number(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Equal for two configurations that request the same transactions.
std::string options(const SourceConfig& config) {
  std::string all = config.messages ? "messages " : "";
  for (const auto* list : {&config.publications, &config.message_prefixes}) {
    for (const std::string& name : *list) all += std::to_string(name.size()) + " " + name;
    all += ";";
  }
  all += config.origin;
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : all) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return std::to_string(hash);
}

}  // namespace

Slot::Slot(const std::string& pipeline, const SourceConfig& config, std::optional<StateFile> state,
           Duration answer, Pulse& pulse)
    : pipeline_(pipeline),
      config_(config),
      state_(std::move(state)),
      answer_(answer),
      pulse_(pulse),
      options_(options(config)) {}

Result<void> Slot::read_record() {
  if (!state_) return {};
  Result<std::optional<SlotRecord>> known = state_->read(config_.slot);
  if (!known) return Failure(std::move(known.error()));
  record_ = *known;
  // With other options the server need not send that transaction again.
  if (record_ && record_->options != options_) record_->last = {};
  return {};
}

Result<ServerState> Slot::identify_server(Connection& connection) const {
  const TimePoint deadline = Clock::now() + answer_;
  pulse_.set_return_time(deadline);
  ServerState state;
  auto started = connection.query("SELECT pg_catalog.pg_postmaster_start_time()", deadline);
  if (!started) return Failure(std::move(started.error().error));
  if (!started->empty()) state.started = text(started->front(), 0);
  Result<void> identified = identify(connection, state, deadline);
  if (!identified) return Failure(std::move(identified.error()));
  return state;
}

Result<ServerState> Slot::look(Connection& connection) {
  TimePoint deadline = Clock::now() + answer_;
  pulse_.set_return_time(deadline);
  ServerState state;
  auto timeout = connection.query(
      "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'", deadline);
  if (!timeout) return Failure(std::move(timeout.error().error));
  if (!timeout->empty()) state.timeout = Milliseconds(number(text(timeout->front(), 0)));

  for (int attempt = 0; attempt < 2; attempt++) {
    auto slots = connection.query(
        "SELECT plugin, database, current_database(), wal_status, confirmed_flush_lsn, active_pid, "
        "pg_catalog.pg_is_in_recovery(), EXISTS (SELECT FROM pg_catalog.pg_stat_replication "
        "WHERE pid = active_pid AND state IS DISTINCT FROM 'startup'), "
        "pg_catalog.pg_postmaster_start_time(), "
        // Older servers lack these columns.
        "pg_catalog.to_jsonb(s) ->> 'failover', pg_catalog.to_jsonb(s) ->> 'invalidation_reason', "
        "pg_catalog.to_jsonb(s) ->> 'conflicting' "
        "FROM pg_catalog.pg_replication_slots s WHERE slot_name = " +
            Connection::quote_literal(config_.slot),
        deadline);
    if (!slots) return Failure(std::move(slots.error().error));
    if (slots->empty()) {
      if (record_) {
        return fatal("slot \"" + config_.slot +
                         "\" is gone: somebody dropped it, or the server was restored or upgraded "
                         "without it. What was delivered reaches " +
                         to_string(record_->reported) +
                         "; changes after that are not kept for this pipeline. " + how_to_go_on(),
                     connection.endpoint());
      }
      Result<void> created = create(connection);
      if (!created) return Failure(std::move(created.error()));
      continue;
    }
    const Row& slot = slots->front();
    std::string plugin = text(slot, 0);
    const bool being_made = !text(slot, 1).empty() && text(slot, 3) != "lost" && !slot[4];
    if (being_made && record_) {
      return fatal("slot \"" + config_.slot + "\" is being re-created by process " + text(slot, 5) +
                       ": it was confirmed up to " + to_string(record_->reported) +
                       "; changes after that are not kept for this pipeline. " + how_to_go_on(),
                   connection.endpoint());
    }
    if (plugin != "walspout" && !(being_made && plugin.empty())) {
      return fatal(
          "slot \"" + config_.slot + "\" belongs to " +
              (plugin.empty() ? "physical replication" : "the output plugin \"" + plugin + "\"") +
              ": choose another name for `slot`",
          connection.endpoint());
    }
    if (text(slot, 1) != text(slot, 2)) {
      return fatal("slot \"" + config_.slot + "\" belongs to database \"" + text(slot, 1) +
                       "\": connect to that database, or choose another name for `slot`",
                   connection.endpoint());
    }
    if (text(slot, 3) == "lost") {
      const LostSlot lost = lost_slot(text(slot, 10), text(slot, 11));
      return fatal("slot \"" + config_.slot + "\" is lost: the server " + lost.why +
                       ". Changes after " + text(slot, 4) + " are missing. " + lost.remedy +
                       "; then SELECT pg_catalog.pg_drop_replication_slot('" + config_.slot +
                       "'). " + how_to_go_on(),
                   connection.endpoint());
    }
    failover_ = text(slot, 9);
    state.slot_confirmed = parse_lsn(text(slot, 4)).value_or(Lsn{});
    state.slot_user = text(slot, 5);
    state.in_recovery = text(slot, 6) == "t";
    state.slot_streamed = text(slot, 7) == "t";
    state.started = text(slot, 8);
    // Asked after the slot was seen free, so all that another reader delivered is before this
    // position.
    Result<void> identified = identify(connection, state, deadline);
    if (!identified) return Failure(std::move(identified.error()));
    return state;
  }
  return retry("slot \"" + config_.slot + "\" is gone right after it was created");
}

Result<void> Slot::identify(Connection& connection, ServerState& state, TimePoint deadline) {
  auto system = connection.query("IDENTIFY_SYSTEM", deadline);
  if (!system) return Failure(std::move(system.error().error));
  if (!system->empty()) {
    state.system = text(system->front(), 0);
    state.timeline = text(system->front(), 1);
    state.wal_end = parse_lsn(text(system->front(), 2)).value_or(Lsn{});
  }
  if (state.timeline == kFirstTimeline) return {};
  auto history = connection.query("TIMELINE_HISTORY " + state.timeline, deadline);
  // The server may have lost the file.
  if (!history && !connection.is_usable()) {
    return Failure(std::move(history.error().error));
  }
  if (history && !history->empty()) state.history = parse_history(text(history->front(), 1));
  return {};
}

Result<void> Slot::look_for_gap(Connection& connection, const ServerState& server,
                                Lsn received) const {
  if (!record_) return {};
  const Lsn reached = std::max(record_->reported, received);
  if (server.in_recovery && server.system == record_->system && server.wal_end < reached) {
    return retry("the standby has not replayed yet what was delivered: it is at " +
                     to_string(server.wal_end) + ", and that reaches " + to_string(reached),
                 connection.endpoint());
  }
  SlotRecord here = *record_;
  here.timeline = server.timeline;
  here.began = began_at(server, server.timeline);
  std::string why;
  if (!still_runs(server, record_->system, record_->timeline, started_)) {
    // The timeline of a standby's last data is not known.
    const Lsn known = std::max(record_->reported, std::min(received, followed()));
    why = gap(*record_, known, server, shared_);
  }
  if (why.empty()) why = gap(here, reached, server, shared_);
  if (why.empty()) return {};
  if (server.system != record_->system) {
    why += ". If pg_upgrade made it from the old one: walspout adopt CONFIG";
  }
  return fatal("slot \"" + config_.slot + "\": " + why + ". " + how_to_go_on(),
               connection.endpoint());
}

std::string Slot::how_to_go_on() const {
  return "Bring the receivers in line with the database, then " +
         (state_ ? "remove " + state_->path() + " and " : std::string()) +
         "start again. walspout continues at the slot's position, or with a new slot";
}

void Slot::begin(const ServerState& server, Lsn start) {
  const Received last = last_.lsn ? last_ : record_ ? record_->last : Received{};
  expected_ = ExpectedTransaction(last, start, server.slot_confirmed);
  Lsn reported = server.slot_confirmed;
  if (record_ && record_->system == server.system && record_->timeline == server.timeline) {
    reported = std::max(reported, record_->reported);
  }
  record_ = SlotRecord{server.system,
                       server.timeline,
                       reported,
                       began_at(server, server.timeline),
                       record_ ? record_->last : Received{},
                       options_};
  shared_ = false;
  made_ = false;
  started_ = server.started;
  standby_ = server.in_recovery;
  followed_ = reported;
  keep();
}

Result<void> Slot::follow(Connection& beside, int process, Lsn received) {
  const TimePoint deadline = Clock::now() + kFollow;
  // The order matters: a server that is no longer a standby stays on its timeline.
  auto asked = beside.query(
      "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.pg_postmaster_start_time(), "
      "(SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
          Connection::quote_literal(config_.slot) + ")",
      deadline);
  if (!asked) return Failure(std::move(asked.error().error));
  ServerState server;
  Result<void> identified = identify(beside, server, deadline);
  if (!identified) return identified;
  const Row answer = asked->empty() ? Row{} : asked->front();
  if (server.system != record_->system || text(answer, 1) != started_ ||
      text(answer, 2) != std::to_string(process)) {
    return retry("this is not the server that streams", beside.endpoint());
  }
  if (server.timeline != record_->timeline) {
    log(LogLevel::kInfo, "the server was promoted, or follows one that was",
        {{"pipeline", pipeline_}, {"slot", config_.slot}, {"timeline", server.timeline}});
    record_->timeline = server.timeline;
    record_->began = began_at(server, server.timeline);
    keep();
  }
  standby_ = text(answer, 0) == "t";
  followed_ = received;
  return {};
}

Result<void> Slot::check_partial(Lsn commit) const {
  if (expected_.lsn() && commit > expected_.lsn()) return other_log(expected_.lsn());
  return {};
}

Result<void> Slot::check_complete(const Commit& commit) {
  const Received transaction{commit.lsn, commit.end_lsn, commit.time};
  if (!expected_.matches(transaction)) return other_log(expected_.lsn());
  if (!commit.time) return {};  // a non-transactional message
  last_ = transaction;
  while (!unreported_.empty() && unreported_.back().lsn >= last_.lsn) unreported_.pop_back();
  // If there are very many, the oldest and the last are enough.
  if (unreported_.size() >= kUntold) unreported_.pop_back();
  unreported_.push_back(last_);
  return {};
}

Result<void> Slot::check_sent(Lsn sent) const {
  if (!expected_.agrees_with(sent)) return other_log(expected_.lsn());
  return {};
}

Failure Slot::other_log(Lsn lsn) const {
  return fatal("slot \"" + config_.slot + "\": the transaction at " + to_string(lsn) +
               " was delivered, and is not in this server's WAL: it was restored from a backup, "
               "and has continued since. It lacks changes that were delivered. " +
               how_to_go_on());
}

void Slot::save_reported(Lsn confirmed) {
  if (confirmed <= record_->reported) return;
  record_->reported = confirmed;
  for (; !unreported_.empty() && unreported_.front().end <= confirmed; unreported_.pop_front()) {
    record_->last = unreported_.front();
  }
  keep();
}

void Slot::keep() {
  if (!state_) return;
  Result<void> kept = state_->write(config_.slot, *record_);
  if (!kept && !unkept_said_) {
    log(LogLevel::kWarn, "no state is kept, so a re-created slot may not be noticed",
        {{"pipeline", pipeline_}, {"error", kept.error().message()}});
  }
  unkept_said_ = !kept;
}

Result<void> Slot::keep_on_standbys(Connection& connection, const ServerState& server) {
  if (!config_.failover || failover_ == "true") return {};
  std::string why;
  if (failover_.empty()) {
    why = "the server is older than PostgreSQL 17, which knows it: no standby keeps the slot";
  } else if (server.in_recovery) {
    why = "a standby cannot set it: the slot has to be one of the primary";
  } else {
    auto altered = connection.query(
        "ALTER_REPLICATION_SLOT " + Connection::quote_name(config_.slot) + " (FAILOVER true)",
        Clock::now() + answer_);
    if (altered) {
      failover_ = "true";
      log(LogLevel::kInfo, "failover of the slot is set, standbys keep it",
          {{"pipeline", pipeline_}, {"slot", config_.slot}});
      return {};
    }
    if (!connection.is_usable()) return Failure(std::move(altered.error().error));
    // The attempt to stream will report that.
    if (altered.error().sqlstate == kObjectInUse) return {};
    why = altered.error().error.message();
  }
  if (!std::exchange(no_failover_said_, true)) {
    log(LogLevel::kWarn, "failover is not in force",
        {{"pipeline", pipeline_}, {"slot", config_.slot}, {"error", why}});
  }
  return {};
}

// Without them the plugin refuses to stream, and the slot would retain WAL.
Result<void> Slot::find_publications(Connection& connection) {
  std::string wanted;
  if (!config_.tables.empty()) return {};  // it is created before the slot
  for (const std::string& name : config_.publications) {
    wanted += (wanted.empty() ? "" : ", ") + Connection::quote_literal(name);
  }
  if (wanted.empty()) return {};
  auto missing =
      connection.query("SELECT wanted.name FROM pg_catalog.unnest(ARRAY[" + wanted +
                           "]::pg_catalog.text[]) wanted(name) WHERE NOT EXISTS (SELECT FROM "
                           "pg_catalog.pg_publication p WHERE p.pubname = wanted.name)",
                       Clock::now() + answer_);
  if (!missing) return Failure(std::move(missing.error().error));
  if (missing->empty()) return {};
  const std::string name = text(missing->front(), 0);
  return retry("slot \"" + config_.slot + "\" is not created, because publication \"" + name +
                   "\" does not exist: CREATE PUBLICATION " + Connection::quote_name(name) +
                   " FOR TABLE ...",
               connection.endpoint());
}

void Slot::remove_unread(Connection& connection) {
  if (!std::exchange(made_, false)) return;
  auto dropped = connection.query("DROP_REPLICATION_SLOT " + Connection::quote_name(config_.slot),
                                  Clock::now() + answer_);
  if (dropped) {
    log(LogLevel::kInfo, "dropped the slot that was just created, because it cannot be streamed",
        {{"pipeline", pipeline_}, {"slot", config_.slot}});
    return;
  }
  log(LogLevel::kWarn, "the slot that was just created stays, and retains WAL",
      {{"pipeline", pipeline_},
       {"slot", config_.slot},
       {"error", dropped.error().error.message()}});
}

Result<void> Slot::create(Connection& connection) {
  if (!config_.create_slot) {
    return retry("slot \"" + config_.slot + "\" does not exist", connection.endpoint());
  }
  Result<void> found = find_publications(connection);
  if (found && prepare_) found = prepare_(connection);
  if (!found) return found;
  log(LogLevel::kInfo, "creating the slot waits for transactions that run now",
      {{"pipeline", pipeline_}, {"slot", config_.slot}});
  pulse_.away();
  std::optional<SlotWait> waits;
  waits.emplace(connection, config_.dsn, [this](const std::string& what) {
    log(LogLevel::kInfo, "the slot is not created yet",
        {{"pipeline", pipeline_}, {"slot", config_.slot}, {"waits_for", what}});
  });
  const bool exports = wants_snapshot_ && wants_snapshot_();
  auto created =
      connection.query("CREATE_REPLICATION_SLOT " + Connection::quote_name(config_.slot) +
                           " LOGICAL walspout " + (exports ? "" : "NO") + "EXPORT_SNAPSHOT",
                       TimePoint::max());
  waits.reset();
  if (!created) return with_prefix("could not create the slot", std::move(created.error().error));
  made_ = true;
  if (exports) {
    const Row row = created->empty() ? Row{} : created->front();
    Result<void> used = use_snapshot_(text(row, 2), parse_lsn(text(row, 1)).value_or(Lsn{}));
    if (!used) {
      remove_unread(connection);
      return with_prefix("the snapshot of the slot could not be used", std::move(used.error()));
    }
  }
  log(LogLevel::kInfo, "created the slot", {{"pipeline", pipeline_}, {"slot", config_.slot}});
  return {};
}

}  // namespace walspout
