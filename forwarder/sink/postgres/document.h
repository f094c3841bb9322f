// What a document says about a row besides the row itself. plugin/README.md defines the order of
// the members, so these functions only look behind the row.
//
// Pure.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "stream/event.h"

namespace walspout {

// The text from the row's last object to the end of the document: `}`, or
// `,"unchanged":["a"],"elided":{"b":5},"origin":"x"}`.
inline std::string_view behind_row(const Event& event) {
  const Span row = event.after_span().size > 0 ? event.after_span() : event.before_span();
  if (row.size == 0) return {};
  return event.document.substr(row.begin + row.size);
}

// The names of an object's members, as they are written.
inline std::vector<std::string_view> names_of_members(std::string_view object) {
  std::vector<std::string_view> names;
  int depth = 0;
  for (size_t i = 0; i < object.size(); i++) {
    const char c = object[i];
    if (c == '"') {
      const size_t begin = i++;
      while (i < object.size() && object[i] != '"') i += object[i] == '\\' ? 2 : 1;
      if (depth == 1 && object.substr(std::min(object.size(), i)).starts_with("\":")) {
        names.push_back(object.substr(begin, i + 1 - begin));
      }
    } else if (c == '{' || c == '[') {
      depth++;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      break;
    }
  }
  return names;
}

// Which columns the row lacks.
struct Lacks {
  bool unchanged = false;               // the WAL lacks them, because they did not change
  bool elided = false;                  // the source left them out, because they are too large
  std::string_view members;             // the document's `unchanged`, with a comma before it
  std::vector<std::string_view> names;  // of those elided

  explicit operator bool() const { return unchanged || elided; }
};

inline Lacks lacks(const Event& event) {
  constexpr std::string_view kUnchanged = ",\"unchanged\":[";
  constexpr std::string_view kElided = ",\"elided\":{";
  Lacks found;
  const std::string_view behind = behind_row(event);
  std::string_view rest = behind;
  if (rest.starts_with(kUnchanged)) {
    found.unchanged = true;
    rest.remove_prefix(kUnchanged.size());
    bool quoted = false;
    size_t i = 0;
    for (; i < rest.size() && (quoted || rest[i] != ']'); i++) {
      if (quoted && rest[i] == '\\') {
        i++;
      } else if (rest[i] == '"') {
        quoted = !quoted;
      }
    }
    rest.remove_prefix(std::min(rest.size(), i + 1));
  }
  found.members = behind.substr(0, behind.size() - rest.size());
  if (!rest.starts_with(kElided)) return found;
  found.names = names_of_members(rest.substr(kElided.size() - 1));
  if (event.op == 'u' && !event.before().empty()) {
    // A column may be left out of the old row only.
    const std::vector<std::string_view> there = names_of_members(event.after());
    std::erase_if(found.names, [&](std::string_view name) {
      return std::find(there.begin(), there.end(), name) != there.end();
    });
  }
  found.elided = !found.names.empty();
  return found;
}

}  // namespace walspout
