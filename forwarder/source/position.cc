#include "source/position.h"

#include "source/connection.h"

namespace walspout {

namespace {

constexpr Duration kEvery = std::chrono::seconds(5);
constexpr Duration kPatience = std::chrono::seconds(1);

}  // namespace

void ServerPosition::refresh() {
  std::unique_lock lock(mutex_, std::try_to_lock);
  TimePoint now = Clock::now();
  if (!lock || (asked_ != TimePoint{} && now < asked_ + kEvery)) return;
  asked_ = now;
  auto connection = Connection::open(dsn_, Connection::Mode::kOrdinary, now + kPatience, wake_,
                                     [this] { return stopping_.load(); });
  if (!connection) return;
  auto rows = connection->query(
      "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
      "ELSE pg_catalog.pg_current_wal_lsn() END",
      now + kPatience);
  if (!rows || rows->empty() || rows->front().empty()) return;
  std::optional<Lsn> end = parse_lsn(rows->front().front().value_or(""));
  if (end) stats_.server_lsn = std::max(stats_.server_lsn.load(), end->value);
}

void ServerPosition::stop() {
  stopping_ = true;
  wake_();
}

}  // namespace walspout
