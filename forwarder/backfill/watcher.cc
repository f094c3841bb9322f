#include "backfill/watcher.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "backfill/statements.h"
#include "backfill/tables.h"
#include "base/log.h"

namespace walspout {

namespace {

constexpr Duration kConnect = std::chrono::seconds(5);
constexpr Duration kAnswer = std::chrono::seconds(30);
constexpr Duration kMake = std::chrono::minutes(5);      // to fill the publication at first.
constexpr Duration kInterval = std::chrono::seconds(3);  // between looks.
constexpr Duration kLongest = std::chrono::seconds(8);   // likewise, if looks take long.
constexpr Duration kNotYet = std::chrono::milliseconds(200);
constexpr size_t kTablesAtOnce = 1000;
constexpr size_t kTablesNamed = 20;

constexpr std::string_view kNoTables =
    "`new_tables` needs the extension, and rights on its table of tables: GRANT SELECT, INSERT, "
    "UPDATE, DELETE ON walspout.tables; walspout check names what is missing";

std::string list(const std::vector<std::string>& names) {
  std::string all;
  for (size_t i = 0; i < std::min(names.size(), kTablesNamed); i++) {
    all += (all.empty() ? "" : ", ") + names[i];
  }
  if (names.size() > kTablesNamed) {
    all += " and " + std::to_string(names.size() - kTablesNamed) + " more";
  }
  return all;
}

Result<std::vector<Row>> ask(Connection& connection, const std::string& statement,
                             Duration patience = kAnswer) {
  auto rows = connection.query(statement, Clock::now() + patience);
  if (!rows) return Failure(std::move(rows.error().error));
  return std::move(*rows);
}

}  // namespace

Watcher::Watcher(const std::string& pipeline, const SourceConfig& config, const SourceStats& stats)
    : pipeline_(pipeline), config_(config), stats_(stats) {}

bool Watcher::is_wanted(const SourceConfig& config) {
  return !config.tables.empty() || (config.backfill && config.backfill->new_tables);
}

void Watcher::start() {
  if (!is_wanted(config_)) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "tables");
    try {
      run();
    } catch (const std::exception& error) {
      log(LogLevel::kError, "new tables are no longer looked for: a library threw",
          {{"pipeline", pipeline_}, {"error", error.what()}});
    }
  });
}

void Watcher::stop() {
  stop_ = true;
  wake_();
  if (thread_.joinable()) thread_.join();
}

void Watcher::wait(Duration time) {
  pollfd fd{wake_.fd(), POLLIN, 0};
  poll(&fd, 1, static_cast<int>(std::chrono::ceil<Milliseconds>(time).count()));
  if (fd.revents) wake_.clear();
}

void Watcher::run() {
  while (!stop_) {
    // A forwarder that waits for the slot may have another configuration than the streaming one.
    if (stats_.state != SourcePhase::kStreaming) {
      wait(kNotYet);
      continue;
    }
    const TimePoint began = Clock::now();
    Result<void> looked = look();
    if (stop_) break;
    const std::string failed = looked ? "" : looked.error().message();
    if (!failed.empty() && failed != failed_said_) {
      log(LogLevel::kWarn, "could not look for tables that are new, will try again",
          {{"pipeline", pipeline_}, {"error", failed}});
    }
    failed_said_ = failed;
    wait(std::clamp(20 * (Clock::now() - began), kInterval, kLongest));
  }
}

Result<void> Watcher::look() {
  Result<std::optional<Secret>> again = config_.dsn.reread();
  if (again && *again) config_.dsn = std::move(**again);
  auto connection =
      Connection::open(config_.dsn, Connection::Mode::kOrdinary, Clock::now() + kConnect, wake_,
                       [this] { return stop_.load(); });
  if (!connection) return Failure(std::move(connection.error()));
  if (!config_.tables.empty()) {
    auto changes = fill_publication(*connection, config_, Clock::now() + kAnswer);
    if (!changes) return Failure(std::move(changes.error()));
    log_changes(*changes);
  }
  return look_for_new(*connection);
}

void Watcher::log_changes(const PublicationChanges& changes) {
  const std::string publication = own_publication(config_.slot);
  const bool backfills = config_.backfill && config_.backfill->new_tables;
  if (!changes.added.empty()) {
    log(LogLevel::kInfo, "tables have joined the publication",
        {{"pipeline", pipeline_},
         {"publication", publication},
         {"tables", list(changes.added)},
         {"rows_of_before",
          backfills ? "are backfilled" : "are not sent: walspout backfill CONFIG TABLE"}});
  }
  if (!changes.removed.empty()) {
    log(LogLevel::kInfo, "tables have left the publication, because no pattern matches them now",
        {{"pipeline", pipeline_}, {"publication", publication}, {"tables", list(changes.removed)}});
  }
  std::string left_out = changes.failed;
  for (const PatternTable& table : changes.left_out) left_out += " " + table.quoted;
  if (left_out == left_out_said_) return;
  left_out_said_ = left_out;
  for (size_t i = 0; i < std::min(changes.left_out.size(), kTablesNamed); i++) {
    const PatternTable& table = changes.left_out[i];
    log(LogLevel::kWarn, "a table is left out of the publication",
        {{"pipeline", pipeline_},
         {"publication", publication},
         {"reason", why_left_out(table)},
         {"remedy", remedy_of(table, changes.role)}});
  }
  if (changes.left_out.size() > kTablesNamed) {
    log(LogLevel::kWarn, "more tables are left out of the publication: walspout check",
        {{"pipeline", pipeline_}, {"tables", changes.left_out.size() - kTablesNamed}});
  }
  if (changes.failed.empty()) return;
  log(LogLevel::kWarn, "the publication could not be changed now, will try again",
      {{"pipeline", pipeline_}, {"publication", publication}, {"error", changes.failed}});
}

Result<Connection> Watcher::beside(Connection& stream) {
  Result<std::optional<Secret>> again = config_.dsn.reread();
  if (again && *again) config_.dsn = std::move(**again);
  return stream.beside(config_.dsn, Connection::Mode::kOrdinary, Clock::now() + kConnect,
                       [this] { return stop_.load(); });
}

Result<void> Watcher::before_slot(Connection& stream) {
  if (!is_wanted(config_)) return {};
  const std::string not_created = "slot \"" + config_.slot + "\" is not created";
  auto connection = beside(stream);
  if (!connection) return with_prefix(not_created, std::move(connection.error()));
  if (!config_.tables.empty()) {
    auto made = make_publication(*connection, config_, Clock::now() + kAnswer);
    if (!made) return with_prefix(not_created, std::move(made.error()));
    auto changes = fill_publication(*connection, config_, Clock::now() + kMake);
    if (!changes) return with_prefix(not_created, std::move(changes.error()));
    log_changes(*changes);
    if (!changes->not_theirs.empty()) {
      const PatternTable& table = changes->not_theirs.front();
      return retry(
          not_created + ", because " + why_left_out(table) + ": " + remedy_of(table, changes->role),
          connection->endpoint());
    }
    if (!changes->failed.empty()) {
      return retry(
          not_created + ", because its publication cannot be changed now: " + changes->failed,
          connection->endpoint());
    }
  }
  Result<void> known = know(*connection, true);
  if (!known) return with_prefix(not_created, std::move(known.error()));
  return {};
}

Result<void> Watcher::before_stream(Connection& stream) {
  if (config_.tables.empty()) return {};
  auto found = stream.query(find_publication(config_.slot), Clock::now() + kAnswer);
  if (!found) return Failure(std::move(found.error().error));
  const PublicationView view = publication_view(found->empty() ? Row{} : found->front());
  const std::string wrong = not_usable(view, config_.slot);
  if (!wrong.empty()) return retry(wrong, stream.endpoint());
  if (view.exists) return {};
  auto connection = beside(stream);
  if (!connection) return Failure(std::move(connection.error()));
  auto made = make_publication(*connection, config_, Clock::now() + kAnswer);
  if (!made) return Failure(std::move(made.error()));
  log(LogLevel::kWarn,
      "the publication was missing and is created now: changes that were committed before, and are "
      "not delivered yet, are not sent",
      {{"pipeline", pipeline_}, {"publication", own_publication(config_.slot)}});
  auto changes = fill_publication(*connection, config_, Clock::now() + kAnswer);
  if (!changes) return Failure(std::move(changes.error()));
  log_changes(*changes);
  return {};
}

// The system identifier: another server, such as one made by pg_upgrade, has other catalog entries.
// Empty: the role may not ask.
Result<std::string> Watcher::system_of(Connection& connection) {
  auto rights = ask(connection, find_tables_rights());
  if (!rights) return Failure(std::move(rights.error()));
  const Row row = rights->empty() ? Row{} : rights->front();
  if (text(row, 0) != "t") return retry(std::string(kNoTables), connection.endpoint());
  if (text(row, 1) != "t") return std::string();
  auto system = ask(connection, find_system());
  if (!system) return Failure(std::move(system.error()));
  return system->empty() ? std::string() : text(system->front(), 0);
}

// Saves all currently published tables as known, so that they cause no backfill. `slot_is_new`: the
// slot is about to be created.
Result<void> Watcher::know(Connection& connection, bool slot_is_new) {
  if (!config_.backfill || !config_.backfill->new_tables) return {};
  auto system = system_of(connection);
  if (!system) return Failure(std::move(system.error()));
  if (!slot_is_new) {
    auto known = ask(connection, find_known(config_.slot, *system));
    if (!known) return Failure(std::move(known.error()));
    if (!known->empty()) return {};
    log(LogLevel::kInfo, "tables that join from now on are backfilled", {{"pipeline", pipeline_}});
  }
  auto published = ask(
      connection, std::string(kLargeJoins) + find_published(config_, connection.server_version()));
  if (!published) return Failure(std::move(published.error()));
  // The row of the slot comes last, because it makes the slot known.
  auto done = ask(connection, std::string(kLocalCommit) + forget_slot(config_.slot));
  std::vector<TableChange> part;
  for (size_t i = 0; done && i < published->size(); i++) {
    part.push_back({TableChange::Kind::kOther, published_table((*published)[i])});
    if (part.size() < kTablesAtOnce && i + 1 < published->size()) continue;
    done = ask(connection, know_changes(config_, part, {}));
    part.clear();
  }
  if (done) done = ask(connection, std::string(kLocalCommit) + know_slot(config_.slot, *system));
  if (!done) return Failure(std::move(done.error()));
  return {};
}

Result<void> Watcher::look_for_new(Connection& connection) {
  if (!config_.backfill || !config_.backfill->new_tables) return {};
  Result<void> known = know(connection, false);
  if (!known) return known;
  auto rows = ask(connection,
                  std::string(kLargeJoins) + find_changes(config_, connection.server_version()));
  if (!rows) return Failure(std::move(rows.error()));
  std::vector<TableChange> part;
  std::vector<PublishedTable> backfilled;
  std::vector<std::string> told;
  std::vector<std::string> grown;
  for (size_t i = 0; i < rows->size(); i++) {
    part.push_back(table_change((*rows)[i]));
    const PublishedTable& table = part.back().table;
    const bool joined = part.back().kind == TableChange::Kind::kJoined;
    if ((joined || table.grown) && wants_rows(*config_.backfill, table.schema, table.name)) {
      backfilled.push_back(table);
      (joined ? told : grown).push_back(table.schema + "." + table.name);
    }
    if (part.size() < kTablesAtOnce && i + 1 < rows->size()) continue;
    auto done = ask(connection, know_changes(config_, part, backfilled));
    if (!done) return Failure(std::move(done.error()));
    part.clear();
    backfilled.clear();
  }
  if (!grown.empty()) {
    log(LogLevel::kInfo, "tables have got partitions, whose rows are backfilled",
        {{"pipeline", pipeline_}, {"tables", list(grown)}});
  }
  if (told.empty()) return {};
  log(LogLevel::kInfo, "tables have joined the publications, and are backfilled",
      {{"pipeline", pipeline_}, {"tables", list(told)}});
  return {};
}

}  // namespace walspout
