// The type to read a document's value as, so that a narrower column of the target does not silently
// round or cut it.
//
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace walspout {

struct Reading {
  std::string type;      // as in SQL
  bool checked = false;  // compare the value before and after the cast to the column
  bool cuts = false;     // a bad cast cuts a text, else it rounds
};

// The type of a column of the target.
struct ColumnType {
  std::string text;          // as format_type() prints it, with modifiers
  std::string base;          // the domain's base type, or `text`, without modifiers
  bool is_modified = false;  // has modifiers, perhaps those of the domain
};

// `source`: the type in the source, as format_type() prints it; empty: unknown.
[[nodiscard]] Reading reading(std::string_view source, const ColumnType& target);

}  // namespace walspout
