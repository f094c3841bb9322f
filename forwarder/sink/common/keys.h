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

// The key `name` with the templates, and "unmapped".
template <typename T>
void add_route(KeyTable<T>& table, const std::string& name, RouteOf<T> route, std::string help) {
  table.key(name, route, std::move(help));
  table.template choice<Unmapped>(
      "unmapped", [route](T& target) -> Unmapped& { return (target.*route).unmapped; },
      {{"error", Unmapped::kError}, {"drop", Unmapped::kDrop}},
      "What follows for an event that `" + name +
          "` has no place for: `error` rejects the event, `drop` discards it");
}

}  // namespace walspout
