#include "backfill/keys.h"

#include <algorithm>

namespace walspout {

void ReadAgain::load(std::vector<std::pair<uint64_t, std::string>> saved) {
  for (auto& [number, key] : saved) {
    taken_ = next_ = std::max(next_, number + 1);
    const size_t bytes = kEach + key.size();
    const auto [at, is_new] = keys_.try_emplace(std::move(key), Key{number});
    if (!is_new) {  // removed and added again, after a failed save
      removed_.push_back(number);
      continue;
    }
    waiting_.insert(at->first);
    bytes_ += bytes;
    budget_.used += bytes;
  }
}

void ReadAgain::add(std::string key) {
  const auto [at, is_new] = keys_.try_emplace(std::move(key), Key{next_});
  waiting_.insert(at->first);
  if (!is_new) return;
  added_.emplace(next_++, at->first);
  bytes_ += kEach + at->first.size();
  budget_.used += kEach + at->first.size();
}

uint64_t ReadAgain::place(const std::string& key) {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return 0;
  waiting_.erase(key);
  return at->second.place = ++places_;
}

void ReadAgain::remove(const std::string& key, uint64_t place) {
  const auto at = keys_.find(key);
  if (at == keys_.end() || at->second.place != place || waiting_.contains(key)) return;
  const uint64_t number = at->second.number;
  added_.erase(number);
  if (number < taken_) removed_.push_back(number);
  bytes_ -= kEach + key.size();
  budget_.used -= kEach + key.size();
  keys_.erase(at);
}

void ReadAgain::clear() {
  budget_.used -= bytes_;
  bytes_ = 0;
  waiting_.clear();
  added_.clear();
  removed_.clear();
  keys_.clear();
  all_ = true;
}

std::vector<std::string> ReadAgain::some(size_t most) const {
  std::vector<std::string> keys;
  for (auto key = waiting_.begin(); key != waiting_.end() && keys.size() < most; key++) {
    keys.emplace_back(*key);
  }
  return keys;
}

KeyChanges ReadAgain::take_changes() {
  taken_ = next_;
  saving_.clear();
  for (const auto& [number, key] : added_) saving_.emplace_back(number, key);
  added_.clear();
  saving_removed_ = std::exchange(removed_, {});
  saving_all_ = std::exchange(all_, false);
  return {saving_all_, saving_, saving_removed_};
}

// After a failed save, perhaps only the server's answer was lost.
void ReadAgain::saved(bool good) {
  if (!good && all_) saving_.clear();  // keys cleared meanwhile are cleared in the database too
  if (!good && !all_) {
    all_ = saving_all_;
    removed_.insert(removed_.end(), saving_removed_.begin(), saving_removed_.end());
    for (const auto& [number, key] : saving_) {
      const auto at = keys_.find(key);
      if (at != keys_.end() && at->second.number == number) added_.emplace(number, at->first);
    }
  }
  saving_.clear();
  saving_removed_.clear();
  saving_all_ = false;
}

}  // namespace walspout
