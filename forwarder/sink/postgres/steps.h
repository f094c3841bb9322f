// Divides a stretch of events into steps, each of which is one statement.
//
// Neighbouring events of one table and kind share a step, so the order of events is kept between
// steps. A key is in a step once, for a statement sees each row of the target once. Where two
// updates of a key differ from the last one alone in nothing, the last one takes the place of both.
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

// A table of the target, and what the sink has learned of it on this connection.
struct PostgresTable {
  Shape shape;
  const RowsConfig* rows = nullptr;
  size_t number = 0;      // names its statements
  bool has_rows = false;  // it had a row that came as a new one
  unsigned prepared = 0;  // a bit for each Change
  bool said_missing = false;
};

struct Step {
  Change change = Change::kInsert;
  PostgresTable* table = nullptr;
  std::vector<PostgresTable*> tables = {};  // kTruncate: all of them
  size_t end = 0;                           // events before this one are done with the step
  std::vector<size_t> rows = {};            // events that the statement has
  bool must_exist = false;  // a row that the target lacks cannot be made of the event
};

// Why a stretch ends before an event.
struct Stop {
  size_t event = 0;
  Error error;
};

struct Plan {
  std::vector<Step> steps;
  std::vector<size_t> dropped;  // events that change nothing, by the configuration
  size_t end = 0;               // the events before this one are planned
  std::optional<Stop> stop;     // none: all are
};

class Planner {
 public:
  // Null: the event goes nowhere, by the configuration.
  using TableOf = std::function<Result<PostgresTable*>(const Event& event)>;

  // `careful`: keys are never folded, and rows may be in the target already. `of_the_past`: rows of
  // the target may be newer than the events, so no event is applied that could change such a row.
  Planner(TableOf table_of, bool careful, bool of_the_past)
      : table_of_(std::move(table_of)), careful_(careful), of_the_past_(of_the_past) {}

  // Of the events [begin, end).
  [[nodiscard]] Plan plan(std::span<const Event> events, size_t begin, size_t end);

  // The statement's parameters.
  static void parameters(std::span<const Event> events, const Step& step, std::string& first,
                         std::string& second);

 private:
  static constexpr size_t kRows = 2'000;        // of a step
  static constexpr size_t kBytes = 512u << 10;  // likewise; more of them miss the processor's cache

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
  std::unordered_map<uint64_t, size_t> keys_;  // of the last step: hash, and place in its rows
  size_t bytes_ = 0;                           // likewise
};

}  // namespace walspout
