#include "sink/nats/json.h"

#include <charconv>

namespace walspout {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

size_t skip_space(std::string_view text, size_t at) {
  const size_t found = text.find_first_not_of(kSpace, at);
  return found == std::string_view::npos ? text.size() : found;
}

// The position behind the string that begins at `at`; npos: no end.
size_t string_end(std::string_view text, size_t at) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// The position behind the value that begins at `at`; npos: no end.
size_t value_end(std::string_view text, size_t at) {
  size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = string_end(text, at);
      if (at == std::string_view::npos || depth == 0) return at;
      continue;
    }
    if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return at;
      if (--depth == 0) return at + 1;
    } else if (depth == 0 && (c == ',' || kSpace.find(c) != std::string_view::npos)) {
      return at;
    }
    ++at;
  }
  return depth == 0 ? at : std::string_view::npos;
}

// Visits the items of an object or array that begins with `open`. `item` gets each value, and in an
// object its name, and returns false to stop.
template <typename Item>
void walk(std::string_view text, char open, Item item) {
  size_t at = skip_space(text, 0);
  if (at >= text.size() || text[at] != open) return;
  at = skip_space(text, at + 1);
  while (at < text.size() && text[at] != '}' && text[at] != ']') {
    std::string_view name;
    if (open == '{') {
      if (text[at] != '"') return;
      const size_t end = string_end(text, at);
      if (end == std::string_view::npos) return;
      name = text.substr(at + 1, end - at - 2);
      at = skip_space(text, end);
      if (at >= text.size() || text[at] != ':') return;
      at = skip_space(text, at + 1);
    }
    const size_t end = value_end(text, at);
    if (end == std::string_view::npos || end == at) return;
    if (!item(name, text.substr(at, end - at))) return;
    at = skip_space(text, end);
    if (at < text.size() && text[at] == ',') at = skip_space(text, at + 1);
  }
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

}  // namespace

std::optional<std::string_view> json_member(std::string_view text, std::string_view name) {
  std::optional<std::string_view> found;
  walk(text, '{', [&](std::string_view key, std::string_view value) {
    if (key == name) found = value;
    return !found;
  });
  return found;
}

std::vector<std::string_view> json_items(std::string_view text) {
  std::vector<std::string_view> items;
  walk(text, '[', [&](std::string_view, std::string_view value) {
    items.push_back(value);
    return true;
  });
  return items;
}

std::string json_string(std::string_view value) {
  std::string text;
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return text;
  value = value.substr(1, value.size() - 2);
  for (size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\\' || i + 1 == value.size()) {
      text += value[i];
      continue;
    }
    const char c = value[++i];
    if (c == 'u' && i + 4 < value.size()) {
      uint32_t code = 0;
      std::from_chars(value.data() + i + 1, value.data() + i + 5, code, 16);
      append_utf8(text, code);
      i += 4;
    } else {
      text += c == 'n' || c == 'r' || c == 't' ? ' ' : c;
    }
  }
  return text;
}

std::string json_text(std::string_view object, std::string_view name) {
  const auto value = json_member(object, name);
  return value ? json_string(*value) : std::string();
}

int64_t json_number(std::string_view object, std::string_view name, int64_t otherwise) {
  const auto value = json_member(object, name);
  if (!value) return otherwise;
  int64_t number = 0;
  const auto parsed = std::from_chars(value->data(), value->data() + value->size(), number);
  return parsed.ec == std::errc() ? number : otherwise;
}

bool json_flag(std::string_view object, std::string_view name) {
  return json_member(object, name) == "true";
}

}  // namespace walspout
