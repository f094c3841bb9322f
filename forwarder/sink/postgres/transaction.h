// A transaction in the target: applies plans, and commits with the position.
//
// The fast way sends all statements of a plan without waiting. If one of them fails because of a
// row, the transaction is rolled back. The careful way then finds the event at fault: one statement
// at a time after a savepoint, with half of the rows, then half of those.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "postgres/connection.h"
#include "sink/postgres/config.h"
#include "sink/postgres/positions.h"
#include "sink/postgres/steps.h"

namespace walspout {

struct Trouble {
  enum class What {
    kSomeEvent,  // an event of the plan is at fault; the careful way shows which one
    kEvent,      // `event` is at fault
    kOther,      // `error` says what is at fault
    kFenced,     // another forwarder owns the position
  } what = What::kOther;
  Error error;
  size_t event = 0;
  bool broken = false;   // the connection can no longer be used
  bool changed = false;  // the target's tables have changed
};

using Applied = tl::expected<void, Trouble>;

class PostgresTransaction {
 public:
  // Gets a line for each table with rows that the target lacks.
  using Say = std::function<void(const std::string& line)>;

  // The references must outlive this. `stamps`: commits get the source's time and WAL position.
  PostgresTransaction(Connection& connection, PostgresPositions& positions, bool stamps, Say say)
      : connection_(connection),
        positions_(positions),
        stamps_(stamps),
        say_(std::move(say)),
        where_(connection.endpoint()) {}

  bool is_open() const { return open_; }
  // Rows that the target lacked, in this transaction or the last one.
  uint64_t missing() const { return missing_; }

  // Begins, if no transaction is open, and applies a plan; with a position, also commits. An error
  // rolls back the transaction.
  [[nodiscard]] Applied apply(std::span<const Event> events, const Plan& plan,
                              const PostgresPosition* commit, TimePoint deadline);

  // Likewise, in the careful way. After Trouble::What::kEvent the transaction stays open, with the
  // events before that one.
  [[nodiscard]] Applied apply_carefully(std::span<const Event> events, const Plan& plan,
                                        const PostgresPosition* commit, TimePoint deadline);

  // Rolls back. After an error the connection can no longer be used.
  [[nodiscard]] Result<void> roll_back(TimePoint deadline);

 private:
  struct Sent {
    enum class What {
      kBegin,
      kPrepare,
      kStep,
      kPreparePosition,
      kPrepareStamp,
      kPosition,
      kOther,
      kSync
    } what;
    size_t step = 0;
    PostgresTable* table = nullptr;  // kPrepare
    Change change = Change::kInsert;
  };
  enum class Deficit { kNone, kUpsert, kAtFault };

  [[nodiscard]] Result<void> queue(Sent sent, const std::string& sql);
  [[nodiscard]] Result<void> queue_change(Change change, const Step& step, size_t number,
                                          TimePoint deadline);
  [[nodiscard]] Result<void> queue_step(std::span<const Event> events, const Step& step,
                                        size_t number, TimePoint deadline);
  [[nodiscard]] Result<void> queue_stamp(const PostgresPosition& position);
  [[nodiscard]] Result<void> queue_commit(const PostgresPosition& position);
  [[nodiscard]] Applied take_outcomes(const std::vector<Step>& steps, TimePoint deadline);
  [[nodiscard]] Applied in_pipeline(TimePoint deadline, const std::function<Applied()>& work);
  [[nodiscard]] Applied commit(const PostgresPosition& position, TimePoint deadline);
  Deficit deficit(const Step& step, uint64_t affected) const;
  void note_missing(const Step& step, uint64_t affected);
  [[nodiscard]] Applied fill_up(std::span<const Event> events, const std::vector<Step>& steps,
                                TimePoint deadline);
  [[nodiscard]] Applied try_step(std::span<const Event> events, const Step& step,
                                 TimePoint deadline);
  [[nodiscard]] Trouble judged(const ServerError& error, const Sent& sent,
                               const std::vector<Step>& steps) const;
  [[nodiscard]] Trouble lost(Error error) const;
  [[nodiscard]] static Trouble at_fault(const Step& step, const std::string& where);

  Connection& connection_;
  PostgresPositions& positions_;
  const bool stamps_;
  const Say say_;
  const std::string where_;
  bool open_ = false;
  uint64_t missing_ = 0;
  bool has_position_ = false;       // the statement is prepared
  bool has_stamp_ = false;          // likewise
  std::vector<Sent> sent_;          // statements without an outcome yet
  std::vector<uint64_t> affected_;  // by step
  std::string first_, second_;      // parameters; reused, to save allocations
};

}  // namespace walspout
