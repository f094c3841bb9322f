// The configuration of a source, as plain data.
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

// The tables whose rows are sent when the slot is created.
struct BackfillConfig {
  static constexpr uint64_t kDefaultWorkers = 4;

  std::vector<std::string> tables;                    // patterns, see stream/only.h; empty: all
  std::vector<std::pair<std::string, Secret>> where;  // SCHEMA.TABLE: a condition in SQL
  uint64_t rate = 0;                                  // rows a second; 0: no limit
  uint64_t workers = kDefaultWorkers;                 // tables that are read in parallel
  bool new_tables = false;                            // also tables that are published later
};

// The name of the publication that walspout maintains for a slot with table patterns.
inline std::string own_publication(const std::string& slot) {
  return "walspout_" + slot;
}

struct SourceConfig {
  static constexpr uint64_t kDefaultDepth = 64;  // the plugin's
  static constexpr const char* kDefaultDialect = "walspout";

  std::optional<KafkaSourceConfig> kafka;  // set: replaces all other members

  Secret dsn;
  std::string slot;
  std::vector<std::string> publications;  // none: every table
  // Patterns, see stream/only.h. With patterns, `publications` names only the one that walspout
  // maintains.
  std::vector<std::string> tables;
  bool messages = true;
  std::vector<std::string> message_prefixes;  // none: all
  std::string origin = "any";                 // or none
  std::vector<std::string> omit;              // fields of the envelope
  uint64_t batch_bytes = 65536;
  uint64_t max_value_bytes = 0;        // 0: only values that do not fit a message are elided
  uint64_t max_depth = kDefaultDepth;  // nesting levels of a document; 0: any number
  std::string numbers = "json";        // or string, or safe
  std::string dialect = kDefaultDialect;
  TextMap dialect_options;                 // by the names of the plugin's options.
  bool user_casts = false;                 // the server calls casts to json in SQL or PL/pgSQL
  TextMaps columns;                        // change by table pattern and column pattern
  TextMap set;                             // constants that rows get.
  Secret hash_key;                         // for hashed columns; empty: the server has the key.
  bool transactions = false;               // events at the begin and end of each transaction.
  bool schemas = false;                    // documents with the schemas of tables.
  std::string schema_format = "walspout";  // or avro.
  bool create_slot = true;                 // if the slot is missing.
  bool failover = false;                   // failover slot; needs PostgreSQL 17.
  std::optional<BackfillConfig> backfill;

  // Whether documents have walspout's envelope, which some sinks read.
  bool has_envelope() const { return dialect == kDefaultDialect; }
  // Whether there are documents for the begin and the end of a transaction.
  bool has_transactions() const {
    return has_envelope() || dialect == "wal2json" || dialect == "debezium";
  }
  // Whether a change of the key comes as a delete and an insert.
  bool splits_moves() const { return dialect == "debezium"; }
};

}  // namespace walspout
