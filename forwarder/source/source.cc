#include "source/source.h"

#include <poll.h>

#include <utility>

#include "base/log.h"

namespace walspout {

namespace {

constexpr std::string_view kObjectInUse = "55006";
constexpr Duration kGoodbye = std::chrono::seconds(2);
constexpr Duration kResolve = std::chrono::minutes(2);  // what libc may take to look up a name

// Small messages are handed over together, up to about this size: what is handed over is also what
// is freed at once.
constexpr size_t kChunkBytes = 64 * 1024;

std::string join_quoted(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    if (!list.empty()) list += ',';
    list += Connection::quote_name(name);
  }
  return list;
}

std::string join(const std::vector<std::string>& parts) {
  std::string list;
  for (const std::string& part : parts) {
    if (!list.empty()) list += ',';
    list += part;
  }
  return list;
}

}  // namespace

std::string start_replication(const SourceConfig& config, Lsn from) {
  std::string statement = "START_REPLICATION SLOT " + Connection::quote_name(config.slot) +
                          " LOGICAL " + to_string(from) + " (";
  auto option = [&](std::string_view name, const std::string& value) {
    if (statement.back() != '(') statement += ", ";
    statement += Connection::quote_name(name) + " " + Connection::quote_literal(value);
  };
  option("format", "frames");
  option("proto_version", std::to_string(kFramesVersion));
  option("batch_bytes", std::to_string(config.batch_bytes) + "B");
  if (!config.publications.empty()) option("publications", join_quoted(config.publications));
  if (!config.messages) option("messages", "false");
  if (!config.message_prefixes.empty()) option("message_prefixes", join(config.message_prefixes));
  if (config.origin != "any") option("origin", config.origin);
  if (!config.omit.empty()) option("omit", join(config.omit));
  if (config.max_value_bytes) {
    option("max_value_bytes", std::to_string(config.max_value_bytes) + "B");
  }
  if (config.user_casts) option("user_casts", "true");
  return statement + ")";
}

Source::Source(std::string pipeline, SourceConfig config, EventQueue& queue, SourceStats& stats,
               const Wake& wake, std::optional<StateFile> state, SourceTiming timing)
    : pipeline_(std::move(pipeline)),
      config_(std::move(config)),
      queue_(queue),
      stats_(stats),
      wake_(wake),
      timing_(timing),
      feedback_(timing.feedback, Clock::now()),
      backoff_(timing.reconnect),
      slot_(pipeline_, config_, std::move(state), timing.answer, stats.pulse) {}

void Source::stop(TimePoint drain_until) {
  drain_until_ = drain_until.time_since_epoch().count();
  stop_ = true;
  queue_.wake_always();
  wake_();
}

Result<void> Source::run() {
  Result<void> result = run_until_stopped();
  stats_.state = SourcePhase::kStopped;
  stats_.pulse.away();
  return result;
}

Result<void> Source::run_until_stopped() {
  if (Result<void> recalled = slot_.recall(); !recalled) {
    stats_.last_error.set(recalled.error().message());
    return recalled;
  }
  while (!stopping()) {
    const TimePoint began = Clock::now();
    Result<void> ended = stream_once();
    if (stopping()) break;
    // What went well for that long was no failed attempt, even if nothing happened.
    if (Clock::now() - began > timing_.reconnect.max) backoff_.reset();
    if (ended) continue;
    stats_.last_error.set(ended.error().message());
    if (ended.error().kind == ErrorKind::kFatal) return ended;
    stats_.state = SourcePhase::kConnecting;
    Milliseconds wait = backoff_.next();
    log(LogLevel::kWarn, "source failed, will connect again",
        {{"pipeline", pipeline_},
         {"attempt", backoff_.attempts()},
         {"wait_ms", wait.count()},
         {"error", ended.error().message()}});
    pause(wait);
  }
  return {};
}

// Connects, and streams until that ends.
Result<void> Source::stream_once() {
  Result<Connection> connection = connect();
  if (!connection) return Failure(std::move(connection.error()));

  // Whoever holds the slot may hold it for long; the connection is kept, so as to be quick. Each
  // attempt looks at the slot anew: it moves while somebody else streams it.
  ServerState server;
  Resume from;
  while (!stopping()) {
    Result<ServerState> looked = slot_.look(*connection);
    if (!looked) return Failure(std::move(looked.error()));
    server = *looked;
    feedback_.server_timeout(server.timeout);
    silence_.server_timeout(server.timeout);
    stats_.server_lsn = server.wal_end.value;
    if (!received_.any) stats_.confirmed_lsn = server.slot_confirmed.value;
    received_.end = acks_.received_end();
    received_.last = slot_.last();
    from = resume(received_, server);
    // Trying in vain would put an error into the server's log each time.
    if (server.slot_user.empty()) {
      Result<void> whole = slot_.look_for_gap(*connection, server, received_.end);
      if (!whole) return whole;
      // Nobody would read the stream: see look_aside().
      if (!queue_.has_room()) {
        stats_.last_error.set("there is no room: the sinks are behind");
        pause(timing_.slot_in_use);
        continue;
      }
      bool in_use = false;
      Result<void> started = start(*connection, from.start, in_use);
      if (started) break;
      if (!in_use) return started;
      server.slot_user = "somebody else";
    }
    // Not our own process of before, which has not noticed yet that we are gone.
    if (server.slot_streamed && server.slot_user != streamed_by_) slot_.shared();
    stats_.state = SourcePhase::kWaiting;
    stats_.last_error.set("slot \"" + config_.slot + "\" is active for PID " + server.slot_user);
    if (!waiting_said_) {
      log(LogLevel::kInfo, "slot is in use, waiting to take over",
          {{"pipeline", pipeline_}, {"slot", config_.slot}, {"active_pid", server.slot_user}});
      waiting_said_ = true;
    }
    pause(timing_.slot_in_use);
  }
  if (stopping()) return {};
  waiting_said_ = false;
  received_.any = true;
  received_.system = server.system;
  received_.timeline = server.timeline;
  received_.started = server.started;
  if (from.forget) {
    acks_.forget();
    feedback_.forget();
  }
  streamed_by_ = std::to_string(connection->server_process());
  slot_.begin(server, from.start);
  stats_.start_lsn = server.wal_end.value;
  log(LogLevel::kInfo, "streaming",
      {{"pipeline", pipeline_},
       {"slot", config_.slot},
       {"server", connection->endpoint()},
       {"slot_at", to_string(server.slot_confirmed)},
       {"from", to_string(std::max(from.start, server.slot_confirmed))}});
  stats_.state = SourcePhase::kStreaming;
  stats_.connects++;
  stats_.last_error.set("");
  Result<void> ended = stream(*connection);
  acks_.disconnect();
  return ended;
}

Result<Connection> Source::connect() {
  stats_.pulse.back_by(Clock::now() + kResolve + timing_.connect);
  return Connection::open(config_.dsn, Connection::Mode::kReplication,
                          Clock::now() + timing_.connect, wake_, [this] { return stopping(); });
}

Result<void> Source::start(Connection& connection, Lsn from, bool& in_use) {
  const TimePoint deadline = Clock::now() + timing_.answer;
  stats_.pulse.back_by(deadline);
  auto started = connection.start_streaming(start_replication(config_, from), deadline);
  if (started) return {};
  in_use = started.error().sqlstate == kObjectInUse;
  return Failure(std::move(started.error().error));
}

Result<void> Source::stream(Connection& connection) {
  decoder_.reset();
  // The server may have crashed and forgotten what it was told: it is told again at once.
  feedback_.request();
  silence_.broken(Clock::now());
  bool full = false;
  TimePoint aside;
  while (!stopping()) {
    bool room = queue_.has_room();
    if (!room && !full) {
      stats_.pauses++;
      aside = Clock::now() + timing_.full;
    }
    full = !room;
    if (full && Clock::now() >= aside) {
      Result<void> wanted = look_aside();
      if (!wanted) return wanted;
      aside = Clock::now() + timing_.full;
    }
    bool more = false;
    if (room) {
      Result<bool> received = receive(connection);
      hand_over();
      queue_.announce();
      if (!received) return Failure(std::move(received.error()));
      more = *received;
    } else {
      silence_.broken(Clock::now());
    }
    Result<void> answered = answer(connection, false);
    if (!answered) return answered;
    if (const TimePoint now = Clock::now(); silence_.is_over(now)) {
      silence_.given_up();
      const auto silent = std::chrono::duration_cast<Milliseconds>(now - silence_.since());
      return retry("the server has been silent for " + std::to_string(silent.count()) +
                       " ms, though it was asked for a reply: giving up the connection",
                   connection.endpoint());
    }
    // For messages that are in the library's buffer already, the socket would be waited for in
    // vain.
    room = queue_.has_room();
    if (room && more) continue;
    TimePoint now = Clock::now();
    Duration nap = room ? pace_.read(std::exchange(messages_, 0), now) : Duration::zero();
    if (nap > Duration::zero()) {
      if (!connection.readable()) connection.wait(false, now + nap);
    } else {
      TimePoint until = feedback_.wait_until(to_tell(), acks_.in_flight(), now);
      connection.wait(room, std::min({until, silence_.next(), full ? aside : TimePoint::max()}));
    }
  }
  drain(connection);
  return {};
}

// While nothing is read, a process of the server that has to end cannot tell us so: it waits for
// ever, and with it a checkpoint that has to remove the slot's log, or the end of the server. So
// the server is asked on the side; also how far its log reaches, which the stream does not tell
// now. An error if it is better to let go.
Result<void> Source::look_aside() {
  auto aside =
      Connection::open(config_.dsn, Connection::Mode::kOrdinary, Clock::now() + timing_.full / 2,
                       wake_, [this] { return stopping(); });
  if (!aside) return in("nothing is read, as the sinks are behind", std::move(aside.error()));
  auto slot = aside->query(
      "SELECT wal_status, CASE WHEN pg_catalog.pg_is_in_recovery() "
      "THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END "
      "FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
          Connection::quote_literal(config_.slot),
      Clock::now() + timing_.full / 2);
  if (!slot) return Failure(std::move(slot.error().error));
  if (!slot->empty()) {
    const Lsn end = parse_lsn(text(slot->front(), 1)).value_or(Lsn{});
    stats_.server_lsn = std::max(stats_.server_lsn.load(), end.value);
  }
  std::string status = slot->empty() ? "gone" : text(slot->front(), 0);
  if (status == "reserved" || status == "extended") return {};
  return retry("the sinks are behind, and slot \"" + config_.slot + "\" is " + status,
               aside->endpoint());
}

// Takes whatever has arrived, as long as there is room; whether there may be more in the buffer.
Result<bool> Source::receive(Connection& connection) {
  Result<void> read = connection.read();
  if (!read) return Failure(std::move(read.error()));
  bool heard = false;
  do {
    Result<StreamMessage> message = connection.next();
    if (!message) return Failure(std::move(message.error()));
    switch (message->kind) {
      case StreamMessage::Kind::kNone:
        if (heard) silence_.broken(Clock::now());
        return false;
      case StreamMessage::Kind::kKeepalive:
        hand_over();
        if (!decoder_.in_transaction()) {
          Result<void> whole = slot_.sent(message->server_lsn);
          if (!whole) return Failure(std::move(whole.error()));
          acks_.keepalive(message->server_lsn);
        }
        if (message->reply_requested) feedback_.request();
        break;
      case StreamMessage::Kind::kData: {
        messages_++;
        silence_.progress();
        Result<void> taken = take(std::move(message->data));
        if (!taken) return Failure(std::move(taken.error()));
        break;
      }
    }
    heard = true;
    stats_.server_lsn.store(
        std::max(stats_.server_lsn.load(std::memory_order_relaxed), message->server_lsn.value),
        std::memory_order_relaxed);
    if (feedback_.due(to_tell()) <= Clock::now()) {
      Result<void> answered = answer(connection, false);
      if (!answered) return Failure(std::move(answered.error()));
    }
  } while (queue_.has_room() && !stopping());
  silence_.broken(Clock::now());
  return true;
}

Result<void> Source::take(Message message) {
  const size_t before = chunk_.commits.size();
  Result<void> decoded = decoder_.decode(std::move(message), chunk_);
  if (!decoded) return decoded;
  for (size_t i = before; i < chunk_.commits.size(); i++) {
    Result<void> whole = slot_.came(chunk_.commits[i]);
    if (whole) continue;
    chunk_ = {};  // it is no more delivered
    return whole;
  }
  backoff_.reset();
  if (chunk_.message_bytes >= kChunkBytes) hand_over();
  return {};
}

// Puts what was received into the queue, and takes note of the transactions in it.
void Source::hand_over() {
  if (chunk_.messages.empty()) return;
  stats_.messages.fetch_add(chunk_.messages.size(), std::memory_order_relaxed);
  stats_.bytes.fetch_add(chunk_.message_bytes, std::memory_order_relaxed);
  stats_.events.fetch_add(chunk_.events.size(), std::memory_order_relaxed);
  stats_.transactions.fetch_add(chunk_.commits.size(), std::memory_order_relaxed);
  uint64_t before = 0;
  for (const Commit& commit : chunk_.commits) {
    acks_.receive(commit.events_before - before);
    acks_.commit(commit.end_lsn);
    before = commit.events_before;
  }
  acks_.receive(chunk_.events.size() - before);
  Chunk chunk = std::exchange(chunk_, Chunk{});
  if (!chunk.events.empty()) queue_.push(std::move(chunk));
}

// Sends a status update if one is due, or in any case.
Result<void> Source::answer(Connection& connection, bool now) {
  take_stock();
  TimePoint time = Clock::now();
  // Back here when the next update is due, if not before.
  stats_.pulse.back_by(time + timing_.feedback.silence);
  const bool ask = silence_.should_ask(time);
  if (!now && !ask && feedback_.due(to_tell()) > time) return {};
  const Lsn confirmed = to_tell();
  slot_.tell(confirmed);
  Result<void> sent = connection.send_status(acks_.received_end(), confirmed, ask);
  if (!sent) return sent;
  if (ask) silence_.asked(time);
  feedback_.sent(confirmed, time);
  return {};
}

// What the server may be told. A slot that may be another server's stays where it is: moved, it
// would no longer show that.
Lsn Source::to_tell() const {
  return slot_.settled() ? acks_.confirmed() : Lsn{};
}

void Source::take_stock() {
  acks_.handled(queue_.handled());
  stats_.received_lsn.store(acks_.received_end().value, std::memory_order_relaxed);
  if (acks_.confirmed()) {
    stats_.confirmed_lsn.store(acks_.confirmed().value, std::memory_order_relaxed);
  }
}

// No more is read; the sinks finish what they have, and the server is told.
void Source::drain(Connection& connection) {
  log(LogLevel::kInfo, "draining",
      {{"pipeline", pipeline_}, {"events", queue_.pushed() - queue_.handled()}});
  auto until = [this] { return TimePoint(Duration(drain_until_.load())); };
  while (!sinks_done() && !queue_.closed() && Clock::now() < until()) {
    if (!answer(connection, false)) return;
    connection.wait(false, std::min(until(), Clock::now() + std::chrono::seconds(1)));
  }
  if (!answer(connection, true)) return;
  log(LogLevel::kInfo, "stopped",
      {{"pipeline", pipeline_},
       {"confirmed", to_string(feedback_.told())},
       {"left", queue_.pushed() - queue_.handled()}});
  connection.finish_streaming(Clock::now() + kGoodbye);
}

// Sleeps, unless it is to stop.
void Source::pause(Duration time) {
  TimePoint until = Clock::now() + time;
  stats_.pulse.back_by(until);
  while (!stopping() && Clock::now() < until) {
    pollfd fd{wake_.fd(), POLLIN, 0};
    auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
    poll(&fd, 1, static_cast<int>(std::max<int64_t>(0, left)));
    if (fd.revents) wake_.clear();
  }
}

}  // namespace walspout
