#include "compare/position.h"

#include <cstdint>
#include <utility>

namespace walspout {
namespace {

// Without the table of positions, or the right to read it, the slot serves instead, only later.
bool is_no_position(const ServerError& error) {
  return error.sqlstate == "42P01" || error.sqlstate == "3F000" || error.sqlstate == "42501";
}

// The header of a page of WAL; the first one of a file has a longer header.
constexpr uint64_t kPageHeader = 24;
constexpr uint64_t kFileHeader = 40;

}  // namespace

Result<Lsn> ComparePosition::now(TimePoint deadline) {
  auto rows = source_.query(
      "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() "
      "ELSE pg_catalog.pg_current_wal_insert_lsn() END, "
      "pg_catalog.current_setting('wal_block_size')",
      deadline);
  if (!rows) return Failure(std::move(rows.error().error));
  const auto lsn = parse_lsn(text(rows->front(), 0));
  if (!lsn) return retry("the source does not say where its WAL ends", source_.endpoint());
  // An idle server may have filled a page and not begun the next one.
  const uint64_t page = std::stoull("0" + text(rows->front(), 1));
  const uint64_t in_page = page > 0 ? lsn->value % page : 0;
  return in_page == kPageHeader || in_page == kFileHeader ? Lsn{lsn->value - in_page} : *lsn;
}

Result<bool> ComparePosition::has_passed(Lsn lsn, TimePoint deadline) {
  if (!position_query_.empty()) {
    auto rows = target_.query(position_query_, deadline);
    if (!rows && !is_no_position(rows.error())) {
      return Failure(std::move(rows.error().error));
    }
    const auto delivered =
        rows && !rows->empty() ? parse_lsn(text(rows->front(), 0)) : std::nullopt;
    if (delivered && *delivered >= lsn) return true;
  }
  auto rows = source_.query(
      "SELECT confirmed_flush_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
          Connection::quote_literal(slot_),
      deadline);
  if (!rows) return Failure(std::move(rows.error().error));
  const auto confirmed = rows->empty() ? std::nullopt : parse_lsn(text(rows->front(), 0));
  return confirmed && *confirmed >= lsn;
}

Result<bool> ComparePosition::is_read(TimePoint deadline) {
  auto rows =
      source_.query("SELECT active FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
                        Connection::quote_literal(slot_),
                    deadline);
  if (!rows) return Failure(std::move(rows.error().error));
  return !rows->empty() && text(rows->front(), 0) == "t";
}

}  // namespace walspout
