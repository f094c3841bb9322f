#include "source/aside.h"

#include <utility>

namespace walspout {

Result<std::optional<SlotView>> Aside::look(const Connection& stream, Duration patience,
                                            const std::function<bool()>& interrupted) {
  const std::string question =
      "SELECT wal_status, active_pid, confirmed_flush_lsn, "
      "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
      "ELSE pg_catalog.pg_current_wal_lsn() END FROM pg_catalog.pg_replication_slots "
      "WHERE slot_name = " +
      Connection::quote_literal(config_.slot);
  // An older connection may have been lost without notice.
  for (bool fresh = false; !fresh;) {
    fresh = !connection_;
    TimePoint deadline = Clock::now() + patience;
    bool keep = true;
    if (fresh) {
      auto made = stream.beside(config_.dsn, Connection::Mode::kReplication, deadline, interrupted);
      if (!made && Clock::now() < deadline) {
        // All replication connections of the server (max_wal_senders) may be in use.
        keep = false;
        auto other = stream.beside(config_.dsn, Connection::Mode::kOrdinary, deadline, interrupted);
        if (other) made = std::move(other);
      }
      if (!made && Clock::now() >= deadline) return std::nullopt;
      if (!made) return Failure(std::move(made.error()));
      connection_.emplace(std::move(*made));
      deadline = Clock::now() + patience;
    }
    auto rows = connection_->query(question, deadline);
    if (!rows || !keep) connection_.reset();
    if (!rows) {
      if (Clock::now() >= deadline) return std::nullopt;
      if (fresh) return Failure(std::move(rows.error().error));
      continue;
    }
    if (rows->empty()) return SlotView{"gone", "", {}, {}};
    const Row& row = rows->front();
    return SlotView{text(row, 0), text(row, 1), parse_lsn(text(row, 2)).value_or(Lsn{}),
                    parse_lsn(text(row, 3)).value_or(Lsn{})};
  }
  return std::nullopt;
}

bool Aside::is_lost() {
  if (!connection_ || !connection_->readable()) return false;
  // No query runs on the connection: only a notice or the end of the connection can arrive.
  if (connection_->read() && !connection_->hung_up()) return false;
  connection_.reset();
  return true;
}

}  // namespace walspout
