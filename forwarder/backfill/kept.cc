#include "backfill/kept.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace walspout {

namespace {

constexpr size_t kEach = 96;  // of a change, beside its texts

// Takes one JSON value from the front of `text`: the plugin's, without white space. Empty if there
// is no whole value.
std::string_view take_value(std::string_view& text) {
  size_t depth = 0;
  bool quoted = false;
  size_t at = 0;
  for (; at < text.size(); at++) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\') at++;
      if (c == '"') quoted = false;
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '{' || c == '[') depth++;
    if (depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']')) break;
    if (c == '}' || c == ']') depth--;
  }
  at = std::min(at, text.size());
  const std::string_view value = text.substr(0, at);
  text.remove_prefix(at);
  return quoted || depth ? std::string_view() : value;
}

}  // namespace

// Where the identity is the whole row, `before` has other columns, too.
std::string old_key(const Event& event, const Table& table) {
  std::string_view rest = event.before();
  if (rest.size() < 2) return {};
  rest.remove_prefix(1);
  std::unordered_map<std::string_view, std::string_view> members;
  while (!rest.empty() && rest.front() != '}') {
    const std::string_view whole = rest;
    const std::string_view name = take_value(rest);
    if (name.empty() || rest.empty() || rest.front() != ':') return {};
    rest.remove_prefix(1);
    if (take_value(rest).empty() || rest.empty()) return {};
    members[name] = whole.substr(0, whole.size() - rest.size());
    if (rest.front() == ',') rest.remove_prefix(1);
  }
  std::string key;
  for (const Column& column : table.columns) {
    if (!column.in_key) continue;
    std::string name;
    append_json(name, column.name);
    const auto member = members.find(name);
    if (member == members.end()) return {};
    key += (key.empty() ? "{" : ",") + std::string(member->second);
  }
  return key.empty() ? key : key + "}";
}

Kept::Arrival Kept::arrival(const Event& event, const Table& table) {
  const bool entered = event.op == 'c';
  return {std::string(event.key()), entered ? std::string() : old_key(event, table), entered};
}

std::optional<Kept::Arrival> Kept::add(uint32_t xid, const Event& event, std::string_view members,
                                       const std::shared_ptr<const Table>& table) {
  if (transactions_.empty() || transactions_.back().lsn != event.lsn) {
    transactions_.emplace_back();
    transactions_.back().xid = xid;
    transactions_.back().lsn = event.lsn;
  }
  Transaction& transaction = transactions_.back();
  const bool partial = !members.empty();
  const std::string key(event.key());
  const bool changes_key = event.op == 'u' && event.barrier;
  if (event.op == 't') {
    put(transaction, {Kind::kTruncate, {}});
    return std::nullopt;
  }
  if (event.op != 'c' && event.op != 'u' && event.op != 'd') return std::nullopt;
  if (changes_key) {
    std::string old = old_key(event, *table);
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
  if (comes_in_part(event, members)) {
    put(transaction, {Kind::kMoved, key});
    return arrival(event, *table);
  }
  put(transaction, {Kind::kPartial, key,
                    std::make_unique<PartialChange>(
                        PartialChange{std::string(event.after()), std::string(members), table})});
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
