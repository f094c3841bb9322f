// The delivered position of a source: a row of walspout.positions in the target, written in the
// same transaction as the rows.
//
// Events up to the position are in the target, or are dead letters. The delivering session owns the
// row. A session that takes over writes its name there and ends the former owner's session. So the
// former owner can no longer commit. It may be another forwarder, or a session that this forwarder
// gave up, whose statements may still wait in the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/lsn.h"
#include "postgres/connection.h"
#include "stream/sink.h"

namespace walspout {

struct PostgresPosition {
  Lsn lsn;             // and index: the last event's id
  uint64_t index = 0;  // in its transaction
  int64_t time = 0;    // the latest commit of delivered events, microseconds since 1970

  bool covers(const Event& event) const {
    return event.lsn < lsn || (event.lsn == lsn && event.index <= index);
  }
  PostgresPosition after(const Event& event) const;
  bool operator==(const PostgresPosition&) const = default;
};

class PostgresPositions {
 public:
  explicit PostgresPositions(std::string sink);

  void set_source(const SourceState& source);
  const SourceState& source() const { return source_; }
  // Not for dead letters, because these are before the position.
  bool is_used() const { return !source_.replay; }

  // Whether a delivery could continue at the position. Changes nothing.
  [[nodiscard]] Result<void> check(Connection& connection, TimePoint deadline) const;

  // Makes the table and the row if needed, and becomes the owner. Call it before deliveries.
  // `again`: only if no other forwarder became the owner since this one was. False: another one
  // did.
  [[nodiscard]] Result<bool> take_over(Connection& connection, bool again, TimePoint deadline);

  // Whether the target has the event. Error: the position is of another history.
  [[nodiscard]] Result<bool> has(const Event& event, const std::string& where);

  // The position after this event.
  [[nodiscard]] PostgresPosition behind(const Event& event) const;
  void committed(const PostgresPosition& position) { position_ = position; }

  // A query for the LSN of a source's position. It returns no row, or NULL, before the first event.
  static std::string query(const std::string& sink, const std::string& identity);

  // The statement, with its parameters, that writes a position in the open transaction. It divides
  // by zero if another forwarder owns the row.
  static std::string statement();
  // Valid until the next call.
  Connection::Parameters parameters(const PostgresPosition& position);
  [[nodiscard]] Error taken_over(const std::string& where) const;
  // Whether the table lacks the row, which this sink had. False if that is not known.
  [[nodiscard]] bool is_deleted(Connection& connection, TimePoint deadline) const;
  [[nodiscard]] Error deleted(const std::string& where) const;

 private:
  [[nodiscard]] Result<void> can_number(const std::string& where) const;
  [[nodiscard]] Result<void> make_table(Connection& connection, bool again,
                                        TimePoint deadline) const;
  [[nodiscard]] Result<std::optional<PostgresPosition>> read(Connection& connection,
                                                             TimePoint deadline) const;
  [[nodiscard]] Result<void> end_former_owner(Connection& connection, bool again,
                                              TimePoint deadline) const;
  [[nodiscard]] Error another_history(const std::string& what, const std::string& where) const;
  [[nodiscard]] std::string condition() const;
  [[nodiscard]] std::string is_ours() const;

  const std::string sink_;
  const std::string process_;  // names this start of the process
  std::string owner_;          // names the session; begins with process_
  uint64_t sessions_ = 0;
  SourceState source_;
  std::optional<PostgresPosition> position_;  // the committed position
  int64_t latest_ = 0;                        // latest commit time of all events seen
  std::string lsn_, index_, time_;            // as parameters
};

}  // namespace walspout
