// How far a source was delivered: a row of walspout.positions in the target, which changes in the
// transaction of the rows.
//
// Events up to the position are in the target, or were set aside. Who delivers owns the row. A
// forwarder that takes over writes its name there, so that no transaction of the former owner can
// be committed any more; the session of that owner is ended.
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
  int64_t time = 0;    // the latest commit of all that was delivered, microseconds since 1970

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
  // Not for dead letters: these are of the past.
  bool is_used() const { return !source_.replay; }

  // Whether a delivery could go on where the position is. Changes nothing.
  [[nodiscard]] Result<void> check(Connection& connection, TimePoint deadline) const;

  // Before events are delivered: makes the table and the row if need be, and becomes the owner.
  // `again`: only if no other one has become that since this one was the owner. False: one has.
  [[nodiscard]] Result<bool> take_over(Connection& connection, bool again, TimePoint deadline);

  // Whether the event is in the target already. Error: the position is of another history.
  [[nodiscard]] Result<bool> has(const Event& event, const std::string& where);

  // The position behind this event.
  [[nodiscard]] PostgresPosition behind(const Event& event) const;
  void committed(const PostgresPosition& position) { position_ = position; }

  // Asks how far a source was delivered: a row with the LSN; or none, or NULL, before that.
  static std::string query(const std::string& sink, const std::string& identity);

  // Writes a position into the open transaction: a statement, and its parameters. It divides by
  // zero if another forwarder owns the row.
  static std::string statement();
  // Valid until the next call.
  Connection::Parameters parameters(const PostgresPosition& position);
  [[nodiscard]] Error taken_over(const std::string& where) const;

 private:
  [[nodiscard]] Result<void> can_number(const std::string& where) const;
  [[nodiscard]] Result<void> make_table(Connection& connection, TimePoint deadline) const;
  [[nodiscard]] Result<std::optional<PostgresPosition>> read(Connection& connection,
                                                             TimePoint deadline) const;
  [[nodiscard]] Result<void> end_former_owner(Connection& connection, TimePoint deadline) const;
  [[nodiscard]] Error another_history(const std::string& what, const std::string& where) const;
  [[nodiscard]] std::string condition() const;

  const std::string sink_;
  const std::string owner_;  // of this life of the process
  SourceState source_;
  std::optional<PostgresPosition> position_;  // what is committed
  int64_t latest_ = 0;                        // commit time of all that was seen
  std::string lsn_, index_, time_;            // as parameters
};

}  // namespace walspout
