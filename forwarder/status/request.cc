#include "status/request.h"

#include <strings.h>

#include <algorithm>

namespace walspout {

namespace {

bool is_same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the text up to `end` off the front of `rest`, and `end` too.
std::string_view take_until(std::string_view& rest, char end) {
  const size_t length = std::min(rest.find(end), rest.size());
  const std::string_view text = rest.substr(0, length);
  rest.remove_prefix(std::min(rest.size(), length + 1));
  return text;
}

std::string_view take_line(std::string_view& rest) {
  std::string_view line = take_until(rest, '\n');
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The length of the head with its empty line; 0: incomplete.
size_t head_length(std::string_view bytes) {
  for (size_t at = bytes.find('\n'); at != std::string_view::npos; at = bytes.find('\n', at + 1)) {
    const std::string_view next = bytes.substr(at + 1, 2);
    if (next.starts_with('\n')) return at + 2;
    if (next == "\r\n") return at + 3;
  }
  return 0;
}

// The path of "http://host/path?query", as proxies send it, or of "/path?query".
std::string_view path_of(std::string_view target) {
  if (!target.starts_with('/')) {
    const size_t scheme = target.find("://");
    if (scheme == std::string_view::npos) return target;
    target.remove_prefix(scheme + 3);
    target.remove_prefix(std::min(target.find('/'), target.size()));
  }
  return target.substr(0, target.find_first_of("?#"));
}

std::string_view query_of(std::string_view target) {
  const size_t begin = target.find('?');
  if (begin == std::string_view::npos) return {};
  return target.substr(begin + 1, target.find('#', begin) - begin - 1);
}

bool is_method(std::string_view word) {
  return !word.empty() &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (is_same_word(trim(take_until(list, ',')), word)) return true;
  }
  return false;
}

}  // namespace

Head parse_head(std::string_view bytes, Request& request) {
  // An empty line before a request is allowed.
  const size_t begin = std::min(bytes.find_first_not_of("\r\n"), bytes.size());
  const size_t length = head_length(bytes.substr(begin));
  if (length == 0) return Head::kIncomplete;
  std::string_view rest = bytes.substr(begin, length);
  std::string_view line = take_line(rest);
  const std::string_view method = take_until(line, ' ');
  const std::string_view target = take_until(line, ' ');
  if (!is_method(method) || target.empty() || (line != "HTTP/1.1" && line != "HTTP/1.0")) {
    return Head::kBad;
  }
  request = {};
  request.method = method;
  request.path = path_of(target);
  request.query = query_of(target);
  request.keep_alive = line == "HTTP/1.1";
  request.length = begin + length;
  bool has_body = false;
  for (line = take_line(rest); !line.empty(); line = take_line(rest)) {
    const std::string_view name = take_until(line, ':');
    const std::string_view value = trim(line);
    if (is_same_word(name, "Host")) {
      request.host = value;
    } else if (is_same_word(name, "Authorization")) {
      request.authorization = value;
    } else if (is_same_word(name, "Origin")) {
      request.origin = value;
    } else if (is_same_word(name, "Connection")) {
      if (has_word(value, "keep-alive")) request.keep_alive = true;
      if (has_word(value, "close")) request.keep_alive = false;
    } else if (is_same_word(name, "Transfer-Encoding")) {
      has_body = true;
    } else if (is_same_word(name, "Content-Length")) {
      has_body = has_body || value != "0";
    }
  }
  if (has_body) request.keep_alive = false;
  return Head::kComplete;
}

}  // namespace walspout
