#include "status/letters.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "pipeline/dead_letter.h"
#include "pipeline/pipeline.h"
#include "status/json.h"
#include "status/tapped.h"

namespace walspout {

namespace {

constexpr size_t kMostLetters = 20;            // letters in a response
constexpr size_t kLooked = 512 * 1024;         // bytes read at the end of the file
constexpr size_t kMostOfDocument = 16 * 1024;  // bytes

// The end of a regular file, from the begin of a line; empty: it cannot be read.
std::string end_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return "";
  struct stat status = {};
  std::string text;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    const off_t begin = std::max<off_t>(0, status.st_size - static_cast<off_t>(kLooked));
    text.resize(static_cast<size_t>(status.st_size - begin));
    const ssize_t got = ::pread(fd, text.data(), text.size(), begin);
    text.resize(got > 0 ? static_cast<size_t>(got) : 0);
    if (begin > 0) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  }
  ::close(fd);
  return text;
}

void letter_json(std::string& out, const DeadLetter& letter, TapLevel level) {
  const Event event = letter.view();
  Object object(out);
  object.text("id", letter.id);
  object.text("sink", letter.sink);
  object.text("op", std::string_view(&event.op, 1));
  if (has_table(event.op)) object.text("table", letter.table.schema + "." + letter.table.name);
  if (!event.key().empty()) object.key("key") += event.key();
  object.number("bytes", event.document.size());
  if (level != TapLevel::kRows) return;
  object.text("reason", letter.reason);
  if (event.document.size() <= kMostOfDocument) object.text("document", event.document);
}

}  // namespace

std::string letters_json(const std::vector<const Pipeline*>& pipelines, std::string_view query) {
  const std::string name = query_value(query, "pipeline");
  std::string out = R"({"letters":[)";
  for (const Pipeline* pipeline : pipelines) {
    const TapLevel level = pipeline->tap().level();
    if (pipeline->config().name != name || !pipeline->config().dead_letter ||
        level == TapLevel::kOff) {
      continue;
    }
    const std::string text = end_of(pipeline->config().dead_letter->path);
    size_t end = text.rfind('\n');
    for (size_t count = 0; count < kMostLetters && end != std::string::npos;) {
      const size_t before = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
      const size_t begin = before == std::string::npos ? 0 : before + 1;
      const auto letter = parse_dead_letter(std::string_view(text).substr(begin, end - begin));
      if (letter && !letter->sent && letter->pipeline == name) {
        if (count++ > 0) out += ',';
        letter_json(out, *letter, level);
      }
      end = before;
    }
  }
  return out + "]}\n";
}

}  // namespace walspout
