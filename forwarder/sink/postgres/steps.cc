#include "sink/postgres/steps.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/rfc3339.h"
#include "sink/postgres/document.h"

namespace walspout {
namespace {

// Whether a statement of this kind may have each key only once.
bool once_a_key(Change change) {
  return change == Change::kUpsert || change == Change::kUpdate || change == Change::kPatch ||
         change == Change::kMark || is_of_history(change);
}

bool folds(Change change) {
  return change == Change::kUpsert || change == Change::kUpdate;
}

void append_time(const Event& event, std::string& out) {
  out += "{\"at\":\"";
  out += rfc3339(event.commit_time);
  out += "\",";
}

void append_deleted(const Event& event, std::string& out) {
  append_time(event, out);
  out += "\"key\":";
  out += event.key();
  out += '}';
}

// `out` must have the opening brace, and may have members.
void append_patch(const Event& event, std::string& out) {
  const Lacks lack = lacks(event);
  out += "\"after\":";
  out += event.after();
  out += lack.members;
  std::string_view before = ",\"elided\":{";
  for (const std::string_view name : lack.names) {
    out += before;
    out += name;
    out += ":0";
    before = ",";
  }
  out += lack.elided ? "}}" : "}";
}

std::string name_of(const Event& event) {
  return event.table != nullptr ? event.table->schema + "." + event.table->name : "";
}

Failure too_old(const Event& event) {
  return reject(
      "the event is old, and the target may have a newer row: backfill the table, or, if "
      "nothing has changed since, replay with --overwrite",
      name_of(event));
}

Error left_out(const Event& event) {
  return {ErrorKind::kReject,
          "columns of the row were left out (`elided` in the document), because they pass "
          "max_value_bytes of the source or do not fit: raise that, or let the target keep what "
          "it has of them by elided: keep",
          name_of(event)};
}

Failure no_key(const Event& event) {
  return reject(
      "the row's key was left out (`elided` in the document), as it passes max_value_bytes of the "
      "source or does not fit, so the row cannot be found in the target: raise that, and backfill "
      "the table",
      name_of(event));
}

}  // namespace

Plan Planner::plan(std::span<const Event> events, size_t begin, size_t end) {
  Plan plan;
  plan.end = begin;
  for (size_t i = begin; i < end; i++) {
    if (auto added = add(events, i, plan); !added) {
      plan.stop = Stop{i, std::move(added.error())};
      return plan;
    }
    plan.end = i + 1;
  }
  return plan;
}

Result<void> Planner::add(std::span<const Event> events, size_t i, Plan& plan) {
  const Event& event = events[i];
  if (event.op == 'm' || event.is_no_change()) {
    plan.dropped.push_back(i);
    return {};
  }
  auto table = table_of_(event);
  if (!table) return Failure(table.error());
  if (*table == nullptr) {
    plan.dropped.push_back(i);
    return {};
  }
  const Shape& shape = (*table)->shape;
  const RowsConfig& rows = *(*table)->rows;
  if (event.op == 't' && rows.truncate == Truncates::kError) {
    return reject("a TRUNCATE, which the configuration does not allow (truncate: error)",
                  name_of(event));
  }
  if (event.op == 'd' && !shape.keyed) {
    plan.dropped.push_back(i);
    return {};
  }
  if (of_the_past_ && (shape.keyed || event.op == 't')) return too_old(event);
  const bool is_delete = event.op == 'd' || event.op == 't';
  const bool needs_time = shape.history || (is_delete && !shape.deleted_at.empty());
  if (needs_time && event.commit_time == 0) {
    return reject("it is not known when the event was committed", name_of(event));
  }
  const Lacks lack = lacks(event);
  if (event.op == 't') {
    add_truncate(events, i, *table, plan);
    return {};
  }
  if (shape.keyed && event.key().empty()) return no_key(event);
  if (event.op == 'd') {
    const Change change = shape.history              ? Change::kClose
                          : shape.deleted_at.empty() ? Change::kDelete
                                                     : Change::kMark;
    add_row(events, i, change, *table, lack.elided, plan);
    return {};
  }
  if (lack.elided && !rows.keep_elided) return Failure(left_out(event));
  if (shape.history) return add_version(events, i, *table, plan);
  if (!shape.keyed) {
    if (lack) {
      return reject("the row lacks columns, and table " + shape.target.text() +
                        " has no key by which they could be kept",
                    name_of(event));
    }
    add_row(events, i, Change::kInsert, *table, false, plan);
  } else if (event.op == 'u' && event.barrier && !event.before().empty()) {
    add_row(events, i, Change::kMove, *table, lack && rows.missing != Missing::kIgnore, plan);
  } else if (lack) {
    const bool may_lack_row = event.op == 'u' && rows.missing == Missing::kIgnore;
    add_row(events, i, Change::kPatch, *table, !may_lack_row, plan);
  } else if (event.op == 'u') {
    add_row(events, i, Change::kUpdate, *table, false, plan);
  } else {
    const bool may_be_there = careful_ || (*table)->has_rows;
    add_row(events, i, may_be_there ? Change::kUpsert : Change::kInsert, *table, false, plan);
  }
  return {};
}

// If the target lacks the row, only a document with all columns can make a version.
Result<void> Planner::add_version(std::span<const Event> events, size_t i, PostgresTable* table,
                                  Plan& plan) {
  const Event& event = events[i];
  const bool lacks_columns = static_cast<bool>(lacks(event));
  const Missing missing = table->rows->missing;
  const bool begins = missing == Missing::kInsert && !lacks_columns;
  const bool must_exist = lacks_columns && missing != Missing::kIgnore;
  if (event.op == 'u' && event.barrier && !event.before().empty()) {
    add_row(events, i, begins ? Change::kMoveVersion : Change::kMoveNextVersion, table, must_exist,
            plan);
  } else if (event.op == 'u') {
    add_row(events, i, begins ? Change::kNewVersion : Change::kNextVersion, table, must_exist,
            plan);
  } else if (lacks_columns) {
    add_row(events, i, Change::kNextVersion, table, true, plan);
  } else {
    add_row(events, i, Change::kVersion, table, false, plan);
  }
  return {};
}

bool Planner::joins(const Step& step, Change change, const PostgresTable* table, bool must_exist,
                    const Event& event) const {
  if (step.change != change || step.table != table || step.must_exist != must_exist) return false;
  if (takes_old_key(change)) return false;
  if (step.rows.size() >= kRows || bytes_ + event.document.size() > kBytes) return false;
  // With two rows of one key, it is undefined which one the statement takes.
  return !once_a_key(change) || table->shape.exact_keys;
}

void Planner::add_row(std::span<const Event> events, size_t i, Change change, PostgresTable* table,
                      bool must_exist, Plan& plan) {
  const Event& event = events[i];
  if (!plan.steps.empty() && joins(plan.steps.back(), change, table, must_exist, event)) {
    Step& step = plan.steps.back();
    const auto known = once_a_key(change) ? keys_.find(event.key_hash) : keys_.end();
    if (known == keys_.end()) {
      if (once_a_key(change)) keys_.emplace(event.key_hash, step.rows.size());
      step.rows.push_back(i);
      step.end = i + 1;
      bytes_ += event.document.size();
      return;
    }
    size_t& place = step.rows[known->second];
    if (folds(change) && !careful_ && !table->shape.has_triggers &&
        events[place].key() == event.key()) {
      place = i;
      step.end = i + 1;
      bytes_ += event.document.size();
      return;
    }
  }
  plan.steps.push_back({change, table, {}, i + 1, {i}, must_exist});
  keys_.clear();
  if (once_a_key(change)) keys_.emplace(event.key_hash, 0);
  bytes_ = event.document.size();
}

// A TRUNCATE of several tables has an event for each table. Foreign keys between the tables require
// one statement.
void Planner::add_truncate(std::span<const Event> events, size_t i, PostgresTable* table,
                           Plan& plan) {
  if (!plan.steps.empty() && plan.steps.back().change == Change::kTruncate &&
      events[plan.steps.back().rows.front()].commit_time == events[i].commit_time) {
    Step& step = plan.steps.back();
    if (std::find(step.tables.begin(), step.tables.end(), table) == step.tables.end()) {
      step.tables.push_back(table);
    }
    step.rows.push_back(i);
    step.end = i + 1;
    return;
  }
  plan.steps.push_back({Change::kTruncate, table, {table}, i + 1, {i}, false});
}

void Planner::parameters(std::span<const Event> events, const Step& step, std::string& first,
                         std::string& second) {
  first.assign("[");
  second.clear();
  for (const size_t row : step.rows) {
    const Event& event = events[row];
    if (first.size() > 1) first += ',';
    switch (step.change) {
      case Change::kInsert:
      case Change::kUpsert:
      case Change::kUpdate:
        first += event.after();
        break;
      case Change::kDelete:
        first += event.key();
        break;
      case Change::kMark:
      case Change::kClose:
        append_deleted(event, first);
        break;
      case Change::kMakeRoom:
      case Change::kPatch:
      case Change::kMove:
        first += '{';
        append_patch(event, first);
        break;
      case Change::kVersion:
      case Change::kNewVersion:
      case Change::kNextVersion:
      case Change::kMoveVersion:
      case Change::kMoveNextVersion:
        append_time(event, first);
        append_patch(event, first);
        break;
      case Change::kTruncate:
        break;
    }
    if (takes_old_key(step.change)) second.assign("[").append(event.before()).append("]");
  }
  first += ']';
}

}  // namespace walspout
