#include "sink/postgres/transaction.h"

#include <utility>

#include "base/rfc3339.h"
#include "sink/postgres/errors.h"

namespace walspout {
namespace {

constexpr std::string_view kDivisionByZero = "22012";
constexpr std::string_view kUniqueViolation = "23505";
constexpr const char* kSave = "SAVEPOINT walspout_step";
constexpr const char* kBackToSave = "ROLLBACK TO SAVEPOINT walspout_step";
constexpr const char* kRelease = "RELEASE SAVEPOINT walspout_step";

bool counts(Change change) {
  return change == Change::kUpdate || change == Change::kPatch || change == Change::kDelete ||
         change == Change::kMove || change == Change::kMark ||
         (is_of_history(change) && change != Change::kVersion);
}

bool is_delete(Change change) {
  return change == Change::kDelete || change == Change::kMark || change == Change::kClose;
}

std::string statement_name(const PostgresTable& table, Change change) {
  return "w" + std::to_string(table.number) + "_" + std::to_string(static_cast<int>(change));
}

std::vector<std::string> truncates(const Step& step, const Event& event) {
  std::vector<const Shape*> shapes;
  for (const PostgresTable* table : step.tables) shapes.push_back(&table->shape);
  return truncate_statements(shapes, rfc3339(event.commit_time));
}

}  // namespace

Trouble PostgresTransaction::lost(Error error) const {
  return {.what = Trouble::What::kOther, .error = std::move(error), .broken = true};
}

Trouble PostgresTransaction::at_fault(const Step& step, const std::string& where) {
  const std::string& table = step.table->shape.target.text();
  std::string what = step.must_exist
                         ? "the target has no such row in " + table +
                               ", and the event lacks columns that a new row needs: backfill the "
                               "table, or set REPLICA IDENTITY FULL in the source"
                         : "the target has no such row in " + table + " (missing: error)";
  return {.what = Trouble::What::kEvent,
          .error = {ErrorKind::kReject, std::move(what), where},
          .event = step.rows.front()};
}

Trouble PostgresTransaction::judged(const ServerError& error, const Sent& sent,
                                    const std::vector<Step>& steps) const {
  if (error.sqlstate.empty()) return lost(error.error);
  Trouble trouble{.error = postgres_error(error)};
  const bool of_a_step = sent.what == Sent::What::kStep;
  switch (postgres_fault(error)) {
    case PostgresFault::kEvent:
      if (sent.what == Sent::What::kPosition && error.sqlstate == kDivisionByZero) {
        trouble.what = Trouble::What::kFenced;
        trouble.error = positions_.taken_over(where_);
      } else {
        // A deferred constraint fails at commit, so any event may be at fault.
        trouble.what = Trouble::What::kSomeEvent;
      }
      break;
    case PostgresFault::kConfiguration:
      trouble.changed = true;
      break;
    case PostgresFault::kDestination:
      break;
  }
  if (of_a_step && error.sqlstate == kUniqueViolation &&
      steps[sent.step].change == Change::kInsert) {
    steps[sent.step].table->has_rows = true;
  }
  return trouble;
}

Result<void> PostgresTransaction::queue(Sent sent, const std::string& sql) {
  sent_.push_back(sent);
  return connection_.run(sql);
}

Result<void> PostgresTransaction::queue_change(Change change, const Step& step, size_t number,
                                               TimePoint deadline) {
  PostgresTable& table = *step.table;
  const std::string name = statement_name(table, change);
  const unsigned bit = 1u << static_cast<unsigned>(change);
  if ((table.prepared & bit) == 0) {
    table.prepared |= bit;
    sent_.push_back({Sent::What::kPrepare, number, &table, change});
    if (auto sent = connection_.prepare(name, change_statement(change, table.shape)); !sent) {
      return sent;
    }
  }
  Connection::Parameters parameters{first_.c_str()};
  if (takes_old_key(change)) parameters.push_back(second_.c_str());
  // Only the last statement of the step counts.
  sent_.push_back({change == Change::kMakeRoom ? Sent::What::kOther : Sent::What::kStep, number});
  if (auto sent = connection_.execute(name, parameters); !sent) return sent;
  return connection_.flush(deadline);
}

Result<void> PostgresTransaction::queue_step(std::span<const Event> events, const Step& step,
                                             size_t number, TimePoint deadline) {
  if (step.change == Change::kTruncate) {
    for (const std::string& statement : truncates(step, events[step.rows.front()])) {
      if (auto sent = queue({Sent::What::kStep, number}, statement); !sent) return sent;
    }
    return {};
  }
  Planner::parameters(events, step, first_, second_);
  if (step.change == Change::kMove) {
    if (auto sent = queue_change(Change::kMakeRoom, step, number, deadline); !sent) return sent;
  }
  return queue_change(step.change, step, number, deadline);
}

// Otherwise the server would give all commits of the session the time of the first one.
Result<void> PostgresTransaction::queue_stamp(const PostgresPosition& position) {
  constexpr const char* kName = "walspout_stamp";
  if (!has_stamp_) {
    has_stamp_ = true;
    sent_.push_back({Sent::What::kPrepareStamp});
    auto sent = connection_.prepare(
        kName,
        "SELECT pg_catalog.pg_replication_origin_xact_setup($1, COALESCE($2, pg_catalog.now()))");
    if (!sent) return sent;
  }
  const std::string lsn = to_string(position.lsn);
  const std::string time = position.time == 0 ? "" : rfc3339(position.time);
  sent_.push_back({Sent::What::kOther});
  return connection_.execute(kName, {lsn.c_str(), time.empty() ? nullptr : time.c_str()});
}

Result<void> PostgresTransaction::queue_commit(const PostgresPosition& position) {
  if (stamps_) {
    if (auto sent = queue_stamp(position); !sent) return sent;
  }
  if (positions_.is_used()) {
    constexpr const char* kName = "walspout_position";
    if (!has_position_) {
      has_position_ = true;
      sent_.push_back({Sent::What::kPreparePosition});
      auto sent = connection_.prepare(kName, PostgresPositions::statement());
      if (!sent) return sent;
    }
    sent_.push_back({Sent::What::kPosition});
    if (auto sent = connection_.execute(kName, positions_.parameters(position)); !sent) return sent;
  }
  return queue({Sent::What::kOther}, "COMMIT");
}

// Sends a sync, and takes all outcomes before it. The first error counts.
Applied PostgresTransaction::take_outcomes(const std::vector<Step>& steps, TimePoint deadline) {
  sent_.push_back({Sent::What::kSync});
  if (auto sent = connection_.sync(); !sent) return tl::unexpected(lost(sent.error()));
  if (auto sent = connection_.flush(deadline); !sent) return tl::unexpected(lost(sent.error()));
  std::optional<Trouble> trouble;
  for (const Sent& sent : std::exchange(sent_, {})) {
    auto outcome = connection_.outcome(deadline);
    const bool failed = !outcome || outcome->kind == Outcome::Kind::kSkipped;
    if (failed && sent.what == Sent::What::kPrepare) {
      sent.table->prepared &= ~(1u << static_cast<unsigned>(sent.change));
    }
    if (failed && sent.what == Sent::What::kPreparePosition) has_position_ = false;
    if (failed && sent.what == Sent::What::kPrepareStamp) has_stamp_ = false;
    if (!outcome) {
      if (!trouble) trouble = judged(outcome.error(), sent, steps);
      if (outcome.error().sqlstate.empty()) {
        trouble->broken = true;
        break;
      }
    } else if (sent.what == Sent::What::kStep && !failed) {
      affected_[sent.step] = outcome->affected;
    }
  }
  if (trouble) return tl::unexpected(std::move(*trouble));
  return {};
}

Applied PostgresTransaction::in_pipeline(TimePoint deadline, const std::function<Applied()>& work) {
  sent_.clear();
  if (auto begun = connection_.begin_pipeline(); !begun) return tl::unexpected(lost(begun.error()));
  if (!open_) {
    if (auto sent = queue({Sent::What::kBegin}, "BEGIN"); !sent) {
      return tl::unexpected(lost(sent.error()));
    }
    open_ = true;
    missing_ = 0;
  }
  Applied applied = work();
  if (!applied && applied.error().broken) {
    open_ = false;
    return applied;
  }
  if (auto ended = connection_.end_pipeline(); !ended) return tl::unexpected(lost(ended.error()));
  if (!applied && applied.error().what != Trouble::What::kEvent) {
    if (auto undone = roll_back(deadline); !undone) applied.error().broken = true;
  }
  return applied;
}

Result<void> PostgresTransaction::roll_back(TimePoint deadline) {
  if (!std::exchange(open_, false)) return {};
  auto undone = connection_.query("ROLLBACK", deadline);
  if (!undone) return Failure(undone.error().error);
  return {};
}

Applied PostgresTransaction::commit(const PostgresPosition& position, TimePoint deadline) {
  if (auto sent = queue_commit(position); !sent) return tl::unexpected(lost(sent.error()));
  Applied committed = take_outcomes({}, deadline);
  if (committed) {
    open_ = false;
    positions_.committed(position);
  }
  return committed;
}

PostgresTransaction::Deficit PostgresTransaction::deficit(const Step& step,
                                                          uint64_t affected) const {
  if (!counts(step.change) || affected >= step.rows.size()) return Deficit::kNone;
  const Missing missing = step.table->rows->missing;
  if (step.must_exist || missing == Missing::kError) return Deficit::kAtFault;
  const bool is_row = step.change == Change::kUpdate || step.change == Change::kMove;
  return is_row && missing == Missing::kInsert ? Deficit::kUpsert : Deficit::kNone;
}

void PostgresTransaction::note_missing(const Step& step, uint64_t affected) {
  if (!counts(step.change) || affected >= step.rows.size()) return;
  PostgresTable& table = *step.table;
  missing_ += step.rows.size() - affected;
  if (std::exchange(table.said_missing, true)) return;
  const bool inserted = table.rows->missing == Missing::kInsert && !is_delete(step.change);
  say_("the target lacked " + std::to_string(step.rows.size() - affected) + " rows of table " +
       table.shape.target.text() + (is_delete(step.change) ? " to delete" : " to update") +
       (inserted ? ", which are inserted" : "") +
       ". This is said once for a table on a connection");
}

// Inserts rows that an update has not found. Rows that it found are set again.
Applied PostgresTransaction::fill_up(std::span<const Event> events, const std::vector<Step>& steps,
                                     TimePoint deadline) {
  bool any = false;
  for (size_t i = 0; i < steps.size(); i++) {
    const Step& step = steps[i];
    switch (deficit(step, affected_[i])) {
      case Deficit::kNone:
        break;
      case Deficit::kAtFault: {
        Trouble trouble = at_fault(step, where_);
        if (step.rows.size() > 1 || steps.size() > 1) trouble.what = Trouble::What::kSomeEvent;
        return tl::unexpected(std::move(trouble));
      }
      case Deficit::kUpsert: {
        // This would overwrite the changes of later steps.
        if (i + 1 < steps.size()) {
          return tl::unexpected(Trouble{.what = Trouble::What::kSomeEvent, .error = {}});
        }
        any = true;
        Step upsert = step;
        upsert.change = Change::kUpsert;
        Planner::parameters(events, upsert, first_, second_);
        if (auto sent = queue_change(Change::kUpsert, upsert, i, deadline); !sent) {
          return tl::unexpected(lost(sent.error()));
        }
      }
    }
  }
  for (size_t i = 0; i < steps.size(); i++) note_missing(steps[i], affected_[i]);
  if (!any) return {};
  return take_outcomes(steps, deadline);
}

Applied PostgresTransaction::apply(std::span<const Event> events, const Plan& plan,
                                   const PostgresPosition* commit_at, TimePoint deadline) {
  affected_.assign(plan.steps.size(), 0);
  return in_pipeline(deadline, [&]() -> Applied {
    bool to_count = false;
    for (size_t i = 0; i < plan.steps.size(); i++) {
      to_count = to_count || counts(plan.steps[i].change);
      if (auto sent = queue_step(events, plan.steps[i], i, deadline); !sent) {
        return tl::unexpected(lost(sent.error()));
      }
    }
    if (commit_at != nullptr && !to_count) {
      if (auto sent = queue_commit(*commit_at); !sent) return tl::unexpected(lost(sent.error()));
    }
    if (auto done = take_outcomes(plan.steps, deadline); !done) return done;
    if (commit_at != nullptr && !to_count) {
      open_ = false;
      positions_.committed(*commit_at);
      return {};
    }
    if (auto filled = fill_up(events, plan.steps, deadline); !filled) {
      if (filled.error().what == Trouble::What::kEvent) {
        filled.error().what = Trouble::What::kSomeEvent;
      }
      return filled;
    }
    return commit_at == nullptr ? Applied() : commit(*commit_at, deadline);
  });
}

// Applies a step after a savepoint. If an event is at fault, the transaction is as before.
Applied PostgresTransaction::try_step(std::span<const Event> events, const Step& step,
                                      TimePoint deadline) {
  const std::vector<Step> steps{step};
  affected_.assign(1, 0);
  if (auto sent = queue({Sent::What::kOther}, kSave); !sent) {
    return tl::unexpected(lost(sent.error()));
  }
  if (auto sent = queue_step(events, step, 0, deadline); !sent) {
    return tl::unexpected(lost(sent.error()));
  }
  Applied done = take_outcomes(steps, deadline);
  if (done) done = fill_up(events, steps, deadline);
  const bool at_fault = !done && (done.error().what == Trouble::What::kSomeEvent ||
                                  done.error().what == Trouble::What::kEvent);
  if (!done && !at_fault) return done;
  if (at_fault) {
    if (auto sent = queue({Sent::What::kOther}, kBackToSave); !sent) {
      return tl::unexpected(lost(sent.error()));
    }
  }
  if (auto sent = queue({Sent::What::kOther}, kRelease); !sent) {
    return tl::unexpected(lost(sent.error()));
  }
  if (auto ended = take_outcomes({}, deadline); !ended) return ended;
  if (!at_fault) return {};
  if (step.rows.size() == 1 || step.change == Change::kTruncate) {
    done.error().what = Trouble::What::kEvent;
    done.error().event = step.rows.front();
    return done;
  }
  const auto middle = step.rows.begin() + static_cast<ptrdiff_t>(step.rows.size() / 2);
  Step half = step;
  half.rows.assign(step.rows.begin(), middle);
  if (auto first = try_step(events, half, deadline); !first) return first;
  half.rows.assign(middle, step.rows.end());
  return try_step(events, half, deadline);
}

Applied PostgresTransaction::apply_carefully(std::span<const Event> events, const Plan& plan,
                                             const PostgresPosition* commit_at,
                                             TimePoint deadline) {
  return in_pipeline(deadline, [&]() -> Applied {
    for (const Step& step : plan.steps) {
      if (auto done = try_step(events, step, deadline); !done) return done;
    }
    if (commit_at == nullptr) return take_outcomes({}, deadline);
    return commit(*commit_at, deadline);
  });
}

}  // namespace walspout
