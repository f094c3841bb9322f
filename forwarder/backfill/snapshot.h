// A snapshot as pg_current_snapshot() prints it: which transactions it sees.
//
// Pure.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace walspout {

class Snapshot {
 public:
  // "xmin:xmax:xid,xid". Nothing: the text is no snapshot.
  static std::optional<Snapshot> parse(std::string_view text) {
    Snapshot snapshot;
    const auto take = [&text](char end, uint64_t& value) {
      const size_t size = std::min(text.find(end), text.size());
      const char* last = text.data() + size;
      const auto [stop, error] = std::from_chars(text.data(), last, value);
      if (error != std::errc() || stop != last) return false;
      const bool more = size < text.size();
      text.remove_prefix(more ? size + 1 : size);
      return more || end == ',';
    };
    if (!take(':', snapshot.xmin_) || !take(':', snapshot.xmax_)) return std::nullopt;
    while (!text.empty()) {
      uint64_t xid = 0;
      if (!take(',', xid)) return std::nullopt;
      snapshot.running_.push_back(xid);
    }
    std::sort(snapshot.running_.begin(), snapshot.running_.end());
    return snapshot;
  }

  // Whether a committed transaction is visible. Between its commit record and its end a transaction
  // is invisible, though it may be delivered already. Then it may be at xmax or beyond.
  bool sees(uint32_t xid) const {
    const uint64_t whole = widen(xid);
    return whole < xmax_ && !std::binary_search(running_.begin(), running_.end(), whole);
  }

  // All transactions before this one have ended.
  uint64_t xmin() const { return xmin_; }

 private:
  // The WAL has the low 32 bits of a transaction's id. The high bits are chosen so that the id is
  // nearest to xmax.
  uint64_t widen(uint32_t xid) const {
    constexpr uint64_t kEpoch = uint64_t{1} << 32;
    constexpr uint64_t kHalf = kEpoch / 2;
    const uint64_t whole = (xmax_ & ~(kEpoch - 1)) | xid;
    if (whole > xmax_ + kHalf && whole >= kEpoch) return whole - kEpoch;
    if (whole + kHalf < xmax_) return whole + kEpoch;
    return whole;
  }

  uint64_t xmin_ = 0;
  uint64_t xmax_ = 0;
  std::vector<uint64_t> running_;  // sorted
};

}  // namespace walspout
