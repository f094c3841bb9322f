#include "sink/postgres/postgres.h"

#include <algorithm>

#include "postgres/place.h"

namespace walspout {
namespace {

std::string place_name(const PostgresConfig& config) {
  const Place place = Place::of(config.dsn);
  std::string name;
  for (const std::string& server : place.servers) name += (name.empty() ? "" : ",") + server;
  return name + "/" + place.database;
}

// The index of the first event in the event's transaction.
size_t transaction_begin(std::span<const Event> events, size_t event) {
  while (event > 0 && events[event - 1].lsn == events[event].lsn) event--;
  return event;
}

// The end of the events without the TRUNCATEs at their end. The rest of the transaction may
// truncate more tables, and tables that reference each other must be truncated together.
size_t without_truncates(std::span<const Event> events, size_t begin, size_t end) {
  while (end > begin && events[end - 1].op == 't') end--;
  return end;
}

// How many of the first events form whole transactions.
size_t whole(std::span<const Event> events, const Progress& progress) {
  const bool more = progress.has_more() || progress.transaction_continues();
  return more ? transaction_begin(events, events.size() - 1) : events.size();
}

tl::unexpected<DeliveryError> failure(Error error, size_t event = 0) {
  return tl::unexpected(DeliveryError{std::move(error), event, std::nullopt});
}

}  // namespace

PostgresSink::PostgresSink(const PostgresConfig& config, PostgresTables::Routers routers,
                           std::string name)
    : config_(config),
      name_(std::move(name)),
      positions_(config.sink),
      tables_(config_, std::move(routers.all),
              PostgresTables::some(config_, std::move(routers.some))) {}

Result<std::unique_ptr<Sink>> PostgresSink::create(const PostgresConfig& config) {
  if (config.dsn.empty()) return misconfigured("dsn is empty");
  if (auto good = Connection::check_dsn(config.dsn); !good) return with_prefix("dsn", good.error());
  auto routers = PostgresTables::routers(config);
  if (!routers) return Failure(routers.error());
  return std::unique_ptr<Sink>(new PostgresSink(config, std::move(*routers), place_name(config)));
}

// The origin's name, for source and sink: only one session can use an origin.
std::string PostgresSink::origin() const {
  if (!positions_.is_used()) return "";
  std::string name = "walspout_" + config_.sink + "_" + positions_.source().identity;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

Result<void> PostgresSink::open(TimePoint deadline) {
  const bool is_too_full = tables_.size() > kTables && (!transaction_ || !transaction_->is_open());
  if (session_ &&
      (is_too_full || !session_->connection.is_usable() || session_->connection.hung_up())) {
    drop_session();
  }
  if (session_) return {};
  auto opened = open_postgres_session(config_, deadline, wake_);
  if (!opened) return Failure(opened.error());
  session_.emplace(std::move(*opened));
  return {};
}

Result<void> PostgresSink::prepare(const Progress& progress, TimePoint deadline) {
  if (fenced_ && *fenced_ == progress.term()) return Failure(positions_.taken_over(name_));
  if (auto opened = open(deadline); !opened) return opened;
  if (transaction_) return {};
  fenced_.reset();
  // A forwarder that took over in the same term has the slot, so it must stay the owner.
  const auto taken =
      positions_.take_over(session_->connection, owned_ == progress.term(), deadline);
  Result<void> ready;
  if (!taken) {
    ready = Failure(taken.error());
  } else if (!*taken) {
    fenced_ = progress.term();
    ready = Failure(positions_.taken_over(name_));
  } else {
    owned_ = progress.term();
  }
  if (ready && !origin().empty()) ready = set_postgres_origin(*session_, origin(), deadline);
  if (!ready) {
    drop_session();
    return ready;
  }
  const bool stamps = session_->may_stamp_commits && !origin().empty();
  transaction_.emplace(session_->connection, positions_, stamps, [this](const std::string& line) {
    if (listener_) listener_(line);
  });
  return {};
}

void PostgresSink::drop_session() {
  transaction_.reset();
  session_.reset();
  tables_.forget();
  lasting_tables_ = 0;
  note_rollback();
}

void PostgresSink::note_rollback() {
  tables_.forget_after(lasting_tables_);
  applied_.clear();
  dropped_.clear();
  careful_ = false;
}

void PostgresSink::drop_transaction(TimePoint deadline) {
  note_rollback();
  if (!transaction_ || !transaction_->is_open()) return;
  if (!transaction_->roll_back(deadline)) drop_session();
}

Result<void> PostgresSink::check(const SourceState& source, TimePoint deadline) {
  if (!source.plain_numbers) {
    return misconfigured(
        "the source prints numbers as strings, which would stay strings in columns of type json: "
        "leave `numbers` of the source at json",
        name_);
  }
  const std::string before = positions_.source().identity;
  positions_.set_source(source);
  if (positions_.source().identity != before) drop_session();
  if (auto opened = open(deadline); !opened) return opened;
  if (auto good = positions_.check(session_->connection, deadline); !good) return good;
  warnings_ = session_->warnings;
  if (source.max_depth > 0) {
    warnings_.push_back(
        "a value of type json that nests deeper than " +
        std::to_string(source.max_depth - std::min<uint64_t>(2, source.max_depth)) +
        " levels arrives as a string that holds it: set max_depth: 0 in the source");
  }
  return {};
}

void PostgresSink::idle() {
  if (!transaction_ || !transaction_->is_open()) return;
  // After an error, or while the stream is lost, other sessions must not wait for our locks.
  if (careful_ || Clock::now() - touched_ > kLongestPause) {
    drop_transaction(Clock::now() + std::chrono::seconds(1));
  }
}

Delivery PostgresSink::deliver(std::span<const Event> events, TimePoint deadline,
                               Progress& progress) {
  if (events.empty()) return {};
  if (!progress.may_continue()) return halted();
  if (auto ready = prepare(progress, deadline); !ready) {
    return failure(std::move(ready.error()));
  }
  tables_.begin();
  size_t skipped = 0;
  for (; skipped < events.size(); skipped++) {
    auto there = positions_.has(events[skipped], name_);
    if (!there) return failure(std::move(there.error()));
    if (!*there) break;
    progress.durable(skipped);
  }
  if (skipped == events.size()) return {};
  for (size_t i = skipped + 1; i < events.size(); i++) {
    static_cast<void>(positions_.has(events[i], name_));
  }
  Call call{events.subspan(skipped), skipped, deadline, progress};
  return run(call);
}

// How many of the first events are in the open transaction.
size_t PostgresSink::resume(const Call& call) {
  if (!transaction_->is_open()) return 0;
  bool same = applied_.size() <= call.events.size();
  for (size_t i = 0; same && i < applied_.size(); i++) {
    same = applied_[i] == std::pair(call.events[i].lsn, call.events[i].index);
  }
  if (same) return applied_.size();
  drop_transaction(call.deadline);
  return 0;
}

void PostgresSink::remember(const Call& call, size_t end) {
  for (size_t i = applied_.size(); i < end; i++) {
    applied_.emplace_back(call.events[i].lsn, call.events[i].index);
  }
  touched_ = Clock::now();
}

Delivery PostgresSink::run(Call& call) {
  const size_t begin = resume(call);
  if (!transaction_) return undelivered(ErrorKind::kRetry, "the connection broke", name_);
  size_t end = whole(call.events, call.progress);
  // Apply the available part of a transaction that is still incomplete.
  const bool stays_open = end == 0;
  if (stays_open) end = without_truncates(call.events, begin, call.events.size());
  const Event& last = call.events.back();
  const bool is_known = rolled_back_ == std::pair(last.lsn, last.index);
  if (stays_open && (begin == end || (begin == 0 && is_known))) {
    if (begin > 0 && Clock::now() - touched_ > kLongestPause) {
      drop_transaction(call.deadline);
      rolled_back_.emplace(last.lsn, last.index);
    }
    call.progress.pause();
    return {};
  }
  const Part part{begin, end, stays_open};
  return careful_ ? apply_carefully(call, part) : apply(call, part);
}

// Plans a part. Shortens the part if an event cannot be applied.
Plan PostgresSink::planned(const Call& call, Part& part) {
  Planner planner(
      [&](const Event& event) { return tables_.find(session_->connection, event, call.deadline); },
      careful_, !positions_.is_used() && !positions_.source().overwrite);
  Plan plan = planner.plan(call.events, part.begin, part.end);
  if (!transaction_->is_open()) lasting_tables_ = tables_.size();
  if (!plan.stop) return plan;
  part.stop = std::move(plan.stop);
  const size_t whole_until = transaction_begin(call.events, part.stop->event);
  part.stays_open = whole_until <= part.begin && part.stop->error.kind == ErrorKind::kReject;
  part.end = part.stays_open ? part.stop->event : std::max(part.begin, whole_until);
  return planner.plan(call.events, part.begin, part.end);
}

Delivery PostgresSink::apply(Call& call, Part part) {
  const Plan plan = planned(call, part);
  // No part of the transaction can be committed before an operator changes something.
  if (part.stop && part.end == part.begin && !part.stays_open) {
    drop_transaction(call.deadline);
    return failure(std::move(part.stop->error), call.skipped + part.stop->event);
  }
  const PostgresPosition position = positions_.behind(call.events[part.end - (part.end > 0)]);
  Applied applied =
      transaction_->apply(call.events, plan, part.stays_open ? nullptr : &position, call.deadline);
  if (applied) return conclude(call, part, plan);
  if (applied.error().what == Trouble::What::kSomeEvent) {
    note_rollback();
    careful_ = true;
    part.begin = 0;
    return apply_carefully(call, part);
  }
  return failed(call, part, std::move(applied.error()));
}

// Commits each source transaction alone, so that those before a bad event are committed.
Delivery PostgresSink::apply_carefully(Call& call, Part part) {
  while (true) {
    Part one = part;
    size_t end = one.begin;
    while (end < part.end && call.events[end].lsn == call.events[one.begin].lsn) end++;
    one.end = end;
    one.stays_open = part.stays_open && end == part.end;
    one.stop.reset();
    careful_ = true;
    const Plan plan = planned(call, one);
    if (one.stop && one.end == one.begin && !one.stays_open) {
      drop_transaction(call.deadline);
      return failure(std::move(one.stop->error), call.skipped + one.stop->event);
    }
    const PostgresPosition position = positions_.behind(call.events[one.end - (one.end > 0)]);
    Applied applied = transaction_->apply_carefully(
        call.events, plan, one.stays_open ? nullptr : &position, call.deadline);
    if (!applied) return failed(call, one, std::move(applied.error()));
    Delivery done = conclude(call, one, plan);
    if (!done || one.stays_open || one.end == part.end) return done;
    part.begin = one.end;
    if (!call.progress.may_continue()) return halted();
  }
}

Delivery PostgresSink::conclude(Call& call, const Part& part, const Plan& plan) {
  dropped_.insert(dropped_.end(), plan.dropped.begin(), plan.dropped.end());
  if (part.stays_open) {
    remember(call, part.end);
    if (part.stop) careful_ = true;
  } else {
    for (const size_t i : dropped_) call.progress.drop(call.skipped + i);
    call.progress.durable_before(call.skipped + part.end);
    call.progress.lacked(transaction_->missing());
    lasting_tables_ = tables_.size();
    applied_.clear();
    dropped_.clear();
    careful_ = false;
  }
  if (part.stop) {
    return failure(part.stop->error, call.skipped + part.stop->event);
  }
  if (part.stays_open || part.end < call.events.size()) call.progress.pause();
  return {};
}

Delivery PostgresSink::failed(const Call& call, const Part& part, Trouble trouble) {
  DeliveryError error{std::move(trouble.error), 0, std::nullopt};
  switch (trouble.what) {
    case Trouble::What::kEvent:
      // The events before the bad one stay in the transaction, which continues without the bad one.
      remember(call, trouble.event);
      error.event = call.skipped + trouble.event;
      return tl::unexpected(std::move(error));
    case Trouble::What::kSomeEvent:
      // The commit fails, which names no row. Part of a transaction must not be committed, and
      // valid rows must not be set aside.
      error.event = call.skipped + part.begin;
      error.size = part.end - part.begin;
      if (error.size > 1) {
        error.error.kind = ErrorKind::kFatal;
        error.error.blamed = Scope::kConfiguration;
        error.error.what +=
            ". The target checks this constraint at the commit, which names no row: add what the "
            "target lacks, declare the constraint NOT DEFERRABLE, or set session_replication_role: "
            "replica";
      }
      break;
    case Trouble::What::kFenced:
      if (!positions_.is_deleted(session_->connection, call.deadline)) {
        fenced_ = call.progress.term();
      } else {
        error.error = positions_.deleted(name_);
      }
      break;
    case Trouble::What::kOther:
      break;
  }
  if (trouble.broken || trouble.changed || trouble.what == Trouble::What::kFenced) {
    drop_session();
  } else {
    drop_transaction(call.deadline);
  }
  return tl::unexpected(std::move(error));
}

}  // namespace walspout
