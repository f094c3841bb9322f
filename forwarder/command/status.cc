// `walspout status`: prints what the status server of a running forwarder says, for a terminal.
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "command/commands.h"
#include "config/yaml.h"
#include "status/client.h"

namespace walspout {
namespace {

constexpr Duration kPageTime = std::chrono::seconds(5);

struct Address {
  std::string host;
  int port = 8470;
};

// Parses ADDRESS:PORT, with or without http:// and a path.
std::optional<Address> parse(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with(kScheme)) url.remove_prefix(kScheme.size());
  if (url.find("://") != std::string_view::npos) return std::nullopt;
  StatusConfig config;
  config.listen = url.substr(0, url.find('/'));
  if (!config.parse()) return std::nullopt;
  return Address{config.host, config.port};
}

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string sized(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit > 0 && value < 10 ? "%.1f %s" : "%.0f %s", value,
                kUnits[unit]);
  return text;
}

template <typename T>
T value(const YAML::Node& node, const char* name) {
  return node[name] ? node[name].as<T>(T{}) : T{};
}
std::string text(const YAML::Node& node, const char* name) {
  return value<std::string>(node, name);
}
uint64_t number(const YAML::Node& node, const char* name) {
  return value<uint64_t>(node, name);
}

// Prints one answer after the other.
class Screen {
 public:
  explicit Screen(bool color) : color_(color) {}

  // JSON is YAML. Throws if the text is neither.
  bool show(const std::string& json, TimePoint now) {
    const YAML::Node root = YAML::Load(json);
    const bool ready = value<bool>(root, "ready");
    const std::string commit = text(root, "commit");
    out_ = "walspout " + text(root, "version") + (commit.empty() ? "" : " (" + commit + ")") +
           "  " + paint(ready ? "ready" : "not ready", ready ? "32" : "1;31") + "\n";
    seconds_ = std::chrono::duration<double>(now - at_).count();
    for (const YAML::Node& pipeline : root["pipelines"]) show_pipeline(pipeline);
    at_ = now;
    before_ = std::exchange(now_, {});
    return ready;
  }
  const std::string& out() const { return out_; }

 private:
  std::string paint(const std::string& words, const char* how) const {
    return color_ ? std::string("\033[") + how + "m" + words + "\033[0m" : words;
  }

  // A rate needs an earlier answer.
  std::string rate(const std::string& what, uint64_t count) {
    now_[what] = count;
    const auto before = before_.find(what);
    if (before == before_.end() || count < before->second || seconds_ <= 0) return "";
    const double each = static_cast<double>(count - before->second) / seconds_;
    return "  " + grouped(static_cast<uint64_t>(each + 0.5)) + "/s";
  }

  void show_pipeline(const YAML::Node& pipeline) {
    const std::string name = text(pipeline, "name");
    const std::string state = text(pipeline, "state");
    const std::string slot = text(pipeline, "slot");
    char lag[32];
    std::snprintf(lag, sizeof(lag), "%.1f s", value<double>(pipeline, "lag_seconds"));
    out_ += "\npipeline " + paint(name, "1") + "  " +
            paint(state, state == "streaming" ? "32" : "33") +
            (slot.empty() ? "" : "  slot " + slot) + "  lag " + lag;
    if (pipeline["lag_bytes"]) out_ += ", " + sized(number(pipeline, "lag_bytes"));
    if (pipeline["lag_messages"]) {
      out_ += ", " + grouped(number(pipeline, "lag_messages")) + " messages";
    }
    out_ += "\n  received " + grouped(number(pipeline, "events")) +
            rate(name, number(pipeline, "events")) + "  in memory " +
            sized(number(pipeline, "in_flight_bytes"));
    if (pipeline["memory_limit_bytes"]) {
      out_ += " of " + sized(number(pipeline, "memory_limit_bytes"));
    }
    if (pipeline["retained_bytes"]) {
      out_ += "  WAL kept " + sized(number(pipeline, "retained_bytes"));
      if (pipeline["retained_limit_bytes"]) {
        out_ += " of " + sized(number(pipeline, "retained_limit_bytes"));
      }
      const std::string kept = text(pipeline, "wal_status");
      if (kept == "unreserved" || kept == "lost") out_ += "  " + paint(kept, "1;31");
    }
    out_ += '\n';
    if (const std::string error = text(pipeline, "last_error");
        !error.empty() && state != "streaming") {
      out_ += "  " + paint(error, "31") + "\n";
    }
    size_t width = 4;
    for (const YAML::Node& sink : pipeline["sinks"]) {
      width = std::max(width, text(sink, "name").size());
    }
    for (const YAML::Node& sink : pipeline["sinks"]) show_sink(name, sink, width);
    for (const YAML::Node& backfill : pipeline["backfills"]) show_backfill(backfill);
  }

  void show_sink(const std::string& pipeline, const YAML::Node& sink, size_t width) {
    std::string name = text(sink, "name");
    const std::string rated = rate(pipeline + "\n" + name, number(sink, "events"));
    name.resize(std::max(width, name.size()), ' ');
    const std::string state = text(sink, "state");
    const bool good = state == "delivering";
    out_ += "  sink " + name + "  " + paint(state, good ? "32" : "33") + "  delivered " +
            grouped(number(sink, "events")) + rated + "  waiting " +
            grouped(number(sink, "waiting"));
    for (const auto& [member, what] :
         {std::pair("retries", "retries"), std::pair("dead_letters", "dead letters")}) {
      if (number(sink, member) > 0) out_ += "  " + grouped(number(sink, member)) + " " + what;
    }
    out_ += '\n';
    if (const std::string error = text(sink, "last_error"); !error.empty() && !good) {
      out_ += "    " + paint(error, "31") + "\n";
    }
  }

  void show_backfill(const YAML::Node& backfill) {
    out_ += "  backfill " + text(backfill, "table") + "  " + text(backfill, "state") + "  " +
            grouped(number(backfill, "rows"));
    if (number(backfill, "estimate") > 0) {
      out_ += " of about " + grouped(number(backfill, "estimate"));
    }
    out_ += " rows\n";
    for (const char* member : {"held_up_by", "error"}) {
      if (const std::string said = text(backfill, member); !said.empty()) {
        out_ += "    " + paint(said, member[0] == 'e' ? "31" : "33") + "\n";
      }
    }
  }

  const bool color_;
  std::string out_;
  TimePoint at_{};
  double seconds_ = 0;
  std::map<std::string, uint64_t> before_;
  std::map<std::string, uint64_t> now_;
};

}  // namespace

int status_command(const StatusOptions& options) {
  const auto address = parse(options.url);
  if (!address) {
    std::fprintf(stderr, "walspout: \"%s\" is not ADDRESS:PORT of a status server\n",
                 options.url.c_str());
    return kUsage;
  }
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  Screen screen(options.color && terminal);
  for (;;) {
    const auto answer = get_page(address->host, address->port, "/status", Clock::now() + kPageTime);
    bool ready = false;
    std::string out;
    if (!answer) {
      out = "walspout: " + answer.error().message() +
            ". Does `walspout run` run there, with `status` in its configuration?\n";
      if (!options.watch) {
        std::fputs(out.c_str(), stderr);
        return kFailed;
      }
    } else {
      try {
        ready = screen.show(*answer, Clock::now());
        out = screen.out();
      } catch (const YAML::Exception&) {
        std::fprintf(stderr, "walspout: %s is not a status server of walspout\n",
                     options.url.c_str());
        return kFailed;
      }
    }
    if (options.watch && terminal) std::fputs("\033[H\033[J", stdout);
    std::fputs(out.c_str(), stdout);
    std::fflush(stdout);
    if (!options.watch) return ready ? kClean : kFailed;
    if (std::ferror(stdout) != 0) return kFailed;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace walspout
