#include "command/log.h"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <mutex>
#include <string>

#include "base/json.h"

namespace walspout {

namespace {

// Standard error, which may be a pipe that nothing reads. A record without room is dropped and
// counted: a thread that waited here could not be stopped.
class StderrSink : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& record) override {
    spdlog::memory_buf_t line;
    formatter_->format(record, line);
    write_rest();
    if (lost_ > 0 && rest_.empty()) {
      rest_ = "(" + std::to_string(lost_) + " records are lost: standard error was not read)\n";
      lost_ = 0;
      write_rest();
    }
    if (!rest_.empty()) {
      lost_++;
      return;
    }
    rest_.assign(line.data(), line.size());
    write_rest();
  }
  void flush_() override {}

 private:
  // Writes as much as there is room for. poll() promises that PIPE_BUF bytes do not block.
  void write_rest() {
    size_t done = 0;
    while (done < rest_.size()) {
      pollfd out = {STDERR_FILENO, POLLOUT, 0};
      if (poll(&out, 1, 0) != 1) break;
      const ssize_t written = ::write(STDERR_FILENO, rest_.data() + done,
                                      std::min<size_t>(rest_.size() - done, PIPE_BUF));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && errno != EAGAIN) done = rest_.size();  // closed, or the disk is full
      if (written < 0) break;
      done += static_cast<size_t>(written);
    }
    rest_.erase(0, done);
  }

  std::string rest_;  // of a record that was begun: a line is written whole or not at all
  uint64_t lost_ = 0;
};

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
  logger = std::make_shared<spdlog::logger>("", std::make_shared<StderrSink>());
  logger->set_level(configured);
  constexpr char kTime[] = "%Y-%m-%dT%H:%M:%S.%fZ";
  std::string pattern = json ? std::string("{\"time\":\"") + kTime + "\",\"level\":\"%l\",%v}"
                             : std::string("time=") + kTime + " level=%l %v";
  logger->set_pattern(pattern, spdlog::pattern_time_type::utc);
  log_writer() = write;
}

void set_log_level(LogLevel level) {
  configured = level_of(level);
  if (logger) logger->set_level(configured);
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
