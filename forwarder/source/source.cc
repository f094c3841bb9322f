#include "source/source.h"

#include <poll.h>

#include <utility>

#include "base/log.h"

namespace walspout {

namespace {

constexpr std::string_view kObjectInUse = "55006";
constexpr std::string_view kSyntaxError = "42601";
constexpr std::string_view kDataException = "22";  // SQLSTATE class: an invalid option
constexpr Duration kGoodbye = std::chrono::seconds(2);
constexpr Duration kStale = std::chrono::milliseconds(400);  // shorter than a takeover
constexpr Duration kWell = std::chrono::minutes(1);
constexpr int kUnanswered = 3;
constexpr Duration kResolve = std::chrono::minutes(2);  // libc may take so long for a name

// Small messages are handed over together, up to about this size. They are also freed together.
constexpr size_t kChunkBytes = 64 * 1024;

}  // namespace

Source::Source(std::string pipeline, SourceConfig config, EventQueue& queue, SourceStats& stats,
               const Wake& wake, std::optional<StateFile> state, SourceTiming timing,
               StreamObserver* observer)
    : pipeline_(std::move(pipeline)),
      config_(std::move(config)),
      queue_(queue),
      stats_(stats),
      wake_(wake),
      timing_(timing),
      observer_(observer),
      feedback_(timing.feedback, Clock::now()),
      aside_(config_),
      backoff_(timing.reconnect),
      slot_(pipeline_, config_, std::move(state), timing.answer, stats.pulse),
      claim_(pipeline_) {
  if (!observer_) return;
  slot_.before_making(
      [this](Connection& connection) { return observer_->before_slot(connection); });
  slot_.with_snapshot(
      [this] { return observer_->wants_snapshot(); },
      [this](const std::string& snapshot, Lsn at) { return observer_->made_slot(snapshot, at); });
}

void Source::renew() {
  renew_ = true;
  wake_();
}

void Source::stop(TimePoint drain_until) {
  drain_until_ = drain_until.time_since_epoch().count();
  stop_ = true;
  if (observer_) observer_->leave();
  queue_.wake_always();
  wake_();
}

Result<void> Source::run() {
  queue_.fence().close();
  Result<void> result = run_until_stopped();
  queue_.fence().close();
  claim_.release();
  stats_.state = SourcePhase::kStopped;
  stats_.pulse.away();
  return result;
}

Result<void> Source::run_until_stopped() {
  if (Result<void> recalled = slot_.read_record(); !recalled) {
    stats_.last_error.set(recalled.error().message());
    return recalled;
  }
  while (!stopping()) {
    const TimePoint began = Clock::now();
    Result<void> ended = stream_once();
    if (stopping()) break;
    if (has_gone_well(began)) backoff_.reset();
    if (ended) continue;
    if (ended.error().kind == ErrorKind::kFatal && leads_elsewhere()) {
      ended = Failure(refused_dsn(std::move(ended.error())));
    }
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

// Whether a connection made at `since` counts as success, even without new data.
bool Source::has_gone_well(TimePoint since) const {
  return caught_up_ && Clock::now() - since > std::min<Duration>(timing_.reconnect.max, kWell);
}

// Whether the DSN's file was changed, and names another server than the one streamed from last.
bool Source::leads_elsewhere() const {
  return received_.any && !config_.dsn.file().empty() && Place::of(config_.dsn) != place_;
}

// An error that would stop the pipeline may be a mistake in that file. Then it only has to be
// retried until the file is fixed.
Error Source::refused_dsn(Error error) const {
  error.kind = ErrorKind::kRetry;
  error.blamed = Scope::kConfiguration;
  error.what = "the DSN in " + config_.dsn.file() +
               " has changed and leads elsewhere, where this pipeline cannot go on. It waits until "
               "the file has the right one, and keeps its position. What is wrong there: " +
               error.what;
  return error;
}

// Connects, and streams until that ends.
Result<void> Source::stream_once() {
  caught_up_ = false;
  Result<Connection> connection = connect();
  if (!connection) {
    // The DSN worked before, so an operator may fix the path to the server.
    if (received_.any) connection.error().kind = ErrorKind::kRetry;
    return Failure(std::move(connection.error()));
  }

  // Claim before the slot is created: another pipeline that finds it half created would wait for
  // it.
  const Result<ServerState> met = slot_.identify_server(*connection);
  if (!met) return Failure(met.error());
  if (Result<void> claimed = claim(*connection, *met); !claimed) return claimed;

  // Another reader may hold the slot for long. We keep the connection to take over quickly. Each
  // attempt looks at the slot again, because the slot moves while another process streams it.
  ServerState server;
  Resume from;
  while (!stopping()) {
    const TimePoint looked_at = boot_time();
    Result<ServerState> looked = slot_.look(*connection);
    if (!looked) return Failure(std::move(looked.error()));
    server = *looked;
    feedback_.server_timeout(server.timeout);
    silence_.server_timeout(server.timeout);
    stop_signs_.server_timeout(server.timeout);
    stats_.server_lsn = server.wal_end.value;
    if (!received_.any) stats_.confirmed_lsn = server.slot_confirmed.value;
    received_.end = acks_.received_end();
    received_.last = slot_.last();
    if (received_.any) received_.timeline = slot_.timeline();
    received_.reported = slot_.reported();
    from = resume(received_, server);
    // A failing attempt would put an error into the server's log each time.
    if (server.slot_user.empty()) {
      Result<void> whole = slot_.look_for_gap(*connection, server, received_.end);
      if (!whole) return whole;
      Result<void> kept = slot_.keep_on_standbys(*connection, server);
      if (!kept) return kept;
      if (observer_) {
        Result<void> begun = observer_->begin(*connection, from.forget || !received_.any);
        if (!begun) return begun;
      }
      bool in_use = false;
      Result<void> started = start(*connection, from.start, in_use);
      if (started) started = check_start(*connection, server, looked_at);
      if (started) break;
      if (!in_use) return started;
      server.slot_user = "somebody else";
    }
    // Our own previous walsender does not count; it may not know yet that we are gone.
    if (server.slot_streamed && server.slot_user != streamed_by_) slot_.shared();
    stats_.state = SourcePhase::kWaiting;
    stats_.last_error.set("slot \"" + config_.slot + "\" is active for PID " + server.slot_user);
    if (!waiting_said_) {
      log(LogLevel::kInfo, "slot is in use, waiting to take over",
          {{"pipeline", pipeline_}, {"slot", config_.slot}, {"active_pid", server.slot_user}});
      waiting_said_ = true;
    }
    caught_up_ = true;  // waiting for the slot is no failure
    pause(timing_.slot_in_use);
  }
  if (stopping()) return {};
  waiting_said_ = false;
  go_on(*connection, server, from);
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
  queue_.announce(true);
  beside_.reset();
  queue_.fence().close();
  aside_.close();
  acks_.disconnect();
  return ended;
}

// Another pipeline of this process with this slot is no forwarder to take over from. It has other
// sinks, and ours would miss what those got.
Result<void> Source::claim(const Connection& connection, const ServerState& server) {
  const std::string other = claim_.take(server, config_.slot);
  if (other.empty()) return {};
  const std::string what = slot_is_claimed(config_.slot, other) + ": " + kOnePipeline;
  // The DSN worked before, so an operator may fix the path to the server. If the DSN's file was
  // changed, refused_dsn() names the file.
  if (received_.any && !leads_elsewhere()) return retry(what, connection.endpoint());
  return misconfigured(what, connection.endpoint());
}

// If this process was suspended between look() and start(), another reader may have used the slot
// meanwhile. Then our knowledge of the slot is stale.
Result<void> Source::check_start(const Connection& connection, const ServerState& server,
                                 TimePoint looked) {
  if (boot_time() - looked < kStale) return {};
  auto slot = look_aside(connection);
  aside_.close();
  // No answer proves nothing: the server may be slow.
  if (!slot || !*slot || (*slot)->confirmed == server.slot_confirmed) return {};
  return retry("the slot has moved meanwhile", connection.endpoint());
}

// The slot is ours. Continues from what was received before, or forgets it.
void Source::go_on(const Connection& connection, const ServerState& server, const Resume& from) {
  received_.any = true;
  received_.system = server.system;
  received_.timeline = server.timeline;
  received_.started = server.started;
  if (from.forget) {
    acks_.forget();
    feedback_.forget();
    last_event_ = {};
    last_commit_ = {};
    if (const uint64_t events = queue_.discard(); events > 0) {
      log(LogLevel::kInfo, "what was read before is discarded, it is read again from the slot",
          {{"pipeline", pipeline_},
           {"events", events},
           {"slot_at", to_string(server.slot_confirmed)}});
    }
  }
  streamed_by_ = std::to_string(connection.server_process());
  place_ = Place::of(config_.dsn);
  slot_.begin(server, from.start);
  stats_.server.set({connection.address(), connection.server_process()});
  stats_.identity.set(source_identity(server.system, config_.slot, connection.database()));
  queue_.fence().open(connection.socket(), Lease::length_for(server.timeout));
}

StreamPosition Source::position() const {
  StreamPosition at = last_event_;
  at.complete = at.lsn <= last_commit_;
  return at;
}

// Reads the DSN's file again before each connect.
void Source::renew_dsn() {
  Result<std::optional<Secret>> again = config_.dsn.reread();
  if (again && *again) {
    Result<void> good = Connection::check_dsn(**again);
    if (!good) again = with_prefix("the new DSN cannot be used, the old one stays", good.error());
    if (!good) again.error().where = config_.dsn.file();
  }
  if (!again) {
    if (dsn_said_ == again.error().message()) return;
    dsn_said_ = again.error().message();
    log(LogLevel::kWarn, "dsn is not renewed", {{"pipeline", pipeline_}, {"error", dsn_said_}});
    return;
  }
  dsn_said_.clear();
  if (!*again) return;
  config_.dsn = std::move(**again);
  log(LogLevel::kInfo, "dsn has changed, and was read again",
      {{"pipeline", pipeline_}, {"file", config_.dsn.file()}});
}

Result<Connection> Source::connect() {
  renew_dsn();
  stats_.pulse.set_return_time(Clock::now() + kResolve + timing_.connect);
  return Connection::open(rendering_dsn(config_), Connection::Mode::kReplication,
                          Clock::now() + timing_.connect, wake_, [this] { return stopping(); });
}

Result<void> Source::start(Connection& connection, Lsn from, bool& in_use) {
  const TimePoint deadline = Clock::now() + timing_.answer;
  stats_.pulse.set_return_time(deadline);
  auto started = connection.start_streaming(start_replication(config_, from), deadline);
  if (started) return {};
  const std::string& sqlstate = started.error().sqlstate;
  in_use = sqlstate == kObjectInUse;
  if (sqlstate.starts_with(kDataException) || sqlstate == kSyntaxError) {
    slot_.remove_unread(connection);
    return fatal("the server rejects an option of `source`: " + started.error().error.what,
                 connection.endpoint());
  }
  return Failure(std::move(started.error().error));
}

Result<void> Source::stream(Connection& connection) {
  decoder_.reset(position());
  // After a crash the server may have lost the reported position: report it again at once.
  feedback_.request();
  silence_.broken(Clock::now());
  stop_signs_.none();
  reading_ = true;
  unanswered_ = 0;
  asked_for_life_.reset();
  while (!stopping()) {
    queue_.fence().tick();
    const bool first = place_first();
    bool room = queue_.has_room() && !first;
    bool more = false;
    if (room) {
      reading_ = true;
      Result<bool> received = receive(connection);
      hand_over();
      announce_at_ = queue_.announce();
      if (!received) return Failure(std::move(received.error()));
      more = *received;
    } else {
      announce_at_ = queue_.announce();
      silence_.broken(Clock::now());
    }
    Result<void> seen = room ? show_life(connection) : watch(connection);
    if (!seen) return seen;
    Result<void> answered = answer(connection, false);
    if (!answered) return answered;
    const TimePoint now = Clock::now();
    if (silence_.is_over(now)) {
      silence_.given_up();
      const auto silent = std::chrono::duration_cast<Milliseconds>(now - silence_.since());
      return retry("the server has been silent for " + std::to_string(silent.count()) +
                       " ms, though it was asked for a reply: giving up the connection",
                   connection.endpoint());
    }
    if (stop_signs_.are_clear(now)) {
      return retry(
          "the server is stopping and waits for the sinks: releasing the slot, "
          "nothing more is confirmed",
          connection.endpoint());
    }
    // The socket does not show messages that are already in the library's buffer.
    room = queue_.has_room() && !first;
    if (room ? more : reading_) continue;
    Duration nap = room ? pace_.read(std::exchange(messages_, 0), now) : Duration::zero();
    if (nap > Duration::zero()) {
      if (!connection.readable()) connection.wait(false, now + nap);
    } else {
      TimePoint until = feedback_.wait_until(reportable_lsn(), acks_.in_flight(), now);
      if (must_follow()) until = std::min(until, follow_at_);
      if (asked_for_life_) until = std::min(until, *asked_for_life_ + timing_.sign);
      if (!room) until = std::min(until, look_at_);
      if (first) until = std::min(until, now + timing_.first);
      if (announce_at_) until = std::min(until, *announce_at_);
      connection.wait(room, std::min(until, silence_.next()), room ? -1 : aside_.socket());
    }
  }
  drain(connection);
  return {};
}

// While nothing is read, another connection asks whether the slot is still ours and not at risk,
// and how far the WAL reaches. Error: the slot should be released.
Result<void> Source::watch(const Connection& connection) {
  if (reading_) {
    reading_ = false;
    stats_.pauses++;
    if (aside_.socket() < 0) look_at_ = Clock::now() + timing_.unread;
  }
  if (connection.hung_up()) {
    return retry("the server has ended the stream", connection.endpoint());
  }
  const bool due = Clock::now() >= look_at_ || queue_.fence().wanted() || aside_.is_lost();
  if (!due) return {};
  auto slot = look_aside(connection);
  if (!slot) {
    return with_prefix(
        "nothing is read, because the sinks are behind. The server rejects connections, so it may "
        "be stopping: releasing the slot",
        std::move(slot.error()));
  }
  look_at_ = Clock::now() + (aside_.socket() < 0 ? timing_.full_alone : timing_.full);
  if (!*slot) {
    if (++unanswered_ < kUnanswered) return {};
    return retry(
        "nothing is read, and the server does not answer on another connection: releasing the slot",
        connection.endpoint());
  }
  unanswered_ = 0;
  const std::string& status = (*slot)->wal_status;
  if (status == "reserved" || status == "extended") return is_ours(connection, **slot);
  return retry("the sinks are behind, and slot \"" + config_.slot + "\" is " + status,
               connection.endpoint());
}

// A sink needs proof that the slot is still ours, and the server is silent. answer() first requests
// a reply on the stream. A server that works on a large transaction may not reply for long. Then we
// ask on another connection.
Result<void> Source::show_life(const Connection& connection) {
  if (!queue_.fence().wanted()) {
    asked_for_life_.reset();
    if (aside_.socket() >= 0 && Clock::now() > aside_until_) aside_.close();
    return {};
  }
  const bool asked = asked_for_life_.has_value();
  if (asked ? Clock::now() < *asked_for_life_ + timing_.sign : !queue_.fence().is_in_doubt()) {
    return {};
  }
  auto slot = look_aside(connection);
  asked_for_life_ = Clock::now();
  if (!slot || !*slot) return {};  // a reply may still come on the stream
  return is_ours(connection, **slot);
}

Result<std::optional<SlotView>> Source::look_aside(const Connection& connection) {
  if (aside_.socket() < 0) renew_dsn();
  const Duration patience = timing_.full / 2;
  stats_.pulse.set_return_time(Clock::now() + 2 * patience);
  auto slot = aside_.look(connection, patience, [this] { return queue_.closed(); });
  aside_until_ = Clock::now() + timing_.aside;
  if (slot && *slot) stats_.server_lsn = std::max(stats_.server_lsn.load(), (*slot)->end.value);
  return slot;
}

Result<void> Source::is_ours(const Connection& connection, const SlotView& slot) {
  if (slot.user != streamed_by_) {
    return retry("slot \"" + config_.slot + "\" is no longer ours", connection.endpoint());
  }
  queue_.fence().heard(true);
  return {};
}

// Takes what has arrived, while there is room. Returns whether the buffer may have more.
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
          Result<void> whole = slot_.check_sent(message->server_lsn);
          if (whole && !decoder_.may_have_sent(message->server_lsn)) {
            whole = slot_.other_log(last_event_.lsn);
          }
          if (!whole) return Failure(std::move(whole.error()));
          acks_.keepalive(message->server_lsn);
          caught_up_ = caught_up_ || message->server_lsn.value >= stats_.start_lsn;
        }
        if (message->reply_requested) {
          stop_signs_.requested(Clock::now());
          feedback_.request(stop_signs_.answer_at());
        }
        break;
      case StreamMessage::Kind::kData: {
        messages_++;
        silence_.progress();
        stop_signs_.none();
        Result<void> taken = take(std::move(message->data));
        if (!taken) return Failure(std::move(taken.error()));
        break;
      }
    }
    if (!heard) queue_.fence().heard();
    heard = true;
    stats_.server_lsn.store(
        std::max(stats_.server_lsn.load(std::memory_order_relaxed), message->server_lsn.value),
        std::memory_order_relaxed);
    if (feedback_.due(reportable_lsn()) <= Clock::now()) {
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
  if (!decoded && decoder_.is_other_log()) return slot_.other_log(last_event_.lsn);
  if (!decoded) return decoded;
  for (size_t i = before; i < chunk_.commits.size(); i++) {
    Result<void> whole = slot_.check_complete(chunk_.commits[i]);
    if (whole) continue;
    chunk_ = {};  // the chunk is not delivered
    return whole;
  }
  // A large transaction is handed over before its commit arrives.
  if (!chunk_.events.empty()) {
    Result<void> due = slot_.check_partial(chunk_.events.back().lsn);
    if (!due) {
      chunk_ = {};
      return due;
    }
  }
  // A mark is the last frame that matters in its message.
  if (!chunk_.marks.empty()) {
    Mark mark = chunk_.marks.back();
    const std::string content(mark.content);
    mark.content = content;
    hand_over();
    if (observer_) place(mark);
    return {};
  }
  if (chunk_.message_bytes >= kChunkBytes) hand_over();
  return {};
}

void Source::push_rows(Chunk rows, Lsn end) {
  std::erase_if(rows.events, [this](const Event& event) {
    return event.is_schema() && !decoder_.told_schemas().is_news(event);
  });
  const size_t events = rows.events.size();
  acks_.receive(events);
  acks_.commit(end);
  stats_.events.fetch_add(events, std::memory_order_relaxed);
  if (events > 0) queue_.push(std::move(rows));
}

// Places the rows that were read beside the stream.
void Source::place(const Mark& mark) {
  std::vector<Chunk> chunks = observer_->mark(mark);
  // If this mark comes again, the receivers may have had its rows, and their schemas, before.
  const bool has_tables = mark.content.find("|" + config_.slot + " ") != std::string_view::npos;
  if (chunks.empty() && has_tables) decoder_.told_schemas().forget();
  for (Chunk& chunk : chunks) push_rows(std::move(chunk), mark.end_lsn);
  observer_->placed(queue_.pushed());
}

// Places rows that precede all changes. Returns whether more of them will follow.
bool Source::place_first() {
  if (!observer_ || !observer_->is_first()) return false;
  while (queue_.has_room()) {
    std::optional<StreamObserver::FirstPart> part = observer_->first();
    if (!part) break;
    push_rows(std::move(part->rows), part->at);
    observer_->placed(queue_.pushed());
  }
  return observer_->is_first();
}

// Puts the received chunk into the queue, and records its transactions.
void Source::hand_over() {
  if (chunk_.messages.empty()) return;
  stats_.messages.fetch_add(chunk_.messages.size(), std::memory_order_relaxed);
  stats_.bytes.fetch_add(chunk_.message_bytes, std::memory_order_relaxed);
  stats_.events.fetch_add(chunk_.events.size(), std::memory_order_relaxed);
  stats_.transactions.fetch_add(chunk_.commits.size(), std::memory_order_relaxed);
  uint64_t before = 0;
  for (const Commit& commit : chunk_.commits) {
    // Only a complete transaction is lasting progress: the server repeats an incomplete one.
    if (commit.end_lsn > acks_.received_end()) backoff_.reset();
    acks_.receive(commit.events_before - before);
    acks_.commit(commit.end_lsn);
    before = commit.events_before;
  }
  acks_.receive(chunk_.events.size() - before);
  if (!chunk_.commits.empty()) last_commit_ = chunk_.commits.back().lsn;
  if (!chunk_.events.empty()) {
    const Event& last = chunk_.events.back();
    last_event_ = {last.lsn, last.index, last.commit_time};
    if (last.commit_time) {
      stats_.last_commit_at.store(last.commit_time, std::memory_order_relaxed);
    }
  }
  if (observer_) observer_->observe(chunk_, decoder_.in_transaction() ? decoder_.xid() : 0);
  Chunk chunk = std::exchange(chunk_, Chunk{});
  std::vector<EventDetail>().swap(chunk.details);
  if (!chunk.events.empty()) {
    queue_.push(std::move(chunk), decoder_.in_transaction());
  } else if (!decoder_.in_transaction()) {
    queue_.transaction_ended();
  }
}

// Sends a status update if it is due, or if `now` is set.
Result<void> Source::answer(Connection& connection, bool now) {
  update_handled();
  TimePoint time = Clock::now();
  // This function is called again when the next update is due, or earlier.
  stats_.pulse.set_return_time(time + timing_.feedback.silence);
  const bool ask = silence_.should_ask(time);
  const bool ask_life = reading_ && queue_.fence().wanted() && !asked_for_life_;
  if (must_follow() && (now || follow_at_ <= time)) follow(connection);
  if (!now && !ask && !ask_life && feedback_.due(reportable_lsn()) > time) return {};
  const Lsn confirmed = reportable_lsn();
  slot_.save_reported(confirmed);
  Result<void> sent = connection.send_status(acks_.received_end(), confirmed, ask || ask_life);
  if (!sent) return sent;
  if (ask) silence_.asked(time);
  if (ask_life) asked_for_life_ = time;
  stop_signs_.answered(time);
  feedback_.sent(confirmed, time);
  return {};
}

// The position that may be reported. If the server may be another one, the slot must not move: its
// old position is the proof.
Lsn Source::reportable_lsn() const {
  if (!slot_.settled()) return {};
  const Lsn hold = observer_ ? observer_->hold() : Lsn{};
  return std::min({acks_.confirmed(), slot_.followed(), hold ? hold : Lsn{UINT64_MAX}});
}

// Whether a confirmed position waits only for its timeline to be known.
bool Source::must_follow() const {
  return slot_.settled() && acks_.confirmed() > slot_.followed();
}

// Asks a standby on another connection which timeline its stream is on. Data since the last answer
// is not confirmed before. Without an answer the slot does not move.
void Source::follow(Connection& connection) {
  const TimePoint began = Clock::now();
  stats_.pulse.set_return_time(began + 3 * kGoodbye);
  const Lsn received = std::max(acks_.received_end(), acks_.confirmed());
  Result<void> followed;
  if (!beside_) {
    renew_dsn();
    auto opened = connection.beside(
        config_.dsn, Connection::Mode::kReplication, began + kGoodbye,
        [this] { return stopping() && Clock::now() >= TimePoint(Duration(drain_until_.load())); });
    if (opened) {
      beside_.emplace(std::move(*opened));
    } else {
      followed = Failure(std::move(opened.error()));
    }
  }
  if (beside_) followed = slot_.follow(*beside_, connection.server_process(), received);
  // Slow answers must not take all of the time.
  follow_at_ = Clock::now() + std::max(timing_.feedback.moved, 10 * (Clock::now() - began));
  const bool promoted = slot_.followed() > received;
  if (!followed || promoted) beside_.reset();
  if (!followed && !unfollowed_said_) {
    log(LogLevel::kWarn, "nothing is confirmed: which timeline the standby is on is not known",
        {{"pipeline", pipeline_}, {"error", followed.error().message()}});
  }
  unfollowed_said_ = !followed;
}

void Source::update_handled() {
  acks_.handled(queue_.handled());
  if (observer_) observer_->handled(queue_.handled());
  stats_.received_lsn.store(acks_.received_end().value, std::memory_order_relaxed);
  if (acks_.confirmed()) {
    stats_.confirmed_lsn.store(acks_.confirmed().value, std::memory_order_relaxed);
  }
}

// Reads nothing more. Waits while the sinks finish what they have, and confirms it.
void Source::drain(Connection& connection) {
  queue_.announce(true);
  log(LogLevel::kInfo, "draining",
      {{"pipeline", pipeline_}, {"events", queue_.pushed() - queue_.handled()}});
  auto until = [this] { return TimePoint(Duration(drain_until_.load())); };
  while (!sinks_done() && !queue_.closed() && Clock::now() < until()) {
    queue_.fence().tick();
    Result<void> going_on = answer(connection, false);
    if (going_on) going_on = watch(connection);
    if (!going_on) {
      log(LogLevel::kWarn, "the drain ends early",
          {{"pipeline", pipeline_}, {"error", going_on.error().message()}});
      return;
    }
    connection.wait(false, std::min({until(), look_at_, Clock::now() + std::chrono::seconds(1)}),
                    aside_.socket());
  }
  if (!answer(connection, true)) return;
  log(LogLevel::kInfo, "stopped",
      {{"pipeline", pipeline_},
       {"confirmed", to_string(feedback_.reported())},
       {"left", queue_.pushed() - queue_.handled()}});
  connection.finish_streaming(Clock::now() + kGoodbye);
}

// Sleeps until stop() or renew() is called.
void Source::pause(Duration time) {
  TimePoint until = Clock::now() + time;
  stats_.pulse.set_return_time(until);
  while (!stopping() && !renew_.exchange(false) && Clock::now() < until) {
    pollfd fd{wake_.fd(), POLLIN, 0};
    auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
    poll(&fd, 1, static_cast<int>(std::max<int64_t>(0, left)));
    if (fd.revents) wake_.clear();
  }
}

}  // namespace walspout
