// What `walspout check` prints: findings, each with its remedy, and whether one of them is an
// error. The exit code is that of `run`.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

#include "command/commands.h"

namespace walspout {

class Findings {
 public:
  // Colours are for terminals only.
  explicit Findings(bool color) : color_(color && isatty(STDOUT_FILENO)) {}

  void good(const std::string& text) { say("ok   ", "32", text, ""); }
  void warn(const std::string& text, const std::string& remedy) {
    say("warn ", "33", text, remedy);
  }
  void bad(const std::string& text, const std::string& remedy) {
    failed_ = failed_ || !muted_;
    say("ERROR", "1;31", text, remedy);
  }
  // As bad(), where nothing but a change of the configuration helps.
  void wrong(const std::string& text, const std::string& remedy) {
    wrong_ = wrong_ || !muted_;
    say("ERROR", "1;31", text, remedy);
  }
  // What is said while it is muted does not count.
  void mute(bool muted) { muted_ = muted; }
  bool failed() const { return failed_ || wrong_; }
  ExitCode code() const { return failed_ ? kFailed : wrong_ ? kUsage : kClean; }

 private:
  void say(const char* level, const char* color, const std::string& text,
           const std::string& remedy) const {
    if (muted_) return;
    if (color_) {
      std::printf("  \033[%sm%s\033[0m %s\n", color, level, text.c_str());
    } else {
      std::printf("  %s %s\n", level, text.c_str());
    }
    if (!remedy.empty()) std::printf("        -> %s\n", remedy.c_str());
  }

  const bool color_;
  bool muted_ = false;
  bool failed_ = false;
  bool wrong_ = false;
};

}  // namespace walspout
