// Makes the JSON of the status server. Texts may come from untrusted sources.
#pragma once

#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.h"

namespace walspout {

// A number with at most six digits.
inline std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

// A time as in envelopes, UTC; `micros`: since 1970.
inline std::string time_text(int64_t micros) {
  const auto seconds = static_cast<time_t>(micros / 1'000'000);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(micros % 1'000'000));
  return text;
}

// Writes the members of a JSON object.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  ~Object() { out_ += '}'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  std::string& key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_json(out_, name);
    return out_ += ':';
  }
  void text(std::string_view name, std::string_view value) { append_json(key(name), value); }
  void number(std::string_view name, uint64_t value) { key(name) += std::to_string(value); }
  void value(std::string_view name, const std::variant<std::string, uint64_t>& value) {
    if (const auto* words = std::get_if<std::string>(&value)) text(name, *words);
    if (const auto* amount = std::get_if<uint64_t>(&value)) number(name, *amount);
  }
  void real(std::string_view name, double value) { key(name) += std::to_string(value); }
  void flag(std::string_view name, bool value) { key(name) += value ? "true" : "false"; }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace walspout
