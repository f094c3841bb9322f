// What a source needs, as plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/keys.h"
#include "base/secret.h"
#include "source/kafka/config.h"

namespace walspout {

// Which tables have their rows sent when the slot is made.
struct BackfillConfig {
  static constexpr uint64_t kDefaultWorkers = 4;

  std::vector<std::string> tables;                    // patterns, see stream/only.h; empty: all
  std::vector<std::pair<std::string, Secret>> where;  // SCHEMA.TABLE: a condition in SQL
  uint64_t rate = 0;                                  // rows a second; 0: without a limit
  uint64_t workers = kDefaultWorkers;                 // tables that are read side by side
  bool new_tables = false;                            // also of those that are published later
};

// The name of the publication that is maintained for the patterns of a slot.
inline std::string own_publication(const std::string& slot) {
  return "walspout_" + slot;
}

struct SourceConfig {
  static constexpr uint64_t kDefaultDepth = 64;  // the plugin's

  std::optional<KafkaSourceConfig> kafka;  // in place of all else here

  Secret dsn;
  std::string slot;
  std::vector<std::string> publications;  // none: every table
  // Patterns, see stream/only.h: publications is then the one that walspout maintains for them.
  std::vector<std::string> tables;
  bool messages = true;
  std::vector<std::string> message_prefixes;  // none: all
  std::string origin = "any";                 // or none
  std::vector<std::string> omit;              // fields of the envelope
  uint64_t batch_bytes = 65536;
  uint64_t max_value_bytes = 0;            // 0: only what does not fit a message is elided
  uint64_t max_depth = kDefaultDepth;      // levels that a document may nest; 0: any number
  std::string numbers = "json";            // or string, or safe
  bool user_casts = false;                 // call casts to json in SQL or PL/pgSQL, in the server
  TextMaps columns;                        // by pattern of tables and of columns: a change
  TextMap set;                             // constants that rows get
  Secret hash_key;                         // of columns that are hashed; empty: the server has it
  bool transactions = false;               // events at the begin and the end of each
  bool schemas = false;                    // documents of the schemas of tables
  std::string schema_format = "walspout";  // or avro
  bool create_slot = true;                 // when it is missing
  bool failover = false;                   // of a slot that is created, on servers that know it
  std::optional<BackfillConfig> backfill;
};

}  // namespace walspout
