// Divides events into steps, each of which is one statement.
//
// Consecutive events of one table and kind share a step, which keeps the order of events. A step
// has each key once, because a statement sees each row of the target once. If the last update of a
// key has the same effect as all of them, it replaces the others.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "sink/postgres/config.h"
#include "sink/postgres/statements.h"
#include "stream/event.h"

namespace walspout {

// A table of the target, and what the sink knows about it on this connection.
struct PostgresTable {
  Shape shape;
  const RowsConfig* rows = nullptr;
  size_t number = 0;      // names its statements
  bool has_rows = false;  // an insert found its row already there
  unsigned prepared = 0;  // a bit for each Change
  bool said_missing = false;
};

struct Step {
  Change change = Change::kInsert;
  PostgresTable* table = nullptr;
  std::vector<PostgresTable*> tables = {};  // kTruncate: all of them
  size_t end = 0;                           // after the step, events before this one are done
  std::vector<size_t> rows = {};            // events in the statement
  bool must_exist = false;                  // the event cannot make a row that the target lacks
};

// Why a plan ends before an event.
struct Stop {
  size_t event = 0;
  Error error;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<size_t> dropped;  // events that the configuration ignores
  size_t end = 0;               // the events before this one are planned
  std::optional<Stop> stop;     // none: all events are planned
};

class Planner {
 public:
  // Null: the configuration drops the event.
  using TableOf = std::function<Result<PostgresTable*>(const Event& event)>;

  // `careful`: keys are never folded, and the target may already have rows. `of_the_past`: the
  // target may have newer rows, so events that could change these are rejected.
  Planner(TableOf table_of, bool careful, bool of_the_past)
      : table_of_(std::move(table_of)), careful_(careful), of_the_past_(of_the_past) {}

  // Plans the events [begin, end).
  [[nodiscard]] Plan plan(std::span<const Event> events, size_t begin, size_t end);

  // The statement's parameters.
  static void parameters(std::span<const Event> events, const Step& step, std::string& first,
                         std::string& second);

 private:
  static constexpr size_t kRows = 2'000;        // per step
  static constexpr size_t kBytes = 512u << 10;  // likewise; more would miss the processor's cache

  [[nodiscard]] Result<void> add(std::span<const Event> events, size_t i, Plan& plan);
  void add_row(std::span<const Event> events, size_t i, Change change, PostgresTable* table,
               bool must_exist, Plan& plan);
  bool joins(const Step& step, Change change, const PostgresTable* table, bool must_exist,
             const Event& event) const;
  static void add_truncate(std::span<const Event> events, size_t i, PostgresTable* table,
                           Plan& plan);

  [[nodiscard]] Result<void> add_version(std::span<const Event> events, size_t i,
                                         PostgresTable* table, Plan& plan);

  const TableOf table_of_;
  const bool careful_;
  const bool of_the_past_;
  std::unordered_map<uint64_t, size_t> keys_;  // of the last step: key hash, index in its rows
  size_t bytes_ = 0;                           // likewise
};

}  // namespace walspout
