#include "sink/nats/wire.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace walspout {
namespace {

constexpr std::string_view kEnd = "\r\n";
constexpr std::string_view kHeaderVersion = "NATS/1.0";
constexpr size_t kLongestLine = 1 << 20;  // INFO lists the addresses of all servers
constexpr size_t kLargest = 64 << 20;     // of a received message
constexpr size_t kLongestPrefix = 1024;   // of a logical message

void append_number(std::string& out, uint64_t number) {
  std::array<char, 20> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + 20, number).ptr);
}

bool is_plain(unsigned char c) {
  return c > ' ' && c != '%' && c != 0x7f;
}

void append_value(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool inner_space = c == ' ' && i > 0 && i + 1 < text.size();
    if (is_plain(c) || inner_space) {
      out += text[i];
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
  out += kEnd;
}

void append_digits(char*& at, int value, int digits) {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  at += digits;
}

// Appends a time as in the document: 2026-11-20T11:22:33.123456Z. Year, month and day by Howard
// Hinnant's days-to-civil; years of four digits.
void append_time(std::string& out, int64_t micros) {
  const int64_t seconds = micros / 1'000'000;
  const auto days = seconds / 86'400 + 719'468;
  const auto era = days / 146'097;
  const auto day_of_era = days - era * 146'097;
  const auto year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const auto day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const auto shifted = (5 * day_of_year + 2) / 153;
  const auto day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
  const auto month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  const auto year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  const auto second = static_cast<int>(seconds % 86'400);
  std::array<char, 27> text;
  char* at = text.data();
  append_digits(at, year, 4);
  *at++ = '-';
  append_digits(at, month, 2);
  *at++ = '-';
  append_digits(at, day, 2);
  *at++ = 'T';
  append_digits(at, second / 3600, 2);
  *at++ = ':';
  append_digits(at, second / 60 % 60, 2);
  *at++ = ':';
  append_digits(at, second % 60, 2);
  *at++ = '.';
  append_digits(at, static_cast<int>(micros % 1'000'000), 6);
  *at = 'Z';
  out.append(text.data(), text.size());
  out += kEnd;
}

// Removes and returns the next word of a line.
std::string_view take_word(std::string_view& line) {
  const size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
  const size_t end = std::min(line.find_first_of(" \t", begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

bool parse_size(std::string_view word, size_t& size) {
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), size);
  return parsed.ec == std::errc() && parsed.ptr == word.data() + word.size();
}

bool is_word(std::string_view word, std::string_view upper) {
  return word.size() == upper.size() &&
         std::equal(word.begin(), word.end(), upper.begin(), [](char c, char u) {
           return c == u || (c >= 'a' && c <= 'z' && c - 'a' + 'A' == u);
         });
}

Failure no_nats() {
  return retry("what came is not NATS. Is this the port for clients?");
}

}  // namespace

void append_nats_headers(std::string& out, const Event& event, std::string_view id_prefix) {
  const EventId id(event);
  out += "NATS/1.0\r\nNats-Msg-Id: ";
  out += id_prefix;
  out += id.view();
  out += "\r\nid: ";
  out += id.view();
  out += "\r\nop: ";
  out += event.op;
  out += kEnd;
  if (event.table != nullptr) {
    out += "schema: ";
    append_value(out, event.schema());
    out += "table: ";
    append_value(out, event.table_name());
  } else if (!event.prefix().empty() && event.prefix().size() <= kLongestPrefix) {
    out += "prefix: ";
    append_value(out, event.prefix());
  }
  if (event.commit_time > 0) {
    out += "ts: ";
    append_time(out, event.commit_time);
  }
  out += kEnd;
}

void append_publish(std::string& out, std::string_view subject, std::string_view reply,
                    std::string_view headers, size_t body) {
  out += headers.empty() ? "PUB " : "HPUB ";
  out += subject;
  out += ' ';
  if (!reply.empty()) {
    out += reply;
    out += ' ';
  }
  if (!headers.empty()) {
    append_number(out, headers.size());
    out += ' ';
  }
  append_number(out, headers.size() + body);
  out += kEnd;
  out += headers;
}

int NatsFrame::status() const {
  if (headers.size() < kHeaderVersion.size() + 4 || headers[kHeaderVersion.size()] != ' ') return 0;
  int code = 0;
  const char* digits = headers.data() + kHeaderVersion.size() + 1;
  std::from_chars(digits, digits + 3, code);
  return code;
}

void NatsFrameReader::feed(std::string_view bytes) {
  buffer_.erase(0, begin_);
  begin_ = 0;
  buffer_.append(bytes);
}

Result<std::optional<NatsFrame>> NatsFrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) {
    if (rest.size() > kLongestLine) return no_nats();
    return std::nullopt;
  }
  std::string_view line = rest.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  const std::string_view word = take_word(line);
  if (is_word(word, "MSG")) return message(line, end + 1, false);
  if (is_word(word, "HMSG")) return message(line, end + 1, true);
  NatsFrame frame;
  if (is_word(word, "PING")) {
    frame.kind = NatsFrame::Kind::kPing;
  } else if (is_word(word, "PONG")) {
    frame.kind = NatsFrame::Kind::kPong;
  } else if (is_word(word, "+OK")) {
    frame.kind = NatsFrame::Kind::kOk;
  } else if (is_word(word, "INFO")) {
    frame.kind = NatsFrame::Kind::kInfo;
    frame.text = line;
  } else if (is_word(word, "-ERR")) {
    frame.kind = NatsFrame::Kind::kError;
    const size_t first = line.find('\'');
    const size_t last = line.rfind('\'');
    frame.text = last != std::string_view::npos && last > first
                     ? line.substr(first + 1, last - first - 1)
                     : line;
  } else {
    return no_nats();
  }
  begin_ += end + 1;
  return frame;
}

// MSG <subject> <sid> [reply] <size>, HMSG <subject> <sid> [reply] <size of headers> <size>
Result<std::optional<NatsFrame>> NatsFrameReader::message(std::string_view line, size_t line_size,
                                                          bool with_headers) {
  std::array<std::string_view, 5> words;
  size_t count = 0;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    if (count == words.size()) return no_nats();
    words[count++] = word;
  }
  size_t size = 0;
  size_t headers = 0;
  if (count < (with_headers ? 4u : 3u) || !parse_size(words[count - 1], size)) return no_nats();
  if (with_headers && !parse_size(words[count - 2], headers)) return no_nats();
  if (size > kLargest || headers > size) return no_nats();
  const std::string_view rest = std::string_view(buffer_).substr(begin_);
  if (rest.size() < line_size + size + kEnd.size()) return std::nullopt;
  const std::string_view payload = rest.substr(line_size, size);
  NatsFrame frame;
  frame.kind = NatsFrame::Kind::kMessage;
  frame.subject = words[0];
  frame.headers = payload.substr(0, headers);
  frame.body = payload.substr(headers);
  begin_ += line_size + size + kEnd.size();
  return frame;
}

}  // namespace walspout
