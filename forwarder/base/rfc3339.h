// Formats a time: 2026-11-20T11:22:33.123456Z.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>

namespace walspout {

// `micros`: microseconds since 1970.
inline std::string rfc3339(int64_t micros) {
  constexpr int64_t kSecond = 1'000'000;
  const int64_t fraction = (micros % kSecond + kSecond) % kSecond;
  const time_t seconds = (micros - fraction) / kSecond;
  tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text;
  size_t length = strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  length += static_cast<size_t>(
      snprintf(text.data() + length, text.size() - length, ".%06dZ", static_cast<int>(fraction)));
  return {text.data(), length};
}

}  // namespace walspout
