// Which destination an event has.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace walspout {

// What becomes of an event that no destination is configured for.
enum class Unmapped {
  kError,  // it is rejected: dead letter or stop
  kDrop,   // it counts as delivered, and as dropped
};

// Where a pipeline's events come from, as templates name it.
struct Origin {
  std::string pipeline;
  std::string database;
};

// A destination for each event: an entry for its table, else the fallback. Both are templates, in
// which {schema}, {table}, {op} and {key} stand for those of the event, {database} and {pipeline}
// for those of the origin, and {{ and }} for braces. {key} is the JSON object of the event's key as
// it stands in the document. For logical messages, {schema} and {table} are empty, and so is {key}
// for every event without a key.
struct Route {
  std::map<std::string, std::string> tables;  // by "schema.table"; "message": logical messages
  std::optional<std::string> fallback;        // none: tables not listed are unmapped
  Unmapped unmapped = Unmapped::kError;
  Origin origin{};
  // In names that replace placeholders, each of these characters becomes % and two digits: : and .
  // become %3A and %2E. With the separators of a template and % among them, no name can reach over
  // what is between two placeholders: different names make different destinations. Empty: none.
  std::string_view escape{};
  std::string no_key{};     // why {key} is not allowed; empty: it is
  bool is_for_all = false;  // other templates that the sink has give way to these
  // Of schemas of tables; none: they go where the events of the table go.
  std::optional<std::string> schemas{};
  std::string_view initial_schemas{};  // the same, where schemas are sent and nothing else is said
};

}  // namespace walspout
