#include "sink/common/key_mask.h"

#include <algorithm>

namespace walspout {
namespace {

constexpr std::string_view kMask = "***";
constexpr std::string_view kCut = "...";

// The key, escaped as in a quoted string.
std::string quoted(std::string_view key) {
  std::string text;
  for (const char c : key) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

void replace_all(std::string_view key, std::string& text) {
  for (size_t at = 0; (at = text.find(key, at)) != std::string::npos; at += kMask.size()) {
    text.replace(at, key.size(), kMask);
  }
}

void replace_cut(std::string_view key, std::string& text) {
  const size_t end = text.size() - kCut.size();
  for (size_t length = std::min(end, key.size() - 1); length > 0; --length) {
    if (text.compare(end - length, length, key, 0, length) != 0) continue;
    text.replace(end - length, length, kMask);
    return;
  }
}

}  // namespace

void KeyMask::note(uint64_t number, std::string_view key) {
  if (!key.empty()) keys_.emplace_back(number, key);
}

void KeyMask::forget_before(uint64_t number) {
  while (!keys_.empty() && keys_.front().first < number) keys_.pop_front();
}

std::string KeyMask::hide(std::string_view key, std::string text) {
  if (key.empty()) return text;
  const std::string in_quotes = quoted(key);
  if (text.ends_with(kCut)) {
    replace_cut(key, text);
    if (in_quotes != key) replace_cut(in_quotes, text);
  }
  replace_all(key, text);
  if (in_quotes != key) replace_all(in_quotes, text);
  return text;
}

std::string KeyMask::apply(uint64_t number, std::string text) const {
  const auto found =
      std::lower_bound(keys_.begin(), keys_.end(), number,
                       [](const auto& key, uint64_t wanted) { return key.first < wanted; });
  if (found == keys_.end() || found->first != number) return text;
  return hide(found->second, std::move(text));
}

std::string KeyMask::apply(std::string text) const {
  for (const auto& [number, key] : keys_) text = hide(key, std::move(text));
  return text;
}

}  // namespace walspout
