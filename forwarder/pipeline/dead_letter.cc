#include "pipeline/dead_letter.h"

#include <algorithm>
#include <charconv>
#include <concepts>

#include "base/json.h"

namespace walspout {

namespace {

void member(std::string& line, std::string_view name, std::string_view text) {
  append_json(line, name);
  line += ':';
  append_json(line, text);
  line += ',';
}

template <std::integral T>
void member(std::string& line, std::string_view name, T number) {
  append_json(line, name);
  line += ':';
  line += std::to_string(number);
  line += ',';
}

// Reads members in the order in which member() wrote them. A line with anything else is not ours.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  bool literal(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  bool member(std::string_view name, std::string& text) {
    if (!begin(name) || !literal("\"")) return false;
    while (!rest_.empty() && rest_.front() != '"') {
      if (!character(text)) return false;
    }
    return literal("\",");
  }

  template <typename T>
  bool member(std::string_view name, T& number) {
    if (!begin(name)) return false;
    const auto read = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (read.ec != std::errc()) return false;
    rest_.remove_prefix(static_cast<size_t>(read.ptr - rest_.data()));
    return literal(",");
  }

  // A member that some lines lack.
  template <typename T>
  bool optional_member(std::string_view name, T& value) {
    const std::string begin = "\"" + std::string(name) + "\":";
    return !rest_.starts_with(begin) || member(name, value);
  }

  std::string_view rest() const { return rest_; }

  // The member that was wrong.
  std::string_view failed_at() const { return name_; }

 private:
  bool begin(std::string_view name) {
    name_ = name;
    return literal("\"") && literal(name) && literal("\":");
  }

  // Reads one character of a string that append_json() wrote.
  bool character(std::string& text) {
    if (rest_.front() != '\\') {
      text += rest_.front();
      rest_.remove_prefix(1);
      return true;
    }
    if (rest_.size() < 2) return false;
    const char escaped = rest_[1];
    rest_.remove_prefix(2);
    if (escaped == 'n') {
      text += '\n';
    } else if (escaped == '"' || escaped == '\\') {
      text += escaped;
    } else if (escaped == 'u' && rest_.size() >= 4) {
      unsigned code = 0;
      const auto read = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
      if (read.ptr != rest_.data() + 4 || code >= 0x20) return false;
      text += static_cast<char>(code);
      rest_.remove_prefix(4);
    } else {
      return false;
    }
    return true;
  }

  std::string_view rest_;
  std::string_view name_ = "sent";
};

// Whether the text is one object whose last brace closes its first. Then `before` and `after` are
// the spans of its members of these names, if they are objects.
bool is_one_object(std::string_view text, Span& before, Span& after) {
  size_t depth = 0;
  size_t begin = 0;       // of the open string or member
  std::string_view name;  // the last string among the text's own members
  bool in_string = false;
  for (size_t i = 0; i < text.size(); i++) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      if (c == '"') in_string = false;
      if (c == '"' && depth == 1) name = text.substr(begin, i - begin);
      continue;
    }
    if (c == '"') in_string = true;
    if (depth == 1) begin = c == '"' ? i + 1 : i;
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (c == '}' && depth == 1) {
      const Span span{static_cast<uint32_t>(begin), static_cast<uint32_t>(i + 1 - begin)};
      if (name == "before") before = span;
      if (name == "after") after = span;
    }
    if (depth == 0) return text.front() == '{' && i + 1 == text.size();
  }
  return false;
}

// Stands between a document and its key if the document does not contain the key.
constexpr std::string_view kKeyMember = ",\"key\":";

}  // namespace

std::string dead_letter_line(const Event& event, std::string_view pipeline, std::string_view sink,
                             const Error& reason) {
  std::string line;
  line.reserve(event.document.size() + 512);
  line += "{\"sent\":0,";
  member(line, "id", EventId(event));
  if (event.is_no_change()) member(line, "index", event.index);  // the id lacks the index
  member(line, "pipeline", pipeline);
  member(line, "sink", sink);
  member(line, "reason", reason.message());
  member(line, "op", std::string_view(&event.op, 1));
  member(line, "schema", event.schema());
  member(line, "table", event.table_name());
  member(line, "commit_time", event.commit_time);
  member(line, "key_hash", event.key_hash);
  const size_t aside = event.key_is_aside() ? kKeyMember.size() : 0;
  member(line, "key_begin", event.key_span.begin + aside);
  member(line, "key_size", event.key_span.size);
  member(line, "barrier", int{event.barrier});
  if (!event.prefix().empty()) member(line, "prefix", event.prefix());
  line += "\"document\":";
  line += event.document;
  if (aside > 0) line.append(kKeyMember).append(event.key());
  line += "}\n";
  return line;
}

Result<DeadLetter> parse_dead_letter(std::string_view line) {
  DeadLetter letter;
  Event& event = letter.event;
  LineReader reader(line);
  std::string op;
  int sent = 0;
  int barrier = 0;
  const bool read =
      reader.literal("{") && reader.member("sent", sent) && reader.member("id", letter.id) &&
      reader.optional_member("index", event.index) && reader.member("pipeline", letter.pipeline) &&
      reader.member("sink", letter.sink) && reader.member("reason", letter.reason) &&
      reader.member("op", op) && reader.member("schema", letter.table.schema) &&
      reader.member("table", letter.table.name) &&
      reader.member("commit_time", event.commit_time) &&
      reader.member("key_hash", event.key_hash) &&
      reader.member("key_begin", event.key_span.begin) &&
      reader.member("key_size", event.key_span.size) && reader.member("barrier", barrier) &&
      reader.optional_member("prefix", letter.prefix);
  if (!read) {
    return reject("no dead letter of this program: \"" + std::string(reader.failed_at()) +
                  "\" is missing or invalid");
  }
  if (!reader.literal("\"document\":") || !reader.rest().ends_with('}')) {
    return reject("the line is truncated within its document");
  }
  event.document = reader.rest().substr(0, reader.rest().size() - 1);
  const Span key = event.key_span;
  if (uint64_t{key.begin} + key.size > event.document.size()) {
    return reject("its parts do not fit together");
  }
  // A key within the document is followed by a brace.
  const bool aside = key.size > 0 && key.begin > kKeyMember.size() &&
                     key.begin + key.size == event.document.size() &&
                     event.document.substr(0, key.begin).ends_with(kKeyMember);
  if (aside) event.document = event.document.substr(0, key.begin - kKeyMember.size());
  Span before;
  Span after;
  if (event.document.size() > UINT32_MAX || !is_one_object(event.document, before, after)) {
    return reject("the document is not one whole JSON object");
  }
  Event named = event;
  if (!EventId::parse(letter.id, named)) return reject("\"" + letter.id + "\" is not an id");
  if (op.size() != 1 || named.op != (is_no_change(op.front()) ? op.front() : 0) ||
      named.key_hash != event.key_hash || sent < 0 || sent > 1 || barrier < 0 || barrier > 1) {
    return reject("its parts do not fit together");
  }
  event.lsn = named.lsn;
  event.index = named.index;
  letter.sent = sent == 1;
  event.op = op.front();
  if (has_table(event.op)) event.set_row(before, after);
  event.barrier = barrier == 1;
  return letter;
}

}  // namespace walspout
