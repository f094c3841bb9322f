#include "compare/settle.h"

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

namespace walspout {
namespace {

constexpr Duration kAnswer = std::chrono::minutes(10);  // the server's time to answer
constexpr Duration kLook = std::chrono::milliseconds(20);
constexpr Duration kStuck = std::chrono::seconds(5);
constexpr size_t kHot = 100;     // if so few rows are left, they are looked at again and again
constexpr size_t kHashes = 500;  // remembered hashes of a row

std::vector<KeyTexts> keys_of(const auto& pending) {
  std::vector<KeyTexts> keys;
  for (const auto& [key, watched] : pending) keys.push_back(key);
  return keys;
}

}  // namespace

Error comparison_error(ServerError error) {
  constexpr std::string_view kDataException = "22";
  if (error.sqlstate.starts_with(kDataException)) error.error.kind = ErrorKind::kReject;
  return std::move(error.error);
}

Result<Settler::Rows> Settler::rows(Connection& connection, const TableSide& side,
                                    const std::vector<KeyTexts>& keys, TimePoint deadline) {
  auto found = connection.query(fixed_settings() + find_versions(side, keys), deadline);
  if (!found) return Failure(comparison_error(std::move(found.error())));
  Rows made;
  const size_t width = side.keys.size();
  for (const Row& row : *found) {
    KeyTexts key;
    for (size_t i = 0; i < width; i++) key.push_back(text(row, i));
    made[std::move(key)] = {text(row, width), text(row, width + 1)};
  }
  return made;
}

Settler::Verdict Settler::judge(const Seen* before, const Seen* there, const Seen* after,
                                bool reached, Watched& watched) {
  const auto same = [there](const Seen* seen) {
    return there == nullptr ? seen == nullptr : seen != nullptr && there->hash == seen->hash;
  };
  if (same(before) || same(after)) return Verdict::kEqual;
  const auto last = std::exchange(
      watched.version, there ? std::optional<std::string>(there->version) : std::nullopt);
  const bool was_reached = std::exchange(watched.was_reached, reached);
  // A row that changes all the time: the target follows if it goes through the same values.
  if (there != nullptr && last && *last != there->version && watched.hashes.contains(there->hash)) {
    return Verdict::kEqual;
  }
  if (!reached) return Verdict::kPending;
  if (before != nullptr && after != nullptr && before->version == after->version) {
    return there != nullptr ? Verdict::kDifferent : Verdict::kMissing;
  }
  const bool is_absent = before == nullptr && after == nullptr;
  if (is_absent && was_reached && last && *last == there->version) return Verdict::kExtra;
  return Verdict::kPending;
}

// Remembers the rows' present values in the source.
Result<void> Settler::watch(Pending& pending) {
  auto now = rows(source_, pair_.source, keys_of(pending), Clock::now() + kAnswer);
  if (!now) return Failure(now.error());
  for (const auto& [key, seen] : *now) {
    const auto watched = pending.find(key);
    if (watched != pending.end() && watched->second.hashes.size() < kHashes) {
      watched->second.hashes.insert(seen.hash);
    }
  }
  return {};
}

// False: the time is up.
Result<bool> Settler::wait_for(Lsn lsn, Pending& pending, TimePoint until) {
  while (true) {
    auto passed = position_.has_passed(lsn, Clock::now() + kAnswer);
    if (!passed) return Failure(passed.error());
    if (*passed) return true;
    if (Clock::now() >= until) return false;
    if (pending.size() <= kHot) {
      if (auto watched = watch(pending); !watched) return Failure(watched.error());
    }
    std::this_thread::sleep_for(kLook);
  }
}

Result<void> Settler::look(Pending& pending, TimePoint until, std::vector<Difference>& found) {
  const auto keys = keys_of(pending);
  auto before = rows(source_, pair_.source, keys, Clock::now() + kAnswer);
  if (!before) return Failure(before.error());
  for (auto& [key, seen] : *before) {
    const auto watched = pending.find(key);
    if (watched != pending.end()) watched->second.hashes.insert(seen.hash);
  }
  const auto lsn = position_.now(Clock::now() + kAnswer);
  if (!lsn) return Failure(lsn.error());
  const auto reached = wait_for(*lsn, pending, until);
  if (!reached) return Failure(reached.error());
  is_stuck_ = !*reached;
  auto there = rows(target_, pair_.target, keys, Clock::now() + kAnswer);
  if (!there) return Failure(there.error());
  auto after = rows(source_, pair_.source, keys, Clock::now() + kAnswer);
  if (!after) return Failure(after.error());
  const auto in = [](const Rows& all, const KeyTexts& key) {
    const auto one = all.find(key);
    return one == all.end() ? nullptr : &one->second;
  };
  for (const KeyTexts& key : keys) {
    const Verdict verdict =
        judge(in(*before, key), in(*there, key), in(*after, key), *reached, pending[key]);
    if (verdict == Verdict::kPending) continue;
    pending.erase(key);
    if (verdict == Verdict::kEqual) continue;
    const auto kind = verdict == Verdict::kMissing ? Difference::Kind::kMissing
                      : verdict == Verdict::kExtra ? Difference::Kind::kExtra
                                                   : Difference::Kind::kDifferent;
    if (auto added = add_found(kind, key, found); !added) return added;
  }
  return {};
}

// The names of the columns that differ; nothing: one side lacks the row.
Result<std::optional<std::vector<std::string>>> Settler::differing(const KeyTexts& key) {
  auto here =
      source_.query(fixed_settings() + find_columns(pair_.source, key), Clock::now() + kAnswer);
  if (!here) return Failure(comparison_error(std::move(here.error())));
  auto there =
      target_.query(fixed_settings() + find_columns(pair_.target, key), Clock::now() + kAnswer);
  if (!there) return Failure(comparison_error(std::move(there.error())));
  if (here->empty() || there->empty()) return std::nullopt;
  std::vector<std::string> names;
  for (size_t i = 0; i < pair_.columns.size(); i++) {
    if (here->front()[i] != there->front()[i]) names.push_back(pair_.columns[i]);
  }
  return names;
}

Result<void> Settler::add_found(Difference::Kind kind, const KeyTexts& key,
                                std::vector<Difference>& found) {
  if (kind == Difference::Kind::kExtra && !pair_.finds_extra) return {};
  if (kind == Difference::Kind::kDifferent && !pair_.finds_changed) return {};
  Difference difference{kind, key};
  if (kind == Difference::Kind::kDifferent || kind == Difference::Kind::kUnsettled) {
    auto names = differing(key);
    if (!names) return Failure(names.error());
    // The row changed meanwhile, and is the same now.
    if (*names && (*names)->empty()) return {};
    if (*names) difference.columns = std::move(**names);
  }
  found.push_back(std::move(difference));
  return {};
}

Result<std::vector<Difference>> Settler::settle() {
  Pending pending;
  while (!waiting_.empty() && pending.size() < kRows) {
    pending[std::move(waiting_.extract(waiting_.begin()).value())];
  }
  std::vector<Difference> found;
  const TimePoint until = Clock::now() + (is_stuck_ ? std::min(limit_, kStuck) : limit_);
  while (!pending.empty()) {
    if (auto looked = look(pending, until, found); !looked) return Failure(looked.error());
    if (Clock::now() >= until) break;
    if (!pending.empty()) std::this_thread::sleep_for(kLook);
  }
  for (const KeyTexts& key : keys_of(pending)) {
    if (auto added = add_found(Difference::Kind::kUnsettled, key, found); !added) {
      return Failure(added.error());
    }
  }
  return found;
}

}  // namespace walspout
