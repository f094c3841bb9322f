// As which type a value of a document is read, so that a narrower column of the target does not
// round or cut the value unseen.
//
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace walspout {

struct Reading {
  std::string type;      // as SQL has it
  bool checked = false;  // the column's type has to give the same value back
  bool cuts = false;     // of a text, and not of a number or a time
};

// Of a column of the target.
struct ColumnType {
  std::string text;          // as format_type() prints it, with modifiers
  std::string base;          // the same of what a domain is made of, without modifiers
  bool is_modified = false;  // there are modifiers, perhaps of the domain
};

// `source`: the type in the source, as format_type() prints it; empty: unknown.
[[nodiscard]] Reading reading(std::string_view source, const ColumnType& target);

}  // namespace walspout
