// What `walspout check` prints: findings, each with its remedy, and whether any is an error. The
// exit code is that of `run`. For programs each finding is a line of JSON.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "base/json.h"
#include "command/commands.h"

namespace walspout {

class Findings {
 public:
  // `about`: what is checked.
  Findings(std::string about, const CheckOptions& how)
      : about_(std::move(about)),
        color_(how.color && isatty(STDOUT_FILENO)),  // colours are for terminals only
        json_(how.json) {
    if (!json_) std::printf("%s\n", about_.c_str());
  }

  void good(const std::string& text) { say("ok   ", "32", text, ""); }
  void warn(const std::string& text, const std::string& remedy) {
    say("warn ", "33", text, remedy);
  }
  void bad(const std::string& text, const std::string& remedy) {
    failed_ = failed_ || !muted_;
    say("ERROR", "1;31", text, remedy);
  }
  // Like bad(), if only a change of the configuration helps.
  void wrong(const std::string& text, const std::string& remedy) {
    wrong_ = wrong_ || !muted_;
    say("ERROR", "1;31", text, remedy);
  }
  // Findings that are reported while muted do not count.
  void mute(bool muted) { muted_ = muted; }
  bool failed() const { return failed_ || wrong_; }
  ExitCode code() const { return failed_ ? kFailed : wrong_ ? kUsage : kClean; }

 private:
  void say(const char* level, const char* color, const std::string& text,
           const std::string& remedy) const {
    if (muted_) return;
    if (json_) {
      print_json(level, text, remedy);
    } else if (color_) {
      std::printf("  \033[%sm%s\033[0m %s\n", color, level, text.c_str());
    } else {
      std::printf("  %s %s\n", level, text.c_str());
    }
    if (!remedy.empty() && !json_) std::printf("        -> %s\n", remedy.c_str());
  }

  void print_json(std::string_view level, const std::string& text,
                  const std::string& remedy) const {
    level = level.substr(0, level.find(' '));
    std::string out = R"({"about":)";
    append_json(out, about_);
    out += R"(,"level":)";
    append_json(out, level == "ERROR" ? "error" : level);
    out += R"(,"what":)";
    append_json(out, text);
    if (!remedy.empty()) {
      out += R"(,"remedy":)";
      append_json(out, remedy);
    }
    std::printf("%s}\n", out.c_str());
  }

  const std::string about_;
  const bool color_;
  const bool json_;
  bool muted_ = false;
  bool failed_ = false;
  bool wrong_ = false;
};

}  // namespace walspout
