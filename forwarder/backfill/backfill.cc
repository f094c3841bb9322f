#include "backfill/backfill.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "backfill/statements.h"
#include "base/log.h"
#include "stream/only.h"

namespace walspout {

namespace {

constexpr Duration kAnswer = std::chrono::seconds(30);

// For the session: what is saved does not wait for standbys, which may be gone.
constexpr std::string_view kNoStandbys = "SET synchronous_commit = 'local'";

// Of all tables, those that the configuration wants.
bool wants(const BackfillConfig& config, const std::string& schema, const std::string& name) {
  OnlyConfig only;
  only.tables = config.tables;
  const Table table{schema, name};
  Event event;
  event.op = 'r';
  event.table = &table;
  return Only(only).wants(event);
}

}  // namespace

Backfill::Backfill(std::string pipeline, SourceConfig config, const std::string& state,
                   const EventQueue& queue, const SourceStats& stats)
    : pipeline_(std::move(pipeline)),
      config_(std::move(config)),
      restarts_(state, pipeline_, config_.slot),
      ledger_(std::max<size_t>(queue.capacity() / 8, 1u << 20),
              std::max<size_t>(queue.capacity() / 16, 1u << 20)),
      reader_(pipeline_, config_, ledger_, queue, stats, restarts_) {}

// What the configuration asks for is requested before the slot is made: so it is not forgotten if
// this process ends in between.
Result<void> Backfill::before_slot(Connection& connection) {
  const TimePoint deadline = Clock::now() + kAnswer;
  auto there = connection.query(find_extension(), deadline);
  if (!there) return Failure(std::move(there.error().error));
  const bool known = !there->empty() && text(there->front(), 0) == "t";
  if (!known && !config_.backfill) return {};
  const std::string not_made =
      "slot \"" + config_.slot + "\" is not made, as its backfill cannot be requested: ";
  if (!known) {
    return retry(not_made + std::string(kNoExtension), connection.endpoint());
  }
  if (text(there->front(), 1) == "t") {
    if (!config_.backfill) return {};
    return retry(not_made + std::string(kNoStandby), connection.endpoint());
  }
  if (text(there->front(), 2) != "t") {
    if (!config_.backfill) return {};
    return retry(not_made + std::string(kNoRights), connection.endpoint());
  }
  Result<void> requested = request_published(connection);
  if (requested || !config_.backfill) return {};
  return in(not_made, std::move(requested.error()));
}

Result<void> Backfill::request_published(Connection& connection) {
  const TimePoint deadline = Clock::now() + kAnswer;
  const auto ask = [&](const std::string& statement) -> Result<std::vector<Row>> {
    auto rows = connection.query(statement, deadline);
    if (!rows) return Failure(std::move(rows.error().error));
    return std::move(*rows);
  };
  auto done = ask(std::string(kNoStandbys));
  if (done) done = ask(cancel_requests(config_.slot));
  if (done) done = ask(forget_keys(config_.slot));
  if (!done) return Failure(std::move(done.error()));
  if (!config_.backfill) return {};
  auto published = ask(find_published(config_));
  if (!published) return Failure(std::move(published.error()));
  size_t tables = 0;
  for (const Row& row : *published) {
    if (!wants(*config_.backfill, text(row, 0), text(row, 1))) continue;
    done = ask(request(config_, text(row, 0), text(row, 1)));
    if (!done) return Failure(std::move(done.error()));
    tables++;
  }
  log(LogLevel::kInfo, "requested backfills of what is published",
      {{"pipeline", pipeline_}, {"tables", tables}});
  return {};
}

// Without what is saved nothing may be streamed: changes would not be observed, and confirmed.
Result<void> Backfill::begin(Connection& connection, bool forget) {
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
  if (!found) return in("could not read how far backfills are", std::move(found.error().error));
  std::vector<BackfillRecord> records;
  for (const Row& row : *found) {
    if (auto record = request_of(row)) records.push_back(std::move(*record));
  }
  auto wrong = restarts_.read();
  if (!wrong) return Failure(std::move(wrong.error()));
  ledger_.load(std::move(records), *wrong);
  // Those that have ended since are of no account.
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
  // Marks of other pipelines, and of an earlier life, mean nothing.
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
