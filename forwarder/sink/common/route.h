// Which destination an event has.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace walspout {

// What happens to an event without a configured destination.
enum class Unmapped {
  kError,  // it is rejected: dead letter or stop
  kDrop,   // it counts as delivered, and as dropped
};

// Where a pipeline's events come from, as templates name it.
struct Origin {
  std::string pipeline;
  std::string database;
};

// A destination for each event: the entry for its table, else the fallback. Both are templates.
// {schema}, {table}, {op} and {key} stand for those of the event, {database} and {pipeline} for the
// origin's, and {{ and }} for braces. {key} is the JSON object of the event's key, as in the
// document, and empty for an event without a key. For logical messages, {schema} and {table} are
// empty.
struct Route {
  std::map<std::string, std::string> tables;  // by "schema.table"; "message": logical messages
  std::optional<std::string> fallback;        // none: tables not listed are unmapped
  Unmapped unmapped = Unmapped::kError;
  Origin origin{};
  // In names that replace placeholders, each of these characters becomes % and two hex digits: `:`
  // becomes %3A. If they include % and the template's separators, different names always make
  // different destinations. Empty: none.
  std::string_view escape{};
  std::string no_key{};     // why {key} is not allowed; empty: it is allowed
  bool is_for_all = false;  // these templates override the sink's others
  // The template for schemas of tables; none: they go where the table's events go.
  std::optional<std::string> schemas{};
  std::string_view initial_schemas{};  // the default of `schemas`, if schemas are sent
};

}  // namespace walspout
