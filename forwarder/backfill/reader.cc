#include "backfill/reader.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "backfill/statements.h"
#include "base/log.h"
#include "source/options.h"

namespace walspout {

namespace {

constexpr Duration kConnect = std::chrono::seconds(10);
constexpr Duration kAnswer = std::chrono::seconds(30);
constexpr Duration kGoodbye = std::chrono::milliseconds(1500);
constexpr Duration kSave = std::chrono::milliseconds(500);
constexpr Duration kLookAgain = std::chrono::seconds(5);
constexpr Duration kLookSoon = std::chrono::milliseconds(100);
constexpr Duration kSee = std::chrono::milliseconds(100);
constexpr Duration kLocked = std::chrono::seconds(5);      // until a locked table is retried
constexpr Duration kMostPause = std::chrono::seconds(10);  // between attempts
constexpr Duration kPatience = std::chrono::seconds(30);   // until a held slot counts as trouble
constexpr Duration kWarnAgain = std::chrono::minutes(10);
constexpr uint64_t kMostHeld = 1ull << 30;  // bytes of WAL
constexpr Duration kTell = std::chrono::seconds(10);
constexpr size_t kTargets = 256;
constexpr size_t kTablesAtOnce = 64;
constexpr size_t kTablesOfConnection = 2000;  // a backend caches what it knows of each table
constexpr size_t kRounds = 3;                 // waiting for their marks
constexpr size_t kMostRows = 1'000'000;
constexpr size_t kWaitingBytes = 12u << 20;
constexpr int kRoundTime = 100;                            // milliseconds
constexpr int kShortRoundTime = 5;                         // likewise, while the stream is busy
constexpr Duration kLongestWay = std::chrono::seconds(1);  // that a round waits for the sinks
constexpr uint64_t kMostLag = 256ull << 20;                // bytes of WAL that the stream may lag

std::string make_nonce() {
  std::random_device device;
  return std::to_string(uint64_t{device()} << 32 | device());
}

std::string request_names(const std::vector<ReadRequest>& requests) {
  std::string names;
  for (const ReadRequest& request : requests) {
    names += (names.empty() ? "" : ", ") + request.table.schema + "." + request.table.name;
  }
  return names;
}

// Whether the same statement may succeed later without a fix.
bool may_pass(const std::string& sqlstate) {
  for (const std::string_view state : {"08", "40", "53", "55006", "55P03", "57", "58", "XX"}) {
    if (sqlstate.starts_with(state)) return true;
  }
  return sqlstate.empty();
}

}  // namespace

Reader::Reader(const std::string& pipeline, const SourceConfig& config, Ledger& ledger,
               const EventQueue& queue, const SourceStats& stats, const RestartFile& restarts)
    : pipeline_(pipeline),
      config_(config),
      ledger_(ledger),
      queue_(queue),
      stats_(stats),
      restarts_(restarts),
      nonce_(make_nonce()),
      backoff_(BackoffConfig{}) {}

void Reader::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "backfill");
    try {
      run();
    } catch (const std::exception& error) {
      log(LogLevel::kError, "the backfill ends, a library threw",
          {{"pipeline", pipeline_}, {"error", error.what()}});
    }
  });
}

void Reader::stop() {
  stop_ = true;
  leave_ = true;
  wake_();
  if (thread_.joinable()) thread_.join();
}

void Reader::wait(Duration time) {
  pollfd fd{wake_.fd(), POLLIN, 0};
  const auto left = std::chrono::ceil<Milliseconds>(time).count();
  poll(&fd, 1, time == Duration::max() ? -1 : static_cast<int>(left));
  if (fd.revents) wake_.clear();
}

void Reader::run() {
  while (!stop_) {
    if (!ledger_.any_unfinished() && !more_) {
      connection_.reset();
      wait(Duration::max());
      continue;
    }
    // Without a stream nothing is observed.
    if (stats_.state != SourcePhase::kStreaming) {
      wait(std::chrono::milliseconds(100));
      continue;
    }
    Result<void> worked = work();
    if (worked && save_failed_) continue;  // other successful work does not count
    if (worked) {
      trouble_.set("");
      failing_since_.reset();
      warned_at_.reset();
      continue;
    }
    connection_.reset();
    if (stop_) break;
    failed(worked.error());
    const Milliseconds pause =
        std::min(backoff_.next(), std::chrono::duration_cast<Milliseconds>(kMostPause));
    log(LogLevel::kWarn, "the backfill could not continue, will try again",
        {{"pipeline", pipeline_}, {"wait_ms", pause.count()}, {"error", worked.error().message()}});
    wait(pause);
  }
  leave_ = false;
  if (ledger_.any_unfinished() && open()) (void)save();
}

uint64_t Reader::held_bytes() const {
  const Lsn hold = ledger_.hold();
  const uint64_t end = stats_.server_lsn;
  return hold && end > hold.value ? end - hold.value : 0;
}

// While keys cannot be saved, the changes delivered since must be sent again after a crash. So the
// slot retains WAL meanwhile.
void Reader::failed(const Error& error) {
  const TimePoint now = Clock::now();
  trouble_.set(error.message());
  if (!failing_since_) failing_since_ = now;
  const uint64_t held = held_bytes();
  if (held == 0 || now < *failing_since_ + kPatience) return;
  if (held > kMostHeld) give_up();
  if (warned_at_ && now < *warned_at_ + kWarnAgain) return;
  warned_at_ = now;
  const std::string remedy =
      restarts_.is_possible()
          ? "let the role connect and use walspout.backfills. Beyond 1 GiB the backfills begin "
            "again, and the WAL is released"
          : "let the role connect and use walspout.backfills, or end the backfills with walspout "
            "backfill --cancel. With `state`, backfills would begin again beyond 1 GiB, and the "
            "WAL be released";
  log(LogLevel::kWarn, "the slot keeps WAL, because a backfill cannot save its progress",
      {{"pipeline", pipeline_},
       {"slot", config_.slot},
       {"held_bytes", held},
       {"since_s", std::chrono::duration_cast<std::chrono::seconds>(now - *failing_since_).count()},
       {"error", error.message()},
       {"remedy", remedy}});
}

// The file is written first: the database's progress is wrong as soon as the WAL is gone.
void Reader::give_up() {
  if (!restarts_.is_possible()) return;
  const std::set<int64_t> ids = ledger_.holding();
  Result<void> written = restarts_.write(ids);
  if (!written) {
    log(LogLevel::kWarn, "the slot continues to keep WAL",
        {{"pipeline", pipeline_}, {"error", written.error().message()}});
    return;
  }
  log(LogLevel::kWarn,
      "backfills begin again, because the slot has kept 1 GiB of WAL for them: that WAL is "
      "released",
      {{"pipeline", pipeline_}, {"backfills", ids.size()}});
  ledger_.give_up(ids);
}

Result<void> Reader::open() {
  if (connection_) return {};
  Result<std::optional<Secret>> again = config_.dsn.reread();
  if (again && *again) config_.dsn = std::move(**again);
  auto opened = Connection::open(rendering_dsn(config_), Connection::Mode::kOrdinary,
                                 Clock::now() + (stop_ ? kGoodbye : kConnect), wake_,
                                 [this] { return leave_.load(); });
  if (!opened) return Failure(std::move(opened.error()));
  connection_.emplace(std::move(*opened));
  return {};
}

Result<void> Reader::work() {
  Result<void> opened = open();
  if (!opened) return opened;
  const TimePoint now = Clock::now();
  const bool soon = !ledger_.looks().empty() || (more_ && ledger_.records().size() < kTargets / 2);
  if (now >= looked_at_ + (soon ? kLookSoon : kLookAgain)) {
    Result<void> looked = look();
    if (!looked) return looked;
  }
  for (const BackfillRecord& record : ledger_.begun_again()) {
    log(LogLevel::kWarn,
        "the keys of more rows have changed than memory has room for: the backfill begins again",
        {{"pipeline", pipeline_},
         {"id", record.id},
         {"table", record.schema + "." + record.name},
         {"remedy", "raise `memory` where this happens often"}});
  }
  Result<void> passed = pass_barrier();
  if (passed && now >= saved_at_ + kSave) passed = save();
  if (!passed) return passed;
  log_progress();
  bool has_read = false;
  if (has_room()) {
    Result<bool> done = read();
    if (!done) return Failure(std::move(done.error()));
    has_read = *done;
  }
  if (has_read) return {};
  if (now >= seen_at_ + kSee) {
    Result<void> seen = see();
    if (!seen) return seen;
  }
  wait(std::chrono::milliseconds(50));
  return {};
}

Result<std::vector<Row>> Reader::ask(const std::string& statement) {
  auto rows = connection_->query(statement, Clock::now() + (stop_ ? kGoodbye : kAnswer));
  if (!rows) return Failure(std::move(rows.error().error));
  return std::move(*rows);
}

// Finds new requests, and requests that were canceled, paused or resumed.
Result<void> Reader::look() {
  looked_at_ = Clock::now();
  auto there = ask(find_extension());
  if (!there) return Failure(std::move(there.error()));
  if (there->empty() || text(there->front(), 0) != "t" || text(there->front(), 2) != "t") {
    // Any role can write a mark that triggers this look.
    ledger_.give_up_looks();
    if (!std::exchange(unable_said_, true)) {
      const bool missing = there->empty() || text(there->front(), 0) != "t";
      log(LogLevel::kInfo, "no backfill is possible",
          {{"pipeline", pipeline_}, {"reason", missing ? kNoExtension : kNoRights}});
    }
    return {};
  }
  auto seen = ask("SELECT pg_catalog.pg_current_snapshot(), pg_catalog.pg_is_in_recovery()");
  if (!seen) return Failure(std::move(seen.error()));
  if (!seen->empty() && text(seen->front(), 1) == "t") return retry(std::string(kNoStandby));
  const std::optional<Snapshot> snapshot =
      Snapshot::parse(seen->empty() ? "" : text(seen->front(), 0));
  if (!snapshot) return retry("the server has a snapshot that walspout cannot read");

  std::vector<int64_t> loaded;
  for (const BackfillRecord& record : ledger_.records()) loaded.push_back(record.id);
  auto states = ask(find_states(loaded));
  if (!states) return Failure(std::move(states.error()));
  for (const Row& row : *states) {
    const std::optional<BackfillState> state = backfill_state(text(row, 1));
    const int64_t id = std::stoll(text(row, 0));
    if (!state) continue;
    const auto records = ledger_.records();
    const auto known = std::find_if(records.begin(), records.end(),
                                    [id](const BackfillRecord& record) { return record.id == id; });
    if (known == records.end() || is_finished(known->state)) continue;
    const bool resumed =
        known->state == BackfillState::kPaused && *state == BackfillState::kRequested;
    if (*state == BackfillState::kCanceled || *state == BackfillState::kPaused || resumed) {
      if (known->state == *state) continue;
      ledger_.set_state(id, *state);
      log(LogLevel::kInfo, "backfill changes its state",
          {{"pipeline", pipeline_}, {"id", id}, {"state", name_of(*state)}});
    }
  }
  auto claimed = ask(std::string(kLocalCommit) + claim_requests(config_.slot, nonce_, false));
  if (!claimed) return Failure(std::move(claimed.error()));
  const size_t room = loaded.size() < kTargets ? kTargets - loaded.size() : 0;
  auto found = ask(find_requests(config_.slot, nonce_, loaded, room));
  if (!found) return Failure(std::move(found.error()));
  more_ = found->size() >= room;
  for (const Row& row : *found) {
    std::optional<BackfillRecord> record = request_of(row);
    if (!record) continue;
    log(LogLevel::kInfo, "backfill requested",
        {{"pipeline", pipeline_},
         {"id", record->id},
         {"table", record->schema + "." + record->name},
         {"estimate", record->estimate}});
    add(std::move(*record));
  }
  ledger_.looked(*snapshot);
  return {};
}

void Reader::add(BackfillRecord record, bool again) {
  const int64_t id = record.id;
  const bool gone = record.relation == 0;
  const bool has_key = record.has_key;
  ledger_.add(std::move(record), again);
  if (gone) {
    ledger_.set_error(
        id, "the table is gone. If it was re-created, request a backfill of the new one", true);
  } else if (!has_key) {
    ledger_.set_error(id, std::string(kNoKey), true);
  }
}

Result<void> Reader::save() {
  saved_at_ = Clock::now();
  const std::vector<Ledger::Unsaved> unsaved = ledger_.unsaved();
  if (unsaved.empty()) return {};
  const bool had_wrong = ledger_.any_wrong();
  std::string statement(kLocalCommit);
  for (const Ledger::Unsaved& each : unsaved) {
    statement += save_record(each.record, each.cursor, nonce_) + "; " +
                 save_keys(each.record.id, each.keys, nonce_);
  }
  auto done = ask(statement);
  for (const Ledger::Unsaved& each : unsaved) {
    if (!ledger_.saved(each.record.id, each.version, done.has_value())) continue;
    log(each.record.state == BackfillState::kFailed ? LogLevel::kError : LogLevel::kInfo,
        each.record.state == BackfillState::kFailed ? "backfill failed" : "backfill ended",
        {{"pipeline", pipeline_},
         {"id", each.record.id},
         {"table", each.record.schema + "." + each.record.name},
         {"state", name_of(each.record.state)},
         {"rows", each.record.rows},
         {"error", each.record.error}});
  }
  save_failed_ = !done;
  if (!done)
    return with_prefix("could not save the progress of the backfill", std::move(done.error()));
  if (had_wrong && !ledger_.any_wrong()) restarts_.remove();
  return {};
}

// No row is read before all transactions end that began before their table was observed. Such
// transactions may have been observed only in part, or not at all.
Result<void> Reader::pass_barrier() {
  std::vector<int64_t> fresh;
  uint64_t waits = 0;
  for (const BackfillRecord& record : ledger_.records()) {
    if (record.state == BackfillState::kWaiting && record.barrier) {
      waits = waits ? std::min(waits, record.barrier) : record.barrier;
    }
    const bool begins =
        record.state == BackfillState::kRequested || record.state == BackfillState::kWaiting;
    if (begins && !record.barrier) fresh.push_back(record.id);
  }
  if (!fresh.empty()) {
    ledger_.ask_barrier(fresh);
    auto taken = ask(std::string(kLocalCommit) + "SELECT pg_catalog.pg_current_xact_id()");
    if (!taken) return Failure(std::move(taken.error()));
    const uint64_t barrier = taken->empty() ? 0 : std::stoull(text(taken->front(), 0));
    for (const int64_t id : fresh) ledger_.set_barrier(id, barrier);
    return see();
  }
  if (!waits || Clock::now() < seen_at_ + kSee) return {};
  Result<void> seen = see();
  if (!seen) return seen;
  auto holder = ask(find_holder(waits));
  if (!holder) return Failure(std::move(holder.error()));
  const std::string by = holder->empty() ? "" : text(holder->front(), 0);
  for (const BackfillRecord& record : ledger_.records()) {
    if (record.state != BackfillState::kWaiting || record.held_up_by == by) continue;
    ledger_.set_held_up(record.id, by);
    if (by.empty()) continue;
    log(LogLevel::kInfo, "backfill waits for a transaction that is older",
        {{"pipeline", pipeline_}, {"id", record.id}, {"held_up_by", by}});
  }
  return {};
}

Result<void> Reader::see() {
  seen_at_ = Clock::now();
  auto seen = ask("SELECT pg_catalog.pg_current_snapshot()");
  if (!seen) return Failure(std::move(seen.error()));
  const auto snapshot = Snapshot::parse(seen->empty() ? "" : text(seen->front(), 0));
  if (!snapshot) return retry("the server has a snapshot that walspout cannot read");
  ledger_.use_snapshot(*snapshot);
  return {};
}

// Whether the source and the sinks can take more now.
bool Reader::has_room() const {
  if (ledger_.waiting_rounds() >= kRounds) return false;
  const size_t capacity = queue_.capacity();
  if (ledger_.waiting_bytes() >= std::min(kWaitingBytes, capacity / 4)) return false;
  if (queue_.bytes() > capacity / 2) return false;
  const uint64_t server = stats_.server_lsn;
  const uint64_t received = stats_.received_lsn;
  return server <= received + kMostLag;
}

// Reads a round, if there is something to read.
Result<bool> Reader::read() {
  const TimePoint began = Clock::now();
  const size_t workers =
      config_.backfill ? config_.backfill->workers : BackfillConfig::kDefaultWorkers;
  way_.look(ledger_.observed(), began);
  const std::vector<ReadRequest> requests =
      alone_ ? ledger_.next(1, 1, began) : ledger_.next(kTablesAtOnce, workers, began);
  if (requests.empty()) return false;
  Round round;
  round.number = ++marks_;
  auto rows = read_rows(requests, round);
  if (!rows) {
    Result<void> failed = fail(requests, std::move(rows.error()));
    if (!failed) return Failure(std::move(failed.error()));
    return true;
  }
  Result<void> understood = understand(*rows, requests, round, began);
  if (!understood) return Failure(std::move(understood.error()));
  // The mark may arrive before its statement returns.
  const uint64_t number = round.number;
  const size_t bytes = round.bytes;
  const std::string mark = nonce_ + " " + std::to_string(number) + repeated_schemas(round);
  ledger_.add_round(std::move(round));
  auto marked = ask(emit_mark(mark));
  if (!marked) {
    ledger_.give_back(requests);
    return Failure(std::move(marked.error()));
  }
  alone_ = false;
  if (!save_failed_) backoff_.reset();
  for (const ReadRequest& request : requests) tables_begun_ += request.table.cursor.empty();
  if (tables_begun_ >= kTablesOfConnection) {
    connection_.reset();
    tables_begun_ = 0;
  }
  if (way_.is_busy()) give_way(bytes, began);
  return true;
}

// The part of a mark that names the tables whose schemas come again behind it.
std::string Reader::repeated_schemas(const Round& round) const {
  if (!config_.schemas) return {};
  std::string tables = "|" + config_.slot;
  for (const ReadResult& result : round.reads) {
    if (!result.rows.empty()) tables += " " + std::to_string(result.request.table.relation);
  }
  return tables;
}

// Waits until the sinks have the round, and rests.
void Reader::give_way(size_t bytes, TimePoint began) {
  const TimePoint latest = Clock::now() + kLongestWay;
  while (!stop_ && ledger_.waiting_rounds() > 0 && Clock::now() < latest) {
    wait(std::chrono::milliseconds(5));  // until its mark arrives
  }
  const TimePoint placed = Clock::now();
  const uint64_t pushed = queue_.pushed();
  while (!stop_ && queue_.handled() < pushed && Clock::now() < latest) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const TimePoint handled = Clock::now();
  way_.handled(bytes, handled - placed);
  wait_until(handled + GiveWay::rest(handled - began));
}

void Reader::wait_until(TimePoint time) {
  for (TimePoint now = Clock::now(); now < time && !stop_; now = Clock::now()) wait(time - now);
}

// Reads rows into the round.
ServerResult<std::vector<Row>> Reader::read_rows(const std::vector<ReadRequest>& requests,
                                                 Round& round) {
  std::vector<size_t> copies;  // index of the request
  for (size_t i = 0; i < requests.size(); i++) {
    round.reads.push_back({requests[i]});
    if (requests[i].kind != ReadRequest::Kind::kCheck) copies.push_back(i);
  }
  std::vector<FrameDecoder> decoders(copies.size());
  const auto take = [&](size_t copy, Message message) -> Result<void> {
    if (copy >= copies.size()) return retry("the server sent more than was asked for");
    ReadResult& result = round.reads[copies[copy]];
    Chunk chunk;
    std::optional<RowsRead> read;
    Result<void> decoded = decoders[copy].decode_rows(std::move(message), chunk, read);
    if (!decoded) return decoded;
    if (read) result.read = std::move(*read);
    round.bytes += chunk.bytes();
    if (!chunk.events.empty()) result.rows.push_back(std::move(chunk));
    return {};
  };
  RoundLimits limits{kMostRows, way_.bytes(), way_.is_busy() ? kShortRoundTime : kRoundTime};
  limits.milliseconds /= static_cast<int>(std::clamp<size_t>(copies.size(), 1, 10));
  limits.milliseconds = std::max(limits.milliseconds, 1);
  limits.bytes /= std::clamp<size_t>(copies.size(), 1, 10);
  return connection_->copy({read_round(config_, requests, limits)}, TimePoint::max(), take);
}

// Reads the snapshot and the shapes of the tables from the server's answer.
Result<void> Reader::understand(const std::vector<Row>& rows,
                                const std::vector<ReadRequest>& requests, Round& round,
                                TimePoint began) {
  round.snapshot = Snapshot::parse(rows.empty() ? "" : text(rows.front(), 0));
  if (!round.snapshot || rows.size() != requests.size() + 1) {
    ledger_.give_back(requests);
    return retry("the server's answer to a round cannot be read");
  }
  for (size_t i = 0; i < requests.size(); i++) {
    const ReadRequest& request = requests[i];
    std::string shape;
    for (const Row& row : rows) {
      if (row.size() == 2 && text(row, 0) == std::to_string(request.id)) shape = text(row, 1);
    }
    if (request.table.shape.empty()) {
      ledger_.set_shape(request.id, shape);
    } else if (request.table.shape != shape) {
      Result<void> begun = begin_again(request);
      if (!begun) return begun;
    }
    if (request.table.rate) {
      const std::chrono::duration<double> pause(static_cast<double>(round.reads[i].read.rows) /
                                                static_cast<double>(request.table.rate));
      ledger_.rest(request.id, began + std::chrono::duration_cast<Duration>(pause));
    }
  }
  return {};
}

// The table was rewritten, re-created or renamed, or has another key, or the server was failed over
// to. Rows that were read, and changes that were kept, may belong to another table.
Result<void> Reader::begin_again(const ReadRequest& request) {
  log(LogLevel::kWarn,
      "the table, its name, its partitions, its key or the server's timeline have changed: its "
      "backfill begins again",
      {{"pipeline", pipeline_},
       {"id", request.id},
       {"table", request.table.schema + "." + request.table.name}});
  ledger_.give_back({request});
  auto found = ask(find_requests(config_.slot, nonce_, {}, kTargets));
  if (!found) return Failure(std::move(found.error()));
  for (const Row& row : *found) {
    std::optional<BackfillRecord> record = request_of(row);
    if (!record || record->id != request.id) continue;
    record->cursor.clear();
    record->rows = 0;
    record->shape.clear();
    record->state = BackfillState::kRequested;
    add(std::move(*record), true);
  }
  return {};
}

Result<void> Reader::fail(const std::vector<ReadRequest>& requests, ServerError error) {
  ledger_.give_back(requests);
  connection_.reset();
  if (error.sqlstate.empty()) {
    // The client library needs memory for a whole row, and has several messages about that.
    if (error.error.what.find("memory") != std::string::npos) {
      error.error.what +=
          ". A row of " + request_names(requests) +
          " may be too long: give this process more memory, or set `max_value_bytes`";
    }
    return Failure(std::move(error.error));
  }
  if (requests.size() > 1) {
    // Reading one table at a time shows which one fails.
    alone_ = true;
    return Failure(std::move(error.error));
  }
  const ReadRequest& request = requests.front();
  constexpr std::string_view kNoTable = "42P01";
  const bool gone = error.sqlstate == kNoTable;
  // The table may have another name by now.
  if (gone && request.table.relation) {
    Result<void> opened = open();
    if (!opened) return opened;
    return begin_again(request);
  }
  if (!may_pass(error.sqlstate) && !request.table.shape.empty()) {
    // The cause may be a changed key, or another change that makes the cursor useless.
    Result<void> opened = open();
    if (!opened) return opened;
    auto shape = ask(find_shape(request.table.relation));
    if (!shape) return Failure(std::move(shape.error()));
    if (shape->empty() || text(shape->front(), 0) != request.table.shape) {
      return begin_again(request);
    }
  }
  const bool ends = !may_pass(error.sqlstate) && request.table.rows == 0;
  ledger_.set_error(request.id, error.error.what, ends);
  if (ends) return {};
  constexpr std::string_view kLockNotAvailable = "55P03";
  const Milliseconds pause = error.sqlstate == kLockNotAvailable
                                 ? std::chrono::duration_cast<Milliseconds>(kLocked)
                                 : backoff_.next();
  ledger_.rest(request.id, Clock::now() + pause);
  log(LogLevel::kWarn, "rows could not be read, will try again",
      {{"pipeline", pipeline_},
       {"table", request.table.schema + "." + request.table.name},
       {"wait_ms", pause.count()},
       {"error", error.error.message()}});
  return {};
}

void Reader::log_progress() {
  const TimePoint now = Clock::now();
  if (now < told_at_ + kTell) return;
  const std::chrono::duration<double> passed = now - told_at_;
  std::map<int64_t, uint64_t> before = std::exchange(told_rows_, {});
  const bool first = std::exchange(told_at_, now) == TimePoint{};
  for (const BackfillRecord& record : ledger_.records()) {
    if (record.state != BackfillState::kRunning) continue;
    told_rows_[record.id] = record.rows;
    if (first) continue;
    const auto known = before.find(record.id);
    const uint64_t old = known == before.end() ? 0 : std::min(record.rows, known->second);
    const double rate = static_cast<double>(record.rows - old) / passed.count();
    const double left = static_cast<double>(record.estimate) - static_cast<double>(record.rows);
    log(LogLevel::kInfo, "backfill runs",
        {{"pipeline", pipeline_},
         {"id", record.id},
         {"table", record.schema + "." + record.name},
         {"rows", record.rows},
         {"estimate", record.estimate},
         {"rows_per_s", static_cast<int64_t>(rate)},
         {"left_s", rate > 0 && left > 0 ? static_cast<int64_t>(left / rate) : -1}});
  }
}

}  // namespace walspout
