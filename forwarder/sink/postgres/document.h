// What a document says about a row besides the row itself. plugin/README.md defines the order of
// the members, so these functions only look behind the row.
//
// Pure.
#pragma once

#include <algorithm>
#include <string_view>

#include "stream/event.h"

namespace walspout {

// The text from the row's last object to the end of the document: `}`, or
// `,"unchanged":["a"],"elided":{"b":5},"origin":"x"}`.
inline std::string_view behind_row(const Event& event) {
  const Span row = event.after_span().size > 0 ? event.after_span() : event.before_span();
  if (row.size == 0) return {};
  return event.document.substr(row.begin + row.size);
}

// Which columns the row lacks.
struct Lacks {
  bool unchanged = false;  // the WAL lacks them, because they did not change
  bool elided = false;     // the source left them out, because they are too large

  explicit operator bool() const { return unchanged || elided; }
};

inline Lacks lacks(const Event& event) {
  constexpr std::string_view kUnchanged = ",\"unchanged\":[";
  constexpr std::string_view kElided = ",\"elided\":{";
  Lacks found;
  std::string_view rest = behind_row(event);
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
  found.elided = rest.starts_with(kElided);
  return found;
}

}  // namespace walspout
