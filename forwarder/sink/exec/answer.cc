#include "sink/exec/answer.h"

#include <cstdint>
#include <utility>

#include "base/json.h"

namespace walspout {
namespace {

constexpr const char* kForm = R"(an answer is {"id":"..."}, or {"id":"...","error":"..."})";

// Parses the one object of a line.
class Parser {
 public:
  explicit Parser(std::string_view line) : rest_(line) {}

  tl::expected<ExecAnswer, std::string> parse() {
    skip_space();
    if (!take('{')) return tl::unexpected(std::string("it is no JSON object"));
    skip_space();
    if (!take('}')) {
      do {
        if (!member()) return tl::unexpected(problem_);
      } while (take(','));
      if (!take('}')) return tl::unexpected(std::string("the JSON object does not end"));
    }
    skip_space();
    if (!rest_.empty()) return tl::unexpected(std::string("text follows the JSON object"));
    return judge();
  }

 private:
  tl::expected<ExecAnswer, std::string> judge() {
    if (!has_id_) return tl::unexpected(std::string("it has no \"id\""));
    if (answer_.error && answer_.error->empty()) {
      return tl::unexpected(std::string("\"error\" is empty: leave it out if the event is taken"));
    }
    if (kind_ && !answer_.error) return tl::unexpected(std::string("\"kind\" needs an \"error\""));
    if (kind_ && *kind_ != "retry" && *kind_ != "reject") {
      return tl::unexpected(std::string("\"kind\" must be retry or reject"));
    }
    answer_.reject = kind_ == "reject";
    return std::move(answer_);
  }

  bool member() {
    skip_space();
    std::string name;
    if (!text(name)) return false;
    skip_space();
    if (!take(':')) return fail("a colon is missing");
    skip_space();
    if (name == "id") {
      if (std::exchange(has_id_, true)) return fail("\"id\" is there twice");
      if (!text(answer_.id)) return false;
    } else if (name == "error") {
      if (std::exchange(has_error_, true)) return fail("\"error\" is there twice");
      if (!text_or_null(answer_.error)) return false;
    } else if (name == "kind") {
      if (std::exchange(has_kind_, true)) return fail("\"kind\" is there twice");
      if (!text_or_null(kind_)) return false;
    } else {
      return fail("it has the unknown key \"" + printable(name, 40) + "\": " + kForm);
    }
    skip_space();
    return true;
  }

  bool text_or_null(std::optional<std::string>& out) {
    if (rest_.starts_with("null")) {
      rest_.remove_prefix(4);
      return true;
    }
    return text(out.emplace());
  }

  bool text(std::string& out) {
    if (!take('"')) return fail("a string is missing");
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"') {
        rest_.remove_prefix(1);
        return true;
      }
      if (c == '\\') {
        if (!escape(out)) return false;
        continue;
      }
      if (static_cast<unsigned char>(c) < 0x20) return fail("a string has a control character");
      const size_t length = utf8_sequence(rest_);
      if (length == 0) return fail("it is not UTF-8");
      out += rest_.substr(0, length);
      rest_.remove_prefix(length);
    }
    return fail("a string does not end");
  }

  bool escape(std::string& out) {
    if (rest_.size() < 2) return fail("a string does not end");
    const char c = rest_[1];
    rest_.remove_prefix(2);
    constexpr std::string_view kShort = "\"\\/bfnrt";
    constexpr std::string_view kMeaning = "\"\\/\b\f\n\r\t";
    if (const size_t at = kShort.find(c); at != std::string_view::npos) {
      out += kMeaning[at];
      return true;
    }
    uint32_t code = 0;
    if (c != 'u' || !hex(code)) return fail("a string has a wrong escape");
    if (code >= 0xd800 && code < 0xdc00) {
      uint32_t low = 0;
      if (!take('\\') || !take('u') || !hex(low) || low < 0xdc00 || low > 0xdfff) {
        return fail("a string has half of a surrogate pair");
      }
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
      return fail("a string has half of a surrogate pair");
    }
    append_utf8(out, code);
    return true;
  }

  bool hex(uint32_t& code) {
    if (rest_.size() < 4) return false;
    for (int i = 0; i < 4; ++i) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return false;
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    return true;
  }

  static void append_utf8(std::string& out, uint32_t code) {
    const auto add = [&out](uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xc0 | code >> 6);
      add(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      add(0xe0 | code >> 12);
      add(0x80 | (code >> 6 & 0x3f));
      add(0x80 | (code & 0x3f));
    } else {
      add(0xf0 | code >> 18);
      add(0x80 | (code >> 12 & 0x3f));
      add(0x80 | (code >> 6 & 0x3f));
      add(0x80 | (code & 0x3f));
    }
  }

  void skip_space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' ||
                              rest_.front() == '\r' || rest_.front() == '\n')) {
      rest_.remove_prefix(1);
    }
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool fail(std::string why) {
    problem_ = std::move(why);
    return false;
  }

  std::string_view rest_;
  ExecAnswer answer_;
  std::optional<std::string> kind_;
  bool has_id_ = false;
  bool has_error_ = false;
  bool has_kind_ = false;
  std::string problem_;
};

// Whether two bytes are a control character of a terminal.
bool is_control(std::string_view sequence) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(sequence[i]); };
  return sequence.size() == 1 ? byte(0) < 0x20 || byte(0) == 0x7f
                              : sequence.size() == 2 && byte(0) == 0xc2 && byte(1) < 0xa0;
}

}  // namespace

tl::expected<ExecAnswer, std::string> parse_exec_answer(std::string_view line) {
  return Parser(line).parse();
}

std::string printable(std::string_view text, size_t most) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_sequence(text);
    const std::string_view sequence = text.substr(0, length == 0 ? 1 : length);
    if (out.size() + sequence.size() > most) return out + "...";
    if (length > 0 && !is_control(sequence)) {
      out += sequence;
    } else {
      for (const char c : sequence) {
        out += "\\x";
        out += kHex[static_cast<unsigned char>(c) >> 4];
        out += kHex[static_cast<unsigned char>(c) & 15];
      }
    }
    text.remove_prefix(sequence.size());
  }
  return out;
}

void ExecLines::add(std::string_view bytes) {
  text_.erase(0, begin_);
  scanned_ -= begin_;
  begin_ = 0;
  text_ += bytes;
}

std::optional<std::string_view> ExecLines::next() {
  const size_t end = text_.find('\n', scanned_);
  const size_t length = (end == std::string::npos ? text_.size() : end) - begin_;
  if (length > longest_) too_long_ = true;
  if (end == std::string::npos || too_long_) {
    scanned_ = text_.size();
    return std::nullopt;
  }
  const std::string_view line = std::string_view(text_).substr(begin_, length);
  begin_ = scanned_ = end + 1;
  return line;
}

void ExecLines::clear() {
  text_.clear();
  begin_ = scanned_ = 0;
  too_long_ = false;
}

}  // namespace walspout
