// Sizes and durations as people write them: a whole number and a unit, which is not optional.
#pragma once

#include <charconv>
#include <chrono>
#include <cstdint>
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
    {"B", 1},          {"kB", 1'000},         {"KB", 1'000},
    {"MB", 1'000'000}, {"GB", 1'000'000'000}, {"KiB", 1u << 10},
    {"MiB", 1u << 20}, {"GiB", 1u << 30},
};
inline constexpr Unit kDurations[] = {
    {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000},
};

// Nothing if it is not a number with one of these units, or too large.
template <size_t N>
std::optional<uint64_t> parse(std::string_view text, const Unit (&known)[N]) {
  uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& candidate : known) {
    if (candidate.name != unit) continue;
    uint64_t value;
    if (__builtin_mul_overflow(number, candidate.factor, &value) || value > INT64_MAX) {
      return std::nullopt;
    }
    return value;
  }
  return std::nullopt;
}

}  // namespace units

inline std::optional<uint64_t> parse_size(std::string_view text) {
  return units::parse(text, units::kSizes);
}

// A time that is added to now must not pass the end of the clock: a thousand days are for ever.
inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr uint64_t kMost = 1'000 * uint64_t{86'400'000};
  auto value = units::parse(text, units::kDurations);
  if (!value || *value > kMost) return std::nullopt;
  return std::chrono::milliseconds(static_cast<int64_t>(*value));
}

}  // namespace walspout
