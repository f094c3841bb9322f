// Keys that several sinks have.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "base/keys.h"
#include "base/tls_keys.h"
#include "sink/common/route.h"

namespace walspout {

template <typename T>
using RouteOf = Route T::*;

// Adds the key `name` with the templates, "unmapped", and, unless `with_schemas` is false,
// "schemas_to".
template <typename T>
void add_route(KeyTable<T>& table, const std::string& name, RouteOf<T> route, std::string help,
               bool with_schemas = true) {
  table.key(name, route, std::move(help));
  table.template choice<Unmapped>(
      "unmapped", [route](T& target) -> Unmapped& { return (target.*route).unmapped; },
      {{"error", Unmapped::kError}, {"drop", Unmapped::kDrop}},
      "What happens to an event for which `" + name +
          "` has no destination: `error` rejects the event, `drop` discards it");
  if (!with_schemas) return;
  const std::string initial((T{}.*route).initial_schemas);
  table
      .key(
          "schemas_to",
          [route](T& target) -> std::optional<std::string>& { return (target.*route).schemas; },
          "A template like `" + name +
              "`, for schemas of tables. Each schema is then sent once. Needs `schemas` in the "
              "source")
      .set_default(initial.empty() ? "with the events of the table" : initial);
}

}  // namespace walspout
