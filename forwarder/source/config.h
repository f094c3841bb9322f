// What a source needs, as plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.h"
#include "source/kafka/config.h"

namespace walspout {

struct SourceConfig {
  static constexpr uint64_t kDefaultDepth = 64;  // the plugin's

  std::optional<KafkaSourceConfig> kafka;  // in place of all else here

  Secret dsn;
  std::string slot;
  std::vector<std::string> publications;  // none: every table
  bool messages = true;
  std::vector<std::string> message_prefixes;  // none: all
  std::string origin = "any";                 // or none
  std::vector<std::string> omit;              // fields of the envelope
  uint64_t batch_bytes = 65536;
  uint64_t max_value_bytes = 0;        // 0: only what does not fit a message is elided
  uint64_t max_depth = kDefaultDepth;  // levels that a document may nest; 0: any number
  std::string numbers = "json";        // or string, or safe
  bool user_casts = false;             // call casts to json in SQL or PL/pgSQL, in the server
  bool create_slot = true;             // when it is missing
  bool failover = false;               // of a slot that is created, on servers that know it
};

}  // namespace walspout
