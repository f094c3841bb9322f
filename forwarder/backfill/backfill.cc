#include "backfill/backfill.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "backfill/statements.h"
#include "backfill/tables.h"
#include "base/log.h"

namespace walspout {

namespace {

constexpr Duration kAnswer = std::chrono::seconds(30);
constexpr size_t kTablesAtOnce = 1000;

// For the session: saves do not wait for standbys, which may be gone.
constexpr std::string_view kNoStandbys = "SET synchronous_commit = 'local'";

}  // namespace

Backfill::Backfill(std::string pipeline, SourceConfig config, const std::string& state,
                   const EventQueue& queue, const SourceStats& stats)
    : pipeline_(std::move(pipeline)),
      config_(std::move(config)),
      restarts_(state, pipeline_, config_.slot),
      ledger_(std::max<size_t>(queue.capacity() / 8, 1u << 20),
              std::max<size_t>(queue.capacity() / 16, 1u << 20)),
      reader_(pipeline_, config_, ledger_, queue, stats, restarts_),
      watcher_(pipeline_, config_, stats) {}

void Backfill::leave() {
  watcher_.leave();
  std::lock_guard lock(first_mutex_);
  if (first_) first_->leave();
}

void Backfill::stop() {
  leave();
  watcher_.stop();
  reader_.stop();
}

Result<void> Backfill::before_slot(Connection& connection) {
  Result<void> done = watcher_.before_slot(connection);
  if (done) done = request_what_is_configured(connection);
  if (done) done = find_first_tables(connection);
  return done;
}

// The configuration, with the DSN read again from its file.
SourceConfig Backfill::renewed() const {
  SourceConfig config = config_;
  Result<std::optional<Secret>> again = config.dsn.reread();
  if (again && *again) config.dsn = std::move(**again);
  return config;
}

// Checks before the slot is created that the tables can be read. Later is too late.
Result<void> Backfill::find_first_tables(Connection& connection) {
  first_tables_.clear();
  if (!config_.backfill) return {};
  const TimePoint deadline = Clock::now() + kAnswer;
  auto found = connection.query(find_first(config_.slot), deadline);
  if (!found) return Failure(std::move(found.error().error));
  if (found->empty()) return {};
  auto aside =
      connection.beside(config_.dsn, Connection::Mode::kOrdinary, deadline, [] { return false; });
  if (!aside) return Failure(std::move(aside.error()));
  for (const Row& row : *found) {
    BackfillRecord table = first_of(row);
    auto tried = aside->query(try_to_read(table), deadline);
    if (!tried) {
      return with_prefix("slot \"" + config_.slot + "\" is not created, because table " +
                             table.schema + "." + table.name + ", which has no key, cannot be read",
                         std::move(tried.error().error));
    }
    first_tables_.push_back(std::move(table));
  }
  return {};
}

Result<void> Backfill::made_slot(const std::string& snapshot, Lsn at) {
  auto first = std::make_unique<FirstRows>(renewed(), std::exchange(first_tables_, {}), at);
  FirstRows* rows = first.get();
  {
    std::lock_guard lock(first_mutex_);
    first_ = std::move(first);
  }
  first_began_ = false;
  first_ended_.clear();
  Result<void> started = rows->start(snapshot);
  if (started) return started;
  std::lock_guard lock(first_mutex_);
  first_.reset();
  return started;
}

// Starts the loaded requests of tables without a key: their rows come first. This needs the
// snapshot in this process, and no rows lost in a discarded queue.
void Backfill::begin_first() {
  if (first_ && first_began_) {
    std::lock_guard lock(first_mutex_);
    first_.reset();
  }
  for (const BackfillRecord& record : ledger_.records()) {
    if (record.has_key || is_finished(record.state)) continue;
    if (first_) {
      ledger_.begin_first(record.id);
    } else {
      ledger_.set_error(record.id,
                        "reading was cut short, and the snapshot of the slot is gone: the receiver "
                        "may lack rows. " +
                            std::string(kNoKey),
                        true);
    }
  }
}

std::optional<Backfill::FirstPart> Backfill::first() {
  const bool over = first_->is_over();
  std::optional<FirstRows::Part> part = first_->next();
  if (part) {
    first_began_ = true;
    if (part->end) first_ended_.insert(part->id);
    ledger_.place_first(part->id, part->rows.events.size(), part->end);
    return FirstPart{std::move(part->rows), first_->at()};
  }
  if (!over) return std::nullopt;
  const std::string failed = first_->failed();
  for (const BackfillRecord& record : ledger_.records()) {
    if (failed.empty() || record.has_key || is_finished(record.state)) continue;
    if (first_ended_.contains(record.id)) continue;
    ledger_.set_error(record.id, failed + ". The receiver may lack rows: " + std::string(kNoKey),
                      true);
  }
  log(LogLevel::kInfo, "rows of tables without a key are read, and the stream begins",
      {{"pipeline", pipeline_}, {"error", failed}});
  std::lock_guard lock(first_mutex_);
  first_.reset();
  return std::nullopt;
}
// Saves the requests of the configuration before the slot is created, so that they survive the end
// of this process in between.
Result<void> Backfill::request_what_is_configured(Connection& connection) {
  const TimePoint deadline = Clock::now() + kAnswer;
  auto there = connection.query(find_extension(), deadline);
  if (!there) return Failure(std::move(there.error().error));
  const bool known = !there->empty() && text(there->front(), 0) == "t";
  if (!known && !config_.backfill) return {};
  const std::string not_created =
      "slot \"" + config_.slot + "\" is not created, because its backfill cannot be requested: ";
  if (!known) {
    return retry(not_created + std::string(kNoExtension), connection.endpoint());
  }
  if (text(there->front(), 1) == "t") {
    if (!config_.backfill) return {};
    return retry(not_created + std::string(kNoStandby), connection.endpoint());
  }
  if (text(there->front(), 2) != "t") {
    if (!config_.backfill) return {};
    return retry(not_created + std::string(kNoRights), connection.endpoint());
  }
  Result<void> requested = request_published(connection);
  if (requested) return {};
  return with_prefix(not_created, std::move(requested.error()));
}

Result<void> Backfill::request_published(Connection& connection) {
  const TimePoint deadline = Clock::now() + kAnswer;
  const auto ask = [&](const std::string& statement) -> Result<std::vector<Row>> {
    auto rows = connection.query(statement, deadline);
    if (!rows) return Failure(std::move(rows.error().error));
    return std::move(*rows);
  };
  auto done = ask(std::string(kNoStandbys));
  if (done) done = ask(forget_keys(config_.slot));
  if (done) done = ask(begin_requests_again(config_.slot));
  if (!done) return Failure(std::move(done.error()));
  if (!done->empty()) {
    log(LogLevel::kWarn, "unfinished backfills of an earlier slot begin again",
        {{"pipeline", pipeline_},
         {"slot", config_.slot},
         {"backfills", done->size()},
         {"first", text(done->front(), 0)}});
  }
  if (!config_.backfill) return {};
  auto published = ask(find_published(config_, connection.server_version()));
  if (!published) return Failure(std::move(published.error()));
  std::vector<PublishedTable> part;
  size_t tables = 0;
  for (size_t i = 0; i < published->size(); i++) {
    PublishedTable table = published_table((*published)[i]);
    if (wants_rows(*config_.backfill, table.schema, table.name)) part.push_back(std::move(table));
    if (part.empty() || (part.size() < kTablesAtOnce && i + 1 < published->size())) continue;
    done = ask(replace_requests(config_.slot, part) + "; " + request_all(config_, part, true));
    if (!done) return Failure(std::move(done.error()));
    tables += part.size();
    part.clear();
  }
  log(LogLevel::kInfo, "requested backfills of what is published",
      {{"pipeline", pipeline_}, {"tables", tables}});
  return {};
}

// Without the saved state nothing may be streamed: changes would be confirmed without being
// observed.
Result<void> Backfill::begin(Connection& connection, bool forget) {
  Result<void> published = watcher_.before_stream(connection);
  if (!published) return published;
  const TimePoint deadline = Clock::now() + kAnswer;
  if (!forget && known_) {
    ledger_.reconnect();
    reader_.wake();
    return {};
  }
  auto there = connection.query(find_extension(), deadline);
  if (!there) return Failure(std::move(there.error().error));
  known_ = !there->empty() && text(there->front(), 0) == "t" && text(there->front(), 1) != "t";
  if (known_ && text(there->front(), 2) != "t") {
    known_ = false;
    log(LogLevel::kInfo, "no backfill is possible",
        {{"pipeline", pipeline_}, {"reason", kNoRights}});
  }
  if (!known_) return {};
  auto found = connection.query(std::string(kNoStandbys), deadline);
  if (found) {
    found = connection.query(claim_requests(config_.slot, reader_.nonce(), true), deadline);
  }
  if (found) found = connection.query(forget_keys(config_.slot), deadline);
  if (found)
    found = connection.query(find_requests(config_.slot, reader_.nonce(), {}, 0), deadline);
  if (!found)
    return with_prefix("could not read the progress of backfills", std::move(found.error().error));
  std::vector<BackfillRecord> records;
  for (const Row& row : *found) {
    if (auto record = request_of(row)) records.push_back(std::move(*record));
  }
  auto wrong = restarts_.read();
  if (!wrong) return Failure(std::move(wrong.error()));
  ledger_.load(std::move(records), *wrong);
  begin_first();
  // Backfills that have ended since do not matter.
  if (!wrong->empty() && !ledger_.any_wrong()) restarts_.remove();
  reader_.wake();
  return {};
}

void Backfill::observe(const Chunk& chunk, uint32_t open_xid) {
  ledger_.observe(chunk, open_xid);
}

std::vector<Chunk> Backfill::mark(const Mark& mark) {
  std::string_view content = mark.content;
  if (content == kLook) {
    known_ = true;
    ledger_.look(mark.xid);
    reader_.wake();
    return {};
  }
  // Ignores marks of other pipelines and of earlier processes.
  const std::string& nonce = reader_.nonce();
  if (!content.starts_with(nonce) || content.size() < nonce.size() + 2) return {};
  content.remove_prefix(nonce.size() + 1);
  uint64_t number = 0;
  std::from_chars(content.data(), content.data() + content.size(), number);
  std::vector<Chunk> chunks = ledger_.place(number, mark);
  reader_.wake();
  return chunks;
}

void Backfill::placed(uint64_t pushed) {
  ledger_.placed(pushed);
}

void Backfill::handled(uint64_t events) {
  if (ledger_.handled(events)) reader_.wake();
}

}  // namespace walspout
