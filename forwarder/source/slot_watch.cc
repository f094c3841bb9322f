#include "source/slot_watch.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <system_error>

#include "base/log.h"
#include "postgres/connection.h"

namespace walspout {

namespace {

constexpr Duration kInterval = std::chrono::seconds(10);  // between queries
constexpr Duration kNotYet = std::chrono::milliseconds(200);
constexpr Duration kConnect = std::chrono::seconds(5);
constexpr Duration kAnswer = std::chrono::seconds(5);

// Nothing: the value is NULL, so there is no limit.
std::optional<uint64_t> amount(const Row& row, size_t i) {
  const std::string digits = text(row, i);
  if (digits.empty()) return std::nullopt;
  int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return static_cast<uint64_t>(std::max<int64_t>(0, value));
}

// A slot retains at least wal_keep_size in any case.
std::string question(const std::string& slot) {
  return "SELECT s.wal_status, s.active_pid, "
         "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
         "ELSE pg_catalog.pg_current_wal_lsn() END - s.restart_lsn, s.safe_wal_size, "
         "(SELECT CASE WHEN most < 0 THEN NULL ELSE 1048576 * greatest(most, least) END FROM "
         "(SELECT max(setting::bigint) FILTER (WHERE name = 'max_slot_wal_keep_size') AS most, "
         "max(setting::bigint) FILTER (WHERE name = 'wal_keep_size') AS least "
         "FROM pg_catalog.pg_settings "
         "WHERE name IN ('max_slot_wal_keep_size', 'wal_keep_size')) limits) "
         "FROM pg_catalog.pg_replication_slots s WHERE s.slot_name = " +
         Connection::quote_literal(slot);
}

}  // namespace

SlotWatch::SlotWatch(std::string pipeline, const SourceConfig& config, SourceStats& stats)
    : pipeline_(std::move(pipeline)), slot_(config.slot), dsn_(config.dsn), stats_(stats) {}

void SlotWatch::start() {
  try {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "slot");
      try {
        run();
      } catch (const std::exception& error) {
        log(LogLevel::kError, "the slot is no longer watched: a library threw",
            {{"pipeline", pipeline_}, {"error", error.what()}});
      }
    });
  } catch (const std::system_error& error) {
    log(LogLevel::kWarn, "the slot is not looked at: could not create a thread",
        {{"pipeline", pipeline_}, {"error", error.code().message()}});
  }
}

void SlotWatch::stop() {
  stop_ = true;
  wake_();
  if (thread_.joinable()) thread_.join();
}

void SlotWatch::wait(Duration time) {
  pollfd fd{wake_.fd(), POLLIN, 0};
  poll(&fd, 1, static_cast<int>(std::chrono::ceil<Milliseconds>(time).count()));
  if (fd.revents) wake_.clear();
}

void SlotWatch::run() {
  while (!stop_) {
    // Without a stream we do not know which server has the slot.
    if (stats_.state != SourcePhase::kStreaming) {
      wait(kNotYet);
      continue;
    }
    Result<void> looked = look();
    if (stop_) break;
    const std::string failed = looked ? "" : looked.error().message();
    if (!failed.empty() && failed != failed_said_) {
      log(LogLevel::kInfo, "could not ask how much WAL the slot keeps, will try again",
          {{"pipeline", pipeline_}, {"slot", slot_}, {"error", failed}});
    }
    failed_said_ = failed;
    wait(kInterval);
  }
}

Result<void> SlotWatch::look() {
  Result<std::optional<Secret>> again = dsn_.reread();
  if (again && *again) dsn_ = std::move(**again);
  const SlotServer server = stats_.server.get();
  auto connection =
      Connection::open_at(server.address, dsn_, Connection::Mode::kOrdinary,
                          Clock::now() + kConnect, wake_, [this] { return stop_.load(); });
  if (!connection) return Failure(std::move(connection.error()));
  auto rows = connection->query(question(slot_), Clock::now() + kAnswer);
  if (!rows) return Failure(std::move(rows.error().error));
  // One address may lead to several servers, each with a slot of that name.
  const Row row = rows->empty() ? Row{} : rows->front();
  if (text(row, 1) != std::to_string(server.process)) return {};
  stats_.retained.set({Clock::now(), text(row, 0), amount(row, 2), amount(row, 3), amount(row, 4)});
  return {};
}

}  // namespace walspout
