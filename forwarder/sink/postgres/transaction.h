// A transaction in the target: plans are applied to it, and it is committed with the position.
//
// The fast way sends all statements of a plan without waiting. If one of them fails for the sake of
// a row, nothing of the transaction remains, and the careful way shows which event is at fault: a
// statement at a time behind a savepoint, with half of the rows, and half of those.
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
    kEvent,      // this one is
    kOther,      // whatever the error says
    kFenced,     // another forwarder owns the position
  } what = What::kOther;
  Error error;
  size_t event = 0;
  bool broken = false;   // the connection is of no more use
  bool changed = false;  // the target's tables are not what they were
};

using Applied = tl::expected<void, Trouble>;

class PostgresTransaction {
 public:
  // Is told of rows that the target lacks, a line for each table.
  using Say = std::function<void(const std::string& line)>;

  // All are outlived by what they refer to.
  // `stamps`: commits get the source's time, and its WAL position.
  PostgresTransaction(Connection& connection, PostgresPositions& positions, bool stamps, Say say)
      : connection_(connection),
        positions_(positions),
        stamps_(stamps),
        say_(std::move(say)),
        where_(connection.endpoint()) {}

  bool is_open() const { return open_; }
  // Rows that the target lacked, in this transaction or the last one.
  uint64_t missing() const { return missing_; }

  // Begins, if there is no open transaction, and applies a plan; with a position, it also commits.
  // After an error nothing of the transaction remains.
  [[nodiscard]] Applied apply(std::span<const Event> events, const Plan& plan,
                              const PostgresPosition* commit, TimePoint deadline);

  // The same in the careful way. After Trouble::What::kEvent the events before that one are in the
  // transaction, which stays open.
  [[nodiscard]] Applied apply_carefully(std::span<const Event> events, const Plan& plan,
                                        const PostgresPosition* commit, TimePoint deadline);

  // Nothing of it remains. After an error the connection is of no more use.
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
  std::vector<Sent> sent_;          // outcomes to come
  std::vector<uint64_t> affected_;  // by step
  std::string first_, second_;      // parameters, kept for their memory
};

}  // namespace walspout
