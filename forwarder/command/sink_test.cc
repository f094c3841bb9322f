// `walspout sink-test`: whether a program can be a sink of the type exec.
#include <unistd.h>

#include <cstdio>

#include "command/commands.h"
#include "sink/sinks.h"

namespace walspout {
namespace {

class Report {
 public:
  explicit Report(bool color) : color_(color && isatty(STDOUT_FILENO)) {}

  void say(const TrialResult& result) {
    ++(result.good ? good_ : bad_);
    const char* mark = result.good ? "\xe2\x9c\x93" : "\xe2\x9c\x97";
    if (color_) {
      std::printf("\033[%sm%s\033[0m ", result.good ? "32" : "1;31", mark);
    } else {
      std::printf("%s ", mark);
    }
    std::printf("%s", result.what.c_str());
    if (result.good && !result.remedy.empty()) std::printf(" (%s)", result.remedy.c_str());
    if (!result.good && !result.remedy.empty()) std::printf("\n  -> %s", result.remedy.c_str());
    std::printf("\n");
    std::fflush(stdout);
  }

  int end() const {
    std::printf("\n%d of %d passed\n", good_, good_ + bad_);
    return bad_ == 0 ? kClean : kFailed;
  }

 private:
  const bool color_;
  int good_ = 0;
  int bad_ = 0;
};

// The type that has a trial, with the program as its command.
std::optional<SinkConfig> tried_sink(const std::vector<std::string>& command) {
  for (const SinkType& type : sink_types()) {
    if (!type.trial) continue;
    SinkConfig sink = sink_config(type.name);
    for (const Key& key : type.keys.keys) {
      if (key.name == "command") key.set(type.target(sink.options), KeyValue(command));
    }
    return sink;
  }
  return std::nullopt;
}

}  // namespace

int sink_test_command(const std::vector<std::string>& command, bool color) {
  std::optional<SinkConfig> sink = tried_sink(command);
  if (!sink) return kUsage;
  Report report(color);
  sink->type->trial(sink->options, [&](const TrialResult& result) { report.say(result); });
  return report.end();
}

}  // namespace walspout
