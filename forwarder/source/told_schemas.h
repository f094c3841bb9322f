// The last schema of each table in the stream to the sinks, whether it came from the plugin or with
// the rows of a backfill. A schema that equals the last one is not sent again.
//
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

#include "stream/event.h"

namespace walspout {

class ToldSchemas {
 public:
  // Whether the table's last schema was another one, or is unknown. From now on it is this one.
  bool is_news(const Event& schema) {
    if (last_.size() >= kMost) last_.clear();
    std::string names(schema.schema());
    names += '\0';  // no name holds it
    names += schema.table_name();
    const auto [known, is_new] = last_.try_emplace(std::move(names), schema.key_hash);
    if (is_new) return true;
    return std::exchange(known->second, schema.key_hash) != schema.key_hash;
  }

  void forget() { last_.clear(); }

 private:
  static constexpr size_t kMost = 65'536;  // tables; with more, some schemas are repeated

  std::unordered_map<std::string, uint64_t> last_;  // fingerprints
};

}  // namespace walspout
