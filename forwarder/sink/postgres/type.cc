#include <algorithm>

#include "sink/common/keys.h"
#include "sink/postgres/copies.h"
#include "sink/postgres/keys.h"
#include "sink/postgres/postgres.h"
#include "sink/types.h"

namespace walspout {
namespace {

std::optional<KeyProblem> problem(const PostgresConfig& config, const Section::Has& has) {
  const auto any = [&](PostgresMode mode) {
    return config.rows.mode == mode ||
           std::any_of(config.tables.begin(), config.tables.end(),
                       [&](const auto& item) { return item.rows.mode == mode; });
  };
  if (has("deleted_at") && !any(PostgresMode::kAppend)) {
    return KeyProblem{"deleted_at", "\"deleted_at\" is for mode: append"};
  }
  if (has("history") && !any(PostgresMode::kHistory)) {
    return KeyProblem{"history", "\"history\" is for mode: history"};
  }
  for (auto item = config.tables.begin(); item != config.tables.end(); ++item) {
    const bool again = std::any_of(config.tables.begin(), item,
                                   [&](const auto& one) { return one.table == item->table; });
    if (again) {
      return KeyProblem{"tables", "pattern \"" + item->table +
                                      "\" is there twice, and the first one decides: take one of "
                                      "them out"};
    }
  }
  return rows_problem(config.rows);
}

KeyTable<PostgresConfig> table() {
  KeyTable<PostgresConfig> table;
  table
      .key("dsn", &PostgresConfig::dsn,
           "Any connection string of libpq; several hosts with `target_session_attrs=read-write`; "
           "TLS "
           "by `sslmode=verify-full sslrootcert=/etc/ssl/ca.pem`")
      .required();
  add_route(table, "target", &PostgresConfig::target,
            "Template of the table, SCHEMA.TABLE; a dot in a name of the template is `%2E`", false);
  add_rows_keys(table, &PostgresConfig::rows);
  table.key("create_tables", &PostgresConfig::create_tables, "Make tables that the target lacks")
      .key("add_columns", &PostgresConfig::add_columns, "Add columns that a target's table lacks")
      .choice<bool>(
          "session_replication_role", &PostgresConfig::fire_triggers,
          {{"replica", false}, {"origin", true}},
          "`replica`: triggers and foreign keys of the target do not fire; `origin`: they "
          "do")
      .key("max_transaction", &PostgresConfig::max_transaction,
           "Events in a transaction of the target at most")
      .between(1, 1'000'000)
      .key("connect_timeout", &PostgresConfig::connect_timeout, "Time limit of connecting")
      // After all others, because an item inherits the sink's settings.
      .list(
          "tables",
          [](PostgresConfig& config) -> TablesConfig& {
            return config.tables.emplace_back(TablesConfig{{}, {}, config.rows});
          },
          postgres_tables_table(),
          "Other settings for some tables; the first pattern that matches a table decides")
      .rule([](PostgresConfig& config, const Section::Has& has) { return problem(config, has); });
  return table;
}

}  // namespace

SinkType postgres_type() {
  SinkType type = sink_type<PostgresConfig>(
      "postgres", "Writes rows to tables of another Postgres", table(),
      [](const PostgresConfig& config) { return PostgresSink::create(config); });
  type.route = [](std::any& options) { return &std::any_cast<PostgresConfig&>(options).target; };
  type.copies = [](const std::any& options) {
    return postgres_copies(std::any_cast<const PostgresConfig&>(options));
  };
  // Each sink of a slot has its own position.
  type.rule = [](SinkConfig& sink, const Section::Has&) -> std::optional<KeyProblem> {
    std::any_cast<PostgresConfig&>(sink.options).sink = sink.name;
    return std::nullopt;
  };
  type.reads_documents = [](const std::any&, bool) { return "type \"postgres\""; };
  type.capabilities = {.order = Order::kAll,
                       .deduplication = Deduplication::kSink,
                       .atomic_batch = true,
                       .stores_position = true,
                       .becomes = "a row that is inserted, updated or deleted",
                       .delivered = "the transaction is committed, with the position",
                       .repeated = "passed over: the position covers it",
                       .largest = "1 GB, as a value of Postgres"};
  return type;
}

}  // namespace walspout
