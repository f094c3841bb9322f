// libFuzzer: the input is what a program writes to its standard output, in pieces. Reading does no
// harm, the pieces make no difference, and only valid answers are taken for answers.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "sink/exec/answer.h"

namespace {

using namespace walspout;

constexpr size_t kLongest = 64;

// The lines, or "too long" as the last one.
std::vector<std::string> lines_of(std::string_view text, size_t piece) {
  ExecLines lines(kLongest);
  std::vector<std::string> found;
  while (!text.empty()) {
    lines.add(text.substr(0, piece));
    text.remove_prefix(std::min(piece, text.size()));
    while (const auto line = lines.next()) found.emplace_back(*line);
    if (lines.is_too_long()) {
      found.emplace_back("too long");
      return found;
    }
  }
  found.emplace_back(lines.rest());
  return found;
}

bool is_printable(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

// Written by us and read again, the value is the same.
void read_again(const ExecAnswer& answer) {
  std::string line = "{\"id\":";
  append_json(line, answer.id);
  if (answer.error) {
    line += ",\"error\":";
    append_json(line, *answer.error);
    line += answer.reject ? ",\"kind\":\"reject\"" : ",\"kind\":\"retry\"";
  }
  const auto again = parse_exec_answer(line + "}");
  if (!again || again->id != answer.id || again->error != answer.error ||
      again->reject != answer.reject) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> lines = lines_of(text, SIZE_MAX);
  if (lines_of(text, 1) != lines || lines_of(text, 7) != lines) std::abort();
  for (const std::string_view line : {text, std::string_view(lines.front())}) {
    const auto answer = parse_exec_answer(line);
    if (answer) {
      if (line.find("id") == std::string_view::npos && line.find('\\') == std::string_view::npos) {
        std::abort();
      }
      if (answer->reject && !answer->error) std::abort();
      read_again(*answer);
    } else if (answer.error().empty() || !is_printable(answer.error())) {
      std::abort();
    }
    const std::string shown = printable(line, 50);
    if (!is_printable(shown) || shown.size() > 60) std::abort();
  }
  return 0;
}
