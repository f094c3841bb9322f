#include "sink/postgres/reading.h"

#include <algorithm>
#include <array>

namespace walspout {
namespace {

template <size_t N>
bool is_one_of(std::string_view type, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), type) != list.end();
}

constexpr std::array<std::string_view, 6> kNumbers = {"smallint", "integer", "bigint",
                                                      "numeric",  "real",    "double precision"};
// Each type can be cast to each other one.
constexpr std::array<std::string_view, 3> kDates = {"date", "timestamp without time zone",
                                                    "timestamp with time zone"};
constexpr std::array<std::string_view, 2> kTimes = {"time without time zone",
                                                    "time with time zone"};

// "numeric(5,1)[]" becomes "numeric[]".
std::string without_modifiers(std::string_view type) {
  std::string made(type);
  const size_t begin = made.find('(');
  const size_t end = made.find(')');
  if (begin != std::string::npos && end != std::string::npos && begin < end) {
    made.erase(begin, end - begin + 1);
  }
  return made;
}

std::string_view element(std::string_view type) {
  if (type.ends_with("[]")) type.remove_suffix(2);
  return type;
}

}  // namespace

Reading reading(std::string_view source, const ColumnType& target) {
  const Reading as_it_is{target.text};
  if (source == target.text) return as_it_is;
  const std::string from = without_modifiers(source);
  const std::string_view of = element(from);
  const std::string_view to = element(target.base);
  const bool like_shape = from.empty() || from.ends_with("[]") == target.base.ends_with("[]");
  if (!like_shape) return as_it_is;
  const Reading as_base{target.base, true};
  const Reading as_source{from, true};
  if (to == "numeric" || to == "interval") return target.is_modified ? as_base : as_it_is;
  if (to == "character varying" || to == "bpchar") {
    return target.is_modified ? Reading{target.base, true, true} : as_it_is;
  }
  if (to == "name" || to == "\"char\"") {
    const std::string text = target.base.ends_with("[]") ? "text[]" : "text";
    return of == to || of.empty() ? as_it_is : Reading{text, true, true};
  }
  if (to == "real" || to == "double precision") {
    const bool loses = of != to && of != "smallint" && is_one_of(of, kNumbers) &&
                       !(to == "double precision" && (of == "integer" || of == "real"));
    return loses ? as_source : as_it_is;
  }
  if (is_one_of(to, kDates)) {
    if (of != to && is_one_of(of, kDates)) return as_source;
    return target.is_modified ? as_base : as_it_is;
  }
  if (is_one_of(to, kTimes)) {
    // The cast would drop a date or an offset.
    const bool loses = is_one_of(of, kDates) || (is_one_of(of, kTimes) && of != to);
    if (loses) return {target.base.ends_with("[]") ? "text[]" : "text", true};
    return target.is_modified ? as_base : as_it_is;
  }
  return as_it_is;
}

}  // namespace walspout
