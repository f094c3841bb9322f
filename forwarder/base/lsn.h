// A position in the WAL.
#pragma once

#include <charconv>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace walspout {

struct Lsn {
  uint64_t value = 0;  // bytes since the beginning of the WAL; 0: none

  auto operator<=>(const Lsn&) const = default;
  explicit operator bool() const { return value != 0; }
};

// As the server writes it: "16/B374D848".
inline std::string to_string(Lsn lsn) {
  char buffer[17 + 1];
  char* end = buffer + sizeof(buffer);
  char* p = std::to_chars(buffer, end, lsn.value >> 32, 16).ptr;
  *p++ = '/';
  p = std::to_chars(p, end, lsn.value & 0xFFFFFFFFu, 16).ptr;
  for (char* c = buffer; c < p; c++) {
    if (*c >= 'a' && *c <= 'f') *c = static_cast<char>(*c - 'a' + 'A');
  }
  return {buffer, p};
}

// The inverse of to_string(); nothing if the text is not an LSN.
inline std::optional<Lsn> parse_lsn(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto half = [](std::string_view digits) -> std::optional<uint64_t> {
    uint32_t value = 0;
    if (digits.empty() || digits.size() > 8) return std::nullopt;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  auto high = half(text.substr(0, slash));
  auto low = half(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return Lsn{(*high << 32) | *low};
}

}  // namespace walspout
