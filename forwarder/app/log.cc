#include "app/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "base/json.h"

namespace walspout {

namespace {

std::shared_ptr<spdlog::logger> logger;
bool json = false;
spdlog::level::level_enum configured = spdlog::level::info;

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    default:
      return spdlog::level::err;
  }
}

bool is_plain(std::string_view text) {
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f || c == '"' || c == '=' || c == '\\') return false;
  }
  return !text.empty();
}

void write(LogLevel level, std::string_view text, std::initializer_list<LogField> fields) {
  spdlog::level::level_enum spdlog_level = level_of(level);
  if (!logger->should_log(spdlog_level)) return;
  std::string line = json ? "\"msg\":" : "msg=";
  if (!json && is_plain(text)) {
    line += text;
  } else {
    append_json(line, text);
  }
  for (const LogField& field : fields) {
    if (json) {
      line += ',';
      append_json(line, field.name);
      line += ':';
    } else {
      line += ' ';
      line += field.name;
      line += '=';
    }
    if (field.number || (!json && is_plain(field.value))) {
      line += field.value;
    } else {
      append_json(line, field.value);
    }
  }
  logger->log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void start_log(const LogConfig& config) {
  json = config.json;
  configured = level_of(config.level);
  logger = std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(configured);
  constexpr char kTime[] = "%Y-%m-%dT%H:%M:%S.%fZ";
  std::string pattern = json ? std::string("{\"time\":\"") + kTime + "\",\"level\":\"%l\",%v}"
                             : std::string("time=") + kTime + " level=%l %v";
  logger->set_pattern(pattern, spdlog::pattern_time_type::utc);
  log_writer() = write;
}

void toggle_debug() {
  if (!logger) return;
  bool debug = logger->level() == spdlog::level::debug;
  logger->set_level(debug ? configured : spdlog::level::debug);
  if (debug && configured == spdlog::level::debug) logger->set_level(spdlog::level::info);
}

void flush_log() {
  if (logger) logger->flush();
}

}  // namespace walspout
