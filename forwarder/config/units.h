// Sizes and durations as people write them: a whole number and a unit, which is required.
//
// Units of size are those of postgresql.conf and of the plugin's options: kB is 1024 bytes. KiB is
// the same.
#pragma once

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace walspout {

namespace units {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

inline constexpr Unit kSizes[] = {
    {"B", 1},
    {"kB", 1u << 10},
    {"MB", 1u << 20},
    {"GB", 1u << 30},
    {"TB", uint64_t{1} << 40},
    {"KB", 1u << 10},
    {"KiB", 1u << 10},
    {"MiB", 1u << 20},
    {"GiB", 1u << 30},
    {"TiB", uint64_t{1} << 40},
};
inline constexpr Unit kDurations[] = {
    {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000},
};

inline constexpr uint64_t kMost = INT64_MAX;

// Nothing if the text is not a number with one of these units. A larger number than kMost becomes
// kMost.
template <size_t N>
std::optional<uint64_t> parse(std::string_view text, const Unit (&known)[N]) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc::result_out_of_range) number = kMost;
  if (error == std::errc::invalid_argument) return std::nullopt;
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& candidate : known) {
    if (candidate.name != unit) continue;
    uint64_t value;
    const bool too_large = __builtin_mul_overflow(number, candidate.factor, &value);
    return too_large || value > kMost ? kMost : value;
  }
  return std::nullopt;
}

}  // namespace units

inline std::optional<uint64_t> parse_size(std::string_view text) {
  return units::parse(text, units::kSizes);
}

// In the largest unit that leaves no fraction: "64MiB".
inline std::string size_text(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    unit++;
  }
  return std::to_string(bytes) + kUnits[unit];
}

// What someone who wrote "64mb", "64M" or "64Mi" meant.
inline std::optional<std::string> meant_size(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string_view unit = text.substr(digits);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (digits == 0 || unit.empty()) return std::nullopt;
  for (const units::Unit& known : units::kSizes) {
    const bool begins = unit.size() == known.name.size() || unit.size() + 1 == known.name.size();
    if (begins && strncasecmp(known.name.data(), unit.data(), unit.size()) == 0) {
      return std::string(text.substr(0, digits)) + std::string(known.name);
    }
  }
  return std::nullopt;
}

// A time that is added to now must not pass the end of the clock: a thousand days stand for ever.
inline constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 1'000);

// Nothing if the text is not a duration. One that is too long is more than kLongest.
inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  auto value = units::parse(text, units::kDurations);
  if (!value) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(*value));
}

}  // namespace walspout
