#include "backfill/ledger.h"

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "backfill/overlay.h"

namespace walspout {

namespace {

constexpr std::array kStates = {"requested", "waiting",  "running", "paused",
                                "done",      "canceled", "failed"};
const EventDetail kNothing;
constexpr size_t kKeysAtOnce = 1000;
constexpr size_t kMostBytes = 4u << 20;    // of a chunk without another limit
constexpr size_t kLeastBytes = 64u << 10;  // of a chunk
constexpr size_t kMostLooks = 1000;
constexpr int64_t kFewRows = 1000;  // of a table that may share its round with many others

}  // namespace

const char* name_of(BackfillState state) {
  return kStates[static_cast<size_t>(state)];
}

std::optional<BackfillState> backfill_state(std::string_view name) {
  const auto* found = std::find(kStates.begin(), kStates.end(), name);
  if (found == kStates.end()) return std::nullopt;
  return static_cast<BackfillState>(found - kStates.begin());
}

Ledger::Target* Ledger::find(int64_t id) {
  const auto found = targets_.find(id);
  return found == targets_.end() ? nullptr : found->second.get();
}

// There may be several: a table that was dropped or renamed leaves its name to another table, and
// its backfill does not know that yet.
std::vector<Ledger::Target*> Ledger::find(const Table& table) {
  std::vector<Target*> found;
  for (auto& [id, target] : targets_) {
    const BackfillRecord& record = target->record;
    if (record.schema == table.schema && record.name == table.name && record.has_key &&
        !is_finished(record.state)) {
      found.push_back(target.get());
    }
  }
  return found;
}

void Ledger::update() {
  bool any = false;
  for (const auto& [id, target] : targets_) any = any || !is_finished(target->record.state);
  observing_ = any;
  for (const auto& [id, target] : targets_) any = any || target->version != target->saved;
  unfinished_ = any || !looks_.empty();
}

// Source's thread ----------------------------------------------------------------------------

void Ledger::load(std::vector<BackfillRecord> records, const std::set<int64_t>& wrong) {
  std::lock_guard lock(mutex_);
  targets_.clear();
  rounds_.clear();
  placing_.clear();
  placings_.clear();
  waiting_bytes_ = 0;
  for (BackfillRecord& record : records) {
    auto target = std::make_unique<Target>(budget_, key_budget_);
    target->record = std::move(record);
    target->saved = target->version;
    begin(*target);
    if (wrong.contains(target->record.id)) {
      begin_again(*target);
      target->wrong = true;
    }
    targets_[target->record.id] = std::move(target);
  }
  limit_keys();
  // Finds requests that were made while no forwarder ran.
  looks_.push_back(0);
  update();
}

// The record has the saved progress.
void Ledger::begin(Target& target) {
  BackfillRecord& record = target.record;
  target.generation = target.record_generation = ++generations_;
  target.read = target.placed = target.durable = Cursor{record.cursor, false, record.rows};
  target.keeping = record.state != BackfillState::kPaused && !is_finished(record.state);
  target.again.load(std::exchange(record.again, {}));
  record.barrier = 0;
  if (record.state == BackfillState::kRunning) record.state = BackfillState::kWaiting;
}

void Ledger::reconnect() {
  std::lock_guard lock(mutex_);
  rounds_.clear();
  waiting_bytes_ = 0;
  for (auto& [id, target] : targets_) void_reads(*target);
}

// Rows that were read and not placed are read again.
void Ledger::void_reads(Target& target) {
  target.generation = ++generations_;
  target.read = target.placed;
  target.reading_again = false;
  target.checking = false;
}

void Ledger::observe(const Chunk& chunk, uint32_t open_xid) {
  if (!observing_.load(std::memory_order_relaxed) || chunk.events.empty()) return;
  observed_.fetch_add(chunk.events.size(), std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  struct Known {
    std::vector<Target*> targets;
    std::shared_ptr<const Table> table;
  };
  std::unordered_map<const Table*, Known> known;
  for (const auto& table : chunk.tables) {
    std::vector<Target*> targets = find(*table);
    if (!targets.empty()) known[table.get()] = {std::move(targets), table};
  }
  if (known.empty()) return;
  auto commit = chunk.commits.begin();
  auto detail = chunk.details.begin();
  for (size_t i = 0; i < chunk.events.size(); i++) {
    while (commit != chunk.commits.end() && commit->events_before <= i) commit++;
    while (detail != chunk.details.end() && detail->event < i) detail++;
    const Event& event = chunk.events[i];
    const auto found = known.find(event.table);
    if (found == known.end()) continue;
    const uint32_t xid = commit == chunk.commits.end() ? open_xid : commit->xid;
    const bool told = detail != chunk.details.end() && detail->event == i;
    const EventDetail& of_event = told ? *detail : kNothing;
    for (Target* target : found->second.targets) {
      observe(*target, xid, event, of_event, found->second.table);
    }
  }
  limit_keys();
}

void Ledger::observe(Target& target, uint32_t xid, const Event& event, const EventDetail& detail,
                     const std::shared_ptr<const Table>& table) {
  std::optional<Kept::Arrival> arrival;
  if (target.keeping) {
    arrival = target.kept.add(xid, event, detail, table);
  } else if (Kept::comes_in_part(event, detail)) {
    arrival = Kept::arrival(event, detail);
  }
  // A key that was left out finds no row. Its receivers cannot find the row, either.
  if (!arrival || arrival->key.empty()) return;
  if (may_lack_columns(target, *arrival)) {
    add_key(target, std::move(arrival->key), event.lsn);
  } else if (target.restarted && !target.wrong && !target.unsaved_key) {
    // The database still has the old progress, to which this key would belong.
    target.unsaved_key = event.lsn;
    target.version++;
    unfinished_ = true;
  }
}

// Applies until the end of the backfill is saved. Before the barrier is taken, a table without any
// rows read needs no key: each later snapshot sees this change. Once all rows are placed, a row
// that moves to another key is whole, unless its old key waits to be read again.
bool Ledger::may_lack_columns(const Target& target, const Kept::Arrival& arrival) {
  const Cursor& placed = target.placed;
  if (!target.asked_barrier && placed.after.empty() && !placed.end) return false;
  if (!placed.end || arrival.entered) return true;
  return arrival.from.empty() || target.again.waits(arrival.from);
}

// The receiver may lack columns of that row, so the row has to be read again. Until the key is
// saved, the transaction must be sent again after a crash.
void Ledger::add_key(Target& target, std::string key, Lsn lsn) {
  target.again.add(std::move(key));
  target.ending = target.end_saving = false;
  if (!target.unsaved_key) target.unsaved_key = lsn;
  target.version++;
  unfinished_ = true;
}

// Bounds the memory of keys to read again. Beyond the bound, all rows of a table are read again.
void Ledger::limit_keys() {
  while (key_budget_.used > key_budget_.capacity) {
    const auto most = std::max_element(targets_.begin(), targets_.end(), [](auto& a, auto& b) {
      return a.second->again.bytes() < b.second->again.bytes();
    });
    if (most == targets_.end() || most->second->again.empty()) return;
    begin_again(*most->second);
    begun_again_.push_back(most->second->record);
  }
}

// Starts again from the first row, after a new barrier. Everything delivered until now is visible
// to each later snapshot, so it needs no key.
void Ledger::begin_again(Target& target) {
  BackfillRecord& record = target.record;
  target.again.clear();
  target.read = target.placed = target.durable = Cursor{};
  void_reads(target);
  target.record_generation = target.generation;
  target.asked_barrier = false;
  target.restarted = target.version + 1;
  target.ending = target.end_saving = false;
  record.rows = 0;
  record.barrier = 0;
  if (record.state != BackfillState::kPaused) record.state = BackfillState::kRequested;
  target.version++;
  unfinished_ = true;
}

void Ledger::end(Target& target, BackfillState state) {
  target.record.state = state;
  target.keeping = false;
  target.kept.clear();
  target.again.clear();
  target.unsaved_key = target.saving_key = Lsn{};
}

// There was not enough memory for a chunk.
void Ledger::read_less(Target& target) {
  void_reads(target);
  if (target.most_bytes > kLeastBytes) {
    target.most_bytes = std::max(std::min(target.most_bytes, kMostBytes) / 4, kLeastBytes);
    return;
  }
  target.record.error =
      "this process has no memory for a row that the backfill has read: give it more, or set "
      "`max_value_bytes`, and request the backfill again";
  end(target, BackfillState::kFailed);
  target.version++;
  update();
}

std::vector<Chunk> Ledger::place(uint64_t number, const Mark& mark) {
  std::lock_guard lock(mutex_);
  std::vector<Chunk> out;
  while (!rounds_.empty() && rounds_.front().number <= number) {
    Round round = std::move(rounds_.front());
    rounds_.pop_front();
    waiting_bytes_ -= round.bytes;
    if (round.number != number) {  // marks come in order, so this round's mark is lost
      for (const ReadResult& result : round.reads) {
        if (Target* target = find(result.request.id)) void_reads(*target);
      }
      continue;
    }
    uint64_t index = 0;
    for (ReadResult& result : round.reads) place(result, *round.snapshot, mark, index, out);
    // Waiting rounds were read later, so their snapshots see at least as much.
    for (auto& [id, target] : targets_) target->kept.prune(*round.snapshot);
  }
  return out;
}

void Ledger::place(ReadResult& result, const Snapshot& snapshot, const Mark& mark, uint64_t& index,
                   std::vector<Chunk>& out) {
  using Kind = ReadRequest::Kind;
  const ReadRequest& request = result.request;
  Target* target = find(request.id);
  if (!target || target->generation != request.generation ||
      target->record.state != BackfillState::kRunning) {
    return;
  }
  const Kept::Newer newer(target->kept, snapshot);
  if (newer.is_unknown()) {
    void_reads(*target);
    return;
  }
  RowsPlace place{mark.lsn, mark.time, index};
  std::set<std::string> again;
  for (Chunk& rows : result.rows) {
    std::optional<std::vector<std::string>> changed = apply_newer(rows, newer, place);
    if (!changed) {
      read_less(*target);
      return;
    }
    again.insert(changed->begin(), changed->end());
  }
  drop_lone_schemas(result.rows);
  for (Chunk& rows : result.rows) {
    if (!rows.events.empty()) out.push_back(std::move(rows));
  }
  index = place.index;
  if (target->most_bytes < kMostBytes) target->most_bytes *= 2;

  Placing placing{request.id, request.generation, target->placed, {}, false, 0};
  if (request.kind == Kind::kScan) {
    Cursor& cursor = target->placed;
    if (!result.read.last.empty()) cursor.after = result.read.last;
    cursor.end = result.read.end;
    cursor.rows += result.read.rows;
    placing.cursor = cursor;
  } else if (request.kind == Kind::kAgain) {
    for (const std::string& key : request.keys) {
      if (newer.is_moved_to(key) || again.contains(key)) continue;
      placing.keys.emplace_back(key, target->again.place(key));
    }
    target->reading_again = false;
  } else {
    placing.done = target->placed.end && !target->again.any_waits();
    target->checking = placing.done;
  }
  for (const std::string& key : again) add_key(*target, key, mark.lsn);
  placing_.push_back(std::move(placing));
}

void Ledger::begin_first(int64_t id) {
  std::lock_guard lock(mutex_);
  Target* target = find(id);
  if (!target) return;
  target->record.state = BackfillState::kRunning;
  target->keeping = false;
}

void Ledger::place_first(int64_t id, uint64_t rows, bool end) {
  std::lock_guard lock(mutex_);
  Target* target = find(id);
  if (!target) return;
  target->placed.rows += rows;
  target->placed.end = end;
  placing_.push_back({id, target->generation, target->placed, {}, end, 0});
}

void Ledger::placed(uint64_t pushed) {
  std::lock_guard lock(mutex_);
  for (Placing& placing : placing_) {
    placing.pushed = pushed;
    placings_.push_back(std::move(placing));
  }
  placing_.clear();
}

bool Ledger::handled(uint64_t events) {
  if (!observing_.load(std::memory_order_relaxed)) return false;
  std::lock_guard lock(mutex_);
  bool moved = false;
  for (; !placings_.empty() && placings_.front().pushed <= events; placings_.pop_front()) {
    Placing& placing = placings_.front();
    Target* target = find(placing.id);
    if (!target || is_finished(target->record.state)) continue;
    // A table that was started again has forgotten earlier placements.
    if (placing.generation < target->record_generation) continue;
    moved = true;
    target->durable = placing.cursor;
    target->record.rows = placing.cursor.rows;
    for (const auto& [key, place] : placing.keys) target->again.remove(key, place);
    target->version++;
    if (placing.done) target->checking = false;
    // The backfill ends when that is saved.
    if (placing.done && !target->again.any_waits()) target->ending = true;
  }
  if (moved) update();
  return moved;
}

// Because of that backfill, nothing at or behind this position may be confirmed; 0: no limit.
Lsn Ledger::held_by(const Target& target) {
  Lsn hold;
  for (const Lsn lsn : {target.kept.first(), target.unsaved_key, target.saving_key}) {
    if (lsn && (!hold || lsn < hold)) hold = lsn;
  }
  return hold;
}

Lsn Ledger::hold() const {
  if (!observing_.load(std::memory_order_relaxed)) return {};
  std::lock_guard lock(mutex_);
  Lsn hold;
  for (const auto& [id, target] : targets_) {
    const Lsn lsn = held_by(*target);
    if (lsn && (!hold || lsn < hold)) hold = lsn;
  }
  return hold;
}

std::set<int64_t> Ledger::holding() const {
  std::lock_guard lock(mutex_);
  std::set<int64_t> ids;
  for (const auto& [id, target] : targets_) {
    if (target->wrong || held_by(*target)) ids.insert(id);
  }
  return ids;
}

// Before the next barrier nothing has to be kept for them.
void Ledger::give_up(const std::set<int64_t>& ids) {
  std::lock_guard lock(mutex_);
  for (const int64_t id : ids) {
    Target* target = find(id);
    if (!target || is_finished(target->record.state)) continue;
    begin_again(*target);
    target->wrong = true;
    target->keeping = false;
    target->kept.clear();
    target->unsaved_key = target->saving_key = Lsn{};
  }
}

bool Ledger::any_wrong() const {
  std::lock_guard lock(mutex_);
  return std::any_of(targets_.begin(), targets_.end(),
                     [](const auto& target) { return target.second->wrong; });
}

void Ledger::look(uint32_t xid) {
  std::lock_guard lock(mutex_);
  if (looks_.size() < kMostLooks) looks_.push_back(xid);
  looks_.back() = xid;
  unfinished_ = true;
}

// Reader's thread ----------------------------------------------------------------------------

void Ledger::add(BackfillRecord record, bool again) {
  std::lock_guard lock(mutex_);
  auto target = std::make_unique<Target>(budget_, key_budget_);
  target->record = std::move(record);
  begin(*target);
  if (again) {
    target->again.clear();
    target->restarted = target->version;
  }
  std::unique_ptr<Target>& place = targets_[target->record.id];
  if (place) {
    // Until this is saved, unsaved keys of before must be sent again after a crash.
    target->unsaved_key = place->saving_key ? place->saving_key : place->unsaved_key;
  }
  place = std::move(target);
  update();
}

void Ledger::set_state(int64_t id, BackfillState state) {
  std::lock_guard lock(mutex_);
  Target* target = find(id);
  if (!target || target->record.state == state) return;
  target->record.state = state;
  target->ending = target->end_saving = false;
  void_reads(*target);
  if (is_finished(state)) {
    end(*target, state);
  } else if (state == BackfillState::kPaused) {
    target->keeping = false;
    target->kept.clear();
  } else if (state == BackfillState::kRequested) {
    // Changes delivered meanwhile were not kept, so a new barrier is needed.
    target->keeping = true;
    target->record.barrier = 0;
  }
  target->version++;
  update();
}

void Ledger::ask_barrier(const std::vector<int64_t>& ids) {
  std::lock_guard lock(mutex_);
  for (const int64_t id : ids) {
    Target* target = find(id);
    if (!target) continue;
    target->asked_barrier = true;
    target->keeping = target->record.state != BackfillState::kPaused;
  }
}

// A backfill that has begun again since needs another barrier.
void Ledger::set_barrier(int64_t id, uint64_t barrier) {
  std::lock_guard lock(mutex_);
  Target* target = find(id);
  if (!target || !target->asked_barrier || target->record.state == BackfillState::kPaused) return;
  target->record.barrier = barrier;
  target->record.state = BackfillState::kWaiting;
  target->version++;
}

void Ledger::set_shape(int64_t id, std::string shape) {
  std::lock_guard lock(mutex_);
  if (Target* target = find(id)) target->record.shape = std::move(shape);
}

void Ledger::set_error(int64_t id, std::string error, bool ends) {
  std::lock_guard lock(mutex_);
  Target* target = find(id);
  if (!target || (target->record.error == error && !ends)) return;
  target->record.error = std::move(error);
  target->version++;
  if (!ends) return;
  end(*target, BackfillState::kFailed);
  update();
}

void Ledger::set_held_up(int64_t id, std::string by) {
  std::lock_guard lock(mutex_);
  if (Target* target = find(id)) target->record.held_up_by = std::move(by);
}

void Ledger::use_snapshot(const Snapshot& snapshot) {
  std::lock_guard lock(mutex_);
  for (auto& [id, target] : targets_) {
    // Rounds that wait for their mark were read earlier, and may not see what this snapshot sees.
    if (rounds_.empty()) target->kept.prune(snapshot);
    BackfillRecord& record = target->record;
    if (record.state != BackfillState::kWaiting || !record.barrier) continue;
    if (snapshot.xmin() <= record.barrier) continue;
    record.state = BackfillState::kRunning;
    record.held_up_by.clear();
    target->version++;
  }
}

std::vector<ReadRequest> Ledger::next(size_t tables, size_t large, TimePoint now) {
  using Kind = ReadRequest::Kind;
  std::lock_guard lock(mutex_);
  std::vector<ReadRequest> requests;
  auto at = targets_.upper_bound(last_read_);
  for (size_t seen = 0; seen < targets_.size() && requests.size() < tables; seen++, at++) {
    if (at == targets_.end()) at = targets_.begin();
    Target& target = *at->second;
    const BackfillRecord& record = target.record;
    if (record.state != BackfillState::kRunning || target.rests_until > now || target.ending ||
        !record.has_key) {
      continue;
    }
    const bool small = record.estimate >= 0 && record.estimate <= kFewRows;
    if (!small && !large) continue;
    ReadRequest request{Kind::kScan, record.id, target.generation, record};
    request.table.cursor = target.read.after;
    request.most_bytes = target.most_bytes;
    // If there are many keys to read again, they come before more rows.
    const bool drains = target.again.any_waits() && key_budget_.used > key_budget_.capacity / 2;
    if (target.read.end || drains) {
      if (target.reading_again || target.checking) continue;
      if (!drains && !target.placed.end) continue;
      if (!target.again.any_waits()) {
        request.kind = Kind::kCheck;
        target.checking = true;
      } else {
        request.kind = Kind::kAgain;
        request.keys = target.again.some(target.most_bytes < kMostBytes ? 1 : kKeysAtOnce);
        target.reading_again = true;
      }
    }
    if (!small) large--;
    last_read_ = record.id;
    requests.push_back(std::move(request));
  }
  return requests;
}

void Ledger::add_round(Round round) {
  std::lock_guard lock(mutex_);
  for (const ReadResult& result : round.reads) {
    Target* target = find(result.request.id);
    if (!target || target->generation != result.request.generation) continue;
    if (result.request.kind != ReadRequest::Kind::kScan) continue;
    if (!result.read.last.empty()) target->read.after = result.read.last;
    target->read.end = result.read.end;
  }
  waiting_bytes_ += round.bytes;
  rounds_.push_back(std::move(round));
}

void Ledger::give_back(const std::vector<ReadRequest>& requests) {
  std::lock_guard lock(mutex_);
  for (const ReadRequest& request : requests) {
    Target* target = find(request.id);
    if (target && target->generation == request.generation) void_reads(*target);
  }
}

void Ledger::rest(int64_t id, TimePoint until) {
  std::lock_guard lock(mutex_);
  if (Target* target = find(id)) target->rests_until = until;
}

size_t Ledger::waiting_rounds() const {
  std::lock_guard lock(mutex_);
  return rounds_.size();
}

size_t Ledger::waiting_bytes() const {
  std::lock_guard lock(mutex_);
  return waiting_bytes_;
}

std::vector<Ledger::Unsaved> Ledger::unsaved() {
  std::lock_guard lock(mutex_);
  std::vector<Unsaved> all;
  for (auto& [id, target] : targets_) {
    if (target->version == target->saved) continue;
    Unsaved unsaved{target->record, target->version, target->durable.after,
                    target->again.take_changes()};
    target->end_saving = target->ending;
    if (target->ending) {
      unsaved.record.state = BackfillState::kDone;
      unsaved.record.error.clear();
    }
    if (!target->saving_key) target->saving_key = target->unsaved_key;
    target->unsaved_key = Lsn{};
    all.push_back(std::move(unsaved));
  }
  return all;
}

bool Ledger::saved(int64_t id, uint64_t version, bool good) {
  std::lock_guard lock(mutex_);
  Target* target = find(id);
  if (!target) return false;
  target->again.saved(good);
  if (good) {
    target->saved = version;
    target->saving_key = Lsn{};
    if (target->restarted && version >= target->restarted) {
      target->restarted = 0;
      target->wrong = false;
    }
    // A key added meanwhile clears end_saving, and the backfill continues.
    if (target->end_saving) {
      end(*target, BackfillState::kDone);
      target->saved = target->version;
    }
  }
  const bool ended = is_finished(target->record.state);
  if (good && ended && target->saved == target->version) targets_.erase(id);
  update();
  return good && ended;
}

std::vector<BackfillRecord> Ledger::records() const {
  std::lock_guard lock(mutex_);
  std::vector<BackfillRecord> all;
  for (const auto& [id, target] : targets_) {
    all.push_back(target->record);
  }
  return all;
}

std::vector<BackfillRecord> Ledger::begun_again() {
  std::lock_guard lock(mutex_);
  return std::exchange(begun_again_, {});
}

std::vector<uint32_t> Ledger::looks() const {
  std::lock_guard lock(mutex_);
  return looks_;
}

void Ledger::give_up_looks() {
  std::lock_guard lock(mutex_);
  looks_.clear();
  update();
}

void Ledger::looked(const Snapshot& snapshot) {
  std::lock_guard lock(mutex_);
  std::erase_if(looks_, [&](uint32_t xid) { return xid == 0 || snapshot.sees(xid); });
  update();
}

}  // namespace walspout
