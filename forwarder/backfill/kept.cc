#include "backfill/kept.h"

#include <algorithm>
#include <utility>

#include "source/members.h"

namespace walspout {

namespace {

constexpr size_t kEach = 96;  // bytes of a change, beside its texts

}  // namespace

Kept::Arrival Kept::arrival(const Event& event, const EventDetail& detail) {
  return {std::string(event.key()), old_key(detail.old_key, event.before()), event.op == 'c'};
}

std::optional<Kept::Arrival> Kept::add(uint32_t xid, const Event& event, const EventDetail& detail,
                                       const std::shared_ptr<const Table>& table) {
  if (transactions_.empty() || transactions_.back().lsn != event.lsn) {
    transactions_.emplace_back();
    transactions_.back().xid = xid;
    transactions_.back().lsn = event.lsn;
  }
  Transaction& transaction = transactions_.back();
  const bool partial = !detail.members.empty();
  const std::string key(event.key());
  const bool changes_key = event.op == 'u' && event.barrier;
  if (event.op == 't') {
    put(transaction, {Kind::kTruncate, {}});
    return std::nullopt;
  }
  if (event.op != 'c' && event.op != 'u' && event.op != 'd') return std::nullopt;
  if (changes_key) {
    std::string old = old_key(detail.old_key, event.before());
    if (old.empty()) {
      forget_changes(transaction);
    } else {
      put(transaction, {Kind::kWhole, std::move(old)});
    }
  }
  if (!partial) {
    put(transaction, {Kind::kWhole, key});
    return std::nullopt;
  }
  if (comes_in_part(event, detail)) {
    put(transaction, {Kind::kMoved, key});
    return arrival(event, detail);
  }
  put(transaction, {Kind::kPartial, key,
                    std::make_unique<PartialChange>(PartialChange{
                        std::string(event.after()), std::string(detail.members), table})});
  return std::nullopt;
}

void Kept::put(Transaction& transaction, Change change) {
  if (transaction.unknown) return;
  size_t bytes = kEach + change.key.size();
  if (change.partial) {
    bytes += sizeof(PartialChange) + change.partial->after.size() + change.partial->members.size();
  }
  if (budget_.used + bytes > budget_.capacity) {
    forget_changes(transaction);
    return;
  }
  transaction.bytes += bytes;
  budget_.used += bytes;
  transaction.changes.push_back(std::move(change));
}

void Kept::forget_changes(Transaction& transaction) {
  budget_.used -= transaction.bytes;
  transaction.bytes = 0;
  transaction.unknown = true;
  std::vector<Change>().swap(transaction.changes);
}

void Kept::prune(const Snapshot& snapshot) {
  std::erase_if(transactions_, [&](const Transaction& transaction) {
    const bool seen = snapshot.sees(transaction.xid);
    if (seen) budget_.used -= transaction.bytes;
    return seen;
  });
}

void Kept::clear() {
  for (const Transaction& transaction : transactions_) budget_.used -= transaction.bytes;
  transactions_.clear();
}

Kept::Newer::Newer(const Kept& kept, const Snapshot& snapshot) {
  for (const Transaction& transaction : kept.transactions_) {
    if (snapshot.sees(transaction.xid)) continue;
    unknown_ = unknown_ || transaction.unknown;
    for (const Change& change : transaction.changes) {
      if (change.kind == Kind::kTruncate) {
        truncated_ = true;
        continue;
      }
      Fate& fate = of(change.key);
      if (change.kind == Kind::kMoved) moved_[change.key] = true;
      if (change.kind == Kind::kPartial) {
        fate.partials.push_back(change.partial.get());
      } else {
        fate.dropped = true;
      }
    }
  }
}

Fate& Kept::Newer::of(std::string_view key) {
  return fates_[key];
}

const Fate* Kept::Newer::fate(std::string_view key) const {
  if (truncated_) return &gone_;
  const auto found = fates_.find(key);
  return found == fates_.end() ? nullptr : &found->second;
}

}  // namespace walspout
