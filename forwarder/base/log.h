// Logging as the whole program sees it: a level, a constant text, and fields. The application sets
// once how records are printed. Until then, and in tests, nothing is printed.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace walspout {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

struct LogField {
  std::string_view name;
  std::string value;
  bool number = false;

  LogField(std::string_view field, std::string text) : name(field), value(std::move(text)) {}
  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const char* text) : name(field), value(text) {}
  template <std::integral T>
  LogField(std::string_view field, T n) : name(field), value(std::to_string(n)), number(true) {}
};

// Prints one record; called from any thread.
using LogWriter = void (*)(LogLevel, std::string_view text, std::initializer_list<LogField>);

inline LogWriter& log_writer() {
  static LogWriter writer = nullptr;
  return writer;
}

inline void log(LogLevel level, std::string_view text,
                std::initializer_list<LogField> fields = {}) {
  if (log_writer()) log_writer()(level, text, fields);
}

}  // namespace walspout
