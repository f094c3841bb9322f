#include "sink/postgres/positions.h"

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "sink/postgres/errors.h"

namespace walspout {
namespace {

constexpr const char* kMakeSchema = "CREATE SCHEMA IF NOT EXISTS walspout";
constexpr const char* kMakeTable =
    "CREATE TABLE IF NOT EXISTS walspout.positions (sink pg_catalog.text, source pg_catalog.text, "
    "lsn pg_catalog.pg_lsn, index pg_catalog.numeric, commit_time pg_catalog.int8, owner "
    "pg_catalog.text NOT NULL, backend pg_catalog.int4 NOT NULL, written_at "
    "pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now(), PRIMARY KEY (sink, source)) WITH "
    "(fillfactor = 50)";

// A name unique to each start of a process.
std::string new_process() {
  std::random_device random;
  std::string name;
  for (int i = 0; i < 4; i++) name += std::to_string(random()) + (i < 3 ? "-" : "");
  return name;
}

// What the target has already. The functions to_reg*() raise if the role may not look into the
// schema.
constexpr const char* kHasSchema =
    "EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'walspout')";
constexpr const char* kHasTable =
    "EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
    "c.relnamespace WHERE n.nspname = 'walspout' AND c.relname = 'positions')";

// The schema may be the extension's, which no role should have CREATE on.
Failure may_not_make_table(bool has_schema, const std::string& where) {
  const std::string what = "the role of `dsn` may not create the table of positions: ";
  const std::string grants =
      "; GRANT USAGE ON SCHEMA walspout, and SELECT, INSERT, UPDATE ON walspout.positions";
  if (has_schema) {
    return misconfigured(what + "let the owner of schema walspout run: " + kMakeTable + grants,
                         where);
  }
  return misconfigured(what + "GRANT CREATE ON DATABASE, or let its owner run: " + kMakeSchema +
                           "; " + kMakeTable + grants,
                       where);
}

template <typename T>
T number(const std::string& text) {
  T value{};
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<PostgresPosition> position_of(const Row& row) {
  const auto lsn = parse_lsn(text(row, 0));
  if (!lsn) return std::nullopt;
  return PostgresPosition{*lsn, number<uint64_t>(text(row, 1)), number<int64_t>(text(row, 2))};
}

}  // namespace

PostgresPosition PostgresPosition::after(const Event& event) const {
  const EventPlace place = EventPlace::behind(event);
  return {place.lsn, place.index, std::max(time, event.commit_time)};
}

PostgresPositions::PostgresPositions(std::string sink)
    : sink_(std::move(sink)), process_(new_process()) {}

void PostgresPositions::set_source(const SourceState& source) {
  const std::string known = std::exchange(source_, source).identity;
  if (source_.identity.empty()) source_.identity = known;
  if (source_.identity != known) position_.reset();
}

std::string PostgresPositions::condition() const {
  return "sink = " + Connection::quote_literal(sink_) +
         " AND source = " + Connection::quote_literal(source_.identity);
}

Error PostgresPositions::another_history(const std::string& what, const std::string& where) const {
  return {ErrorKind::kFatal,
          "the position of \"" + sink_ + "\" and \"" + source_.identity +
              "\" in walspout.positions " + what +
              ". The source was restored, or failed over to a server that lacks what was "
              "delivered: bring the target in line with it. Then delete that row",
          where};
}

Result<std::optional<PostgresPosition>> PostgresPositions::read(Connection& connection,
                                                                TimePoint deadline) const {
  auto rows = connection.query(
      "SELECT lsn, index, commit_time FROM walspout.positions WHERE " + condition(), deadline);
  if (!rows) return Failure(postgres_error(rows.error()));
  if (rows->empty()) return std::nullopt;
  return position_of(rows->front());
}

// Events up to the position are skipped, so ids must grow.
Result<void> PostgresPositions::can_number(const std::string& where) const {
  if (source_.ordered) return {};
  return misconfigured(
      "a sink of type postgres needs a source with a slot, whose events are numbered", where);
}

Result<void> PostgresPositions::check(Connection& connection, TimePoint deadline) const {
  if (!is_used()) return {};
  if (auto numbered = can_number(connection.endpoint()); !numbered) return numbered;
  auto known = connection.query(
      "SELECT " + std::string(kHasTable) + ", " + kHasSchema +
          ", COALESCE((SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') FROM "
          "pg_catalog.pg_namespace WHERE nspname = 'walspout'), "
          "pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))",
      deadline);
  if (!known) return Failure(postgres_error(known.error()));
  const Row& row = known->front();
  if (text(row, 0) == "t") {
    auto position = read(connection, deadline);
    if (!position) return Failure(position.error());
    if (*position && source_.wal_position && (*position)->lsn > source_.wal_position) {
      return Failure(another_history("is " + to_string((*position)->lsn) +
                                         ", beyond the database's WAL position " +
                                         to_string(source_.wal_position),
                                     connection.endpoint()));
    }
    return {};
  }
  if (text(row, 2) == "t") return {};
  return may_not_make_table(text(row, 1) == "t", connection.endpoint());
}

Result<void> PostgresPositions::make_table(Connection& connection, bool again,
                                           TimePoint deadline) const {
  auto there = connection.query("SELECT " + std::string(kHasTable) + ", " + kHasSchema, deadline);
  if (!there) return Failure(postgres_error(there.error()));
  if (text(there->front(), 0) == "t") return {};
  const bool has_schema = text(there->front(), 1) == "t";
  std::string statements = kMakeTable;
  if (!has_schema) statements = std::string(kMakeSchema) + "; " + statements;
  auto made = connection.query(statements, deadline);
  if (made) return {};
  if (made.error().sqlstate == kNoPrivilege) {
    return may_not_make_table(has_schema, connection.endpoint());
  }
  Error error = postgres_error(made.error());
  if (error.scope() != Scope::kEvent) return Failure(std::move(error));
  // Another sink created the table or the schema at the same time.
  return again ? make_table(connection, false, deadline) : Failure(made.error().error);
}

std::string PostgresPositions::is_ours() const {
  const std::string begin = process_ + "/";
  return "pg_catalog.left(p.owner, " + std::to_string(begin.size()) +
         ") = " + Connection::quote_literal(begin);
}

// Ends the former owner's session, which may be cut off or frozen and hold locks on rows. `again`:
// only if it is ours.
Result<void> PostgresPositions::end_former_owner(Connection& connection, bool again,
                                                 TimePoint deadline) const {
  auto ended = connection.query(
      "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM walspout.positions p JOIN "
      "pg_catalog.pg_stat_activity a ON a.pid = p.backend WHERE " +
          condition() + (again ? " AND " + is_ours() : "") +
          " AND a.usename = CURRENT_USER AND a.datname = pg_catalog.current_database() AND "
          "a.application_name = pg_catalog.current_setting('application_name') AND a.pid <> "
          "pg_catalog.pg_backend_pid()",
      deadline);
  if (!ended) return Failure(postgres_error(ended.error()));
  return {};
}

Result<bool> PostgresPositions::take_over(Connection& connection, bool again, TimePoint deadline) {
  if (!is_used()) return true;
  if (auto numbered = can_number(connection.endpoint()); !numbered) {
    return Failure(numbered.error());
  }
  if (source_.identity.empty()) {
    return retry("the source is not known yet, so the position cannot be read",
                 connection.endpoint());
  }
  if (auto made = make_table(connection, true, deadline); !made) return Failure(made.error());
  if (auto ended = end_former_owner(connection, again, deadline); !ended) {
    return Failure(ended.error());
  }
  owner_ = process_ + "/" + std::to_string(++sessions_);
  const std::string owner = Connection::quote_literal(owner_);
  auto rows = connection.query(
      "INSERT INTO walspout.positions AS p (sink, source, owner, backend) VALUES (" +
          Connection::quote_literal(sink_) + ", " + Connection::quote_literal(source_.identity) +
          ", " + owner +
          ", pg_catalog.pg_backend_pid()) ON CONFLICT (sink, source) DO UPDATE SET "
          "owner = excluded.owner, backend = excluded.backend" +
          (again ? " WHERE " + is_ours() : "") +
          " RETURNING p.lsn, p.index, "
          "p.commit_time",
      deadline);
  if (!rows) return Failure(postgres_error(rows.error()));
  if (rows->empty()) return false;
  const auto before = position_;
  position_ = position_of(rows->front());
  if (before && (!position_ || position_->lsn < before->lsn ||
                 (position_->lsn == before->lsn && position_->index < before->index))) {
    Error lost{ErrorKind::kRetry,
               "the target has lost transactions that it had committed, from " +
                   (position_ ? to_string(position_->lsn) : "the begin") + " to " +
                   to_string(before->lsn) +
                   ": it was restored, or failed over to a server that lacks them" +
                   (position_ ? "" : ", or the row in walspout.positions was deleted") +
                   ". Events that "
                   "were confirmed do not come again: compare the tables, or backfill them",
               connection.endpoint()};
    lost.loss = true;
    return Failure(std::move(lost));
  }
  return true;
}

// Every delivered event was committed at `position_->time` or before. An event that was committed
// later is another one, whatever its id.
Result<bool> PostgresPositions::has(const Event& event, const std::string& where) {
  if (!is_used() || !position_ || !position_->covers(event)) {
    latest_ = std::max(latest_, event.commit_time);
    return false;
  }
  if (event.commit_time <= position_->time) return true;
  return Failure(another_history("is " + to_string(position_->lsn) + ", and event " +
                                     std::string(EventId(event).view()) +
                                     " before it was committed later than all delivered events",
                                 where));
}

PostgresPosition PostgresPositions::behind(const Event& event) const {
  PostgresPosition next = position_.value_or(PostgresPosition{}).after(event);
  next.time = std::max(next.time, latest_);
  return next;
}

std::string PostgresPositions::query(const std::string& sink, const std::string& identity) {
  return "SELECT lsn FROM walspout.positions WHERE sink = " + Connection::quote_literal(sink) +
         " AND source = " + Connection::quote_literal(identity);
}

std::string PostgresPositions::statement() {
  return "WITH written AS (UPDATE walspout.positions SET lsn = $1::pg_catalog.pg_lsn, index = "
         "$2::pg_catalog.numeric, commit_time = $3::pg_catalog.int8, written_at = "
         "pg_catalog.now() WHERE sink = $4 AND source = $5 AND owner = $6 RETURNING 1) SELECT 1 / "
         "pg_catalog.count(*) FROM written";
}

Connection::Parameters PostgresPositions::parameters(const PostgresPosition& position) {
  lsn_ = to_string(position.lsn);
  index_ = std::to_string(position.index);
  time_ = std::to_string(position.time);
  return {lsn_.c_str(),  index_.c_str(),           time_.c_str(),
          sink_.c_str(), source_.identity.c_str(), owner_.c_str()};
}

bool PostgresPositions::is_deleted(Connection& connection, TimePoint deadline) const {
  const auto rows =
      connection.query("SELECT FROM walspout.positions WHERE " + condition(), deadline);
  return rows && rows->empty();
}

Error PostgresPositions::deleted(const std::string& where) const {
  return {ErrorKind::kRetry,
          "the row of \"" + sink_ + "\" and \"" + source_.identity +
              "\" in walspout.positions was deleted: the sink makes another one, and writes what "
              "follows. If the target was restored, compare the tables, or backfill them",
          where};
}

Error PostgresPositions::taken_over(const std::string& where) const {
  return {ErrorKind::kRetry,
          "another forwarder has taken over the position of \"" + sink_ + "\" and \"" +
              source_.identity + "\": nothing is written until this one has the slot again",
          where};
}

}  // namespace walspout
