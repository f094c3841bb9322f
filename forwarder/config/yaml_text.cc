#include "config/yaml_text.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace walspout {

namespace {

// How a text of the library begins, and the likely mistake.
struct Hint {
  std::string_view error;
  std::string_view hint;
};
constexpr Hint kHints[] = {
    {"illegal map value",
     "A value that has \": \" in it must be in quotes, and the keys of a mapping must have "
     "the same indentation. After the \":\" of a key there is a space"},
    {"end of map not found",
     "The indentation does not fit, or a quote or bracket is not closed. A value that begins with "
     "{ or [ must be in quotes"},
    {"end of sequence", "The indentation does not fit, or a bracket is not closed"},
    {"illegal flow end", "A bracket is closed that is not open"},
    {"illegal block entry", "\"- \" begins an item of a list, on a line of its own"},
    {"unknown token", "A value that begins with % @ or ` must be in quotes"},
    {"alias not found", "A value that begins with * must be in quotes"},
    {"the referenced anchor", "A value that begins with * must be in quotes"},
    {"anchor not found", "A value that begins with & must be in quotes"},
    {"unknown escape character",
     "In double quotes write each backslash twice, or use single quotes"},
    {"illegal EOF in scalar", "A quote is not closed"},
    {"bad file", "It is nested too deep"},
};

std::string_view line_of(std::string_view text, int number) {
  for (; number > 1; number--) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// The column of a tab in the indentation of a line, from 1; 0 if the indentation has no tab.
int indenting_tab(std::string_view line) {
  const std::string_view indent = line.substr(0, line.find_first_not_of(" \t"));
  const size_t tab = indent.find('\t');
  return tab == std::string_view::npos ? 0 : static_cast<int>(tab) + 1;
}

// The length of the UTF-8 character at the start of the text; 0 if the bytes there are not a
// character.
size_t character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; i++) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
  const bool surrogate = first == 0xED && byte(1) > 0x9F;
  const bool beyond = first == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

bool is_utf16(std::string_view text) {
  const bool half_null = text.size() > 1 && (text[0] == '\0' || text[1] == '\0');
  return half_null || text.starts_with("\xFE\xFF") || text.starts_with("\xFF\xFE");
}

}  // namespace

std::optional<ConfigProblem> wrong_byte(std::string_view text) {
  if (is_utf16(text)) return std::nullopt;
  int line = 1;
  size_t begin = 0;  // of the line
  for (size_t at = 0; at < text.size();) {
    const size_t length = character(text.substr(at));
    const int column = static_cast<int>(at - begin) + 1;
    if (length == 0)
      return ConfigProblem{line, column, "this is not UTF-8: save the file as UTF-8"};
    if (text[at] == '\0') return ConfigProblem{line, column, "there is a NUL character here"};
    at += length;
    if (text[at - 1] == '\n') {
      line++;
      begin = at;
    }
  }
  return std::nullopt;
}

ConfigProblem explain(std::string_view text, int line, int column, const std::string& error) {
  // The library reports a tab at its own line or at the next one.
  for (const int each : {line, line - 1}) {
    const int tab = each > 0 ? indenting_tab(line_of(text, each)) : 0;
    if (tab) return {each, tab, "a tab is not allowed for indentation: use spaces"};
  }
  std::string what = "not valid YAML: " + error;
  const auto* hint = std::find_if(std::begin(kHints), std::end(kHints), [&](const Hint& each) {
    return std::string_view(error).starts_with(each.error);
  });
  if (hint != std::end(kHints)) what += ". " + std::string(hint->hint);
  return {line, column, std::move(what)};
}

std::string quoted_key(std::string_view text, int line, int column) {
  for (int i = 1; i < line; i++) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  text = text.substr(0, text.find_first_of("\r\n"));
  if (line < 1 || column < 1 || static_cast<size_t>(column) > text.size()) return "";
  const size_t begin = static_cast<size_t>(column) - 1;
  size_t end = begin;
  while (end < text.size() && (isalnum(static_cast<unsigned char>(text[end])) != 0 ||
                               text[end] == '_' || text[end] == '-')) {
    ++end;
  }
  if (end == begin || end == text.size() || text[end] != ':') return "";
  const std::string_view before = text.substr(0, begin);
  const bool first = before.find_first_not_of(" -") == std::string_view::npos;
  const std::string indent = first ? std::string(before) : "… ";
  const std::string number = std::to_string(line);
  const bool more = text.find_first_not_of(" ", end + 1) != std::string_view::npos;
  return "  " + number + " | " + indent + std::string(text.substr(begin, end - begin)) + ":" +
         (more ? " …" : "") + "\n  " + std::string(number.size(), ' ') + " | " +
         std::string(first ? begin : 2, ' ') + "^" + std::string(end - begin - 1, '~') + "\n";
}

}  // namespace walspout
