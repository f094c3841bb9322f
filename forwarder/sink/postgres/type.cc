#include "sink/common/keys.h"
#include "sink/postgres/postgres.h"
#include "sink/types.h"

namespace walspout {
namespace {

KeyTable<PostgresConfig> table() {
  KeyTable<PostgresConfig> table;
  table
      .key("dsn", &PostgresConfig::dsn,
           "Whatever libpq understands; several hosts with `target_session_attrs=read-write`; TLS "
           "by `sslmode=verify-full sslrootcert=/etc/ssl/ca.pem`")
      .required();
  add_route(table, "target", &PostgresConfig::target,
            "Template of the table, SCHEMA.TABLE; a dot in a name of the template is `%2E`");
  table
      .choice<bool>("mode", &PostgresConfig::append, {{"clone", false}, {"append", true}},
                    "`clone`: a copy; `append`: deletes and truncates are not applied, and tables "
                    "without a key are taken, too")
      .choice<Missing>(
          "missing", &PostgresConfig::missing,
          {{"insert", Missing::kInsert}, {"ignore", Missing::kIgnore}, {"error", Missing::kError}},
          "What follows for an update or a delete of a row that the target lacks: "
          "`insert` inserts an updated row, `error` rejects the event")
      .choice<Truncates>("truncate", &PostgresConfig::truncate,
                         {{"apply", Truncates::kApply},
                          {"ignore", Truncates::kIgnore},
                          {"error", Truncates::kError}},
                         "What follows for a TRUNCATE")
      .choice<bool>("elided", &PostgresConfig::keep_elided, {{"error", false}, {"keep", true}},
                    "What follows for columns that the source left out: `error` rejects the event, "
                    "`keep` leaves what the target has")
      .key("create_tables", &PostgresConfig::create_tables, "Make tables that the target lacks")
      .key("add_columns", &PostgresConfig::add_columns, "Add columns that a target's table lacks")
      .choice<bool>(
          "session_replication_role", &PostgresConfig::fire_triggers,
          {{"replica", false}, {"origin", true}},
          "`replica`: triggers and foreign keys of the target do not fire; `origin`: they "
          "do")
      .key("max_transaction", &PostgresConfig::max_transaction,
           "Events in a transaction of the target at most")
      .between(1, 1'000'000)
      .key("connect_timeout", &PostgresConfig::connect_timeout, "Time limit of connecting");
  return table;
}

}  // namespace

SinkType postgres_type() {
  SinkType type = sink_type<PostgresConfig>(
      "postgres", "Writes rows to tables of another Postgres", table(),
      [](const PostgresConfig& config) { return PostgresSink::create(config); });
  type.route = [](std::any& options) { return &std::any_cast<PostgresConfig&>(options).target; };
  // Two sinks of a slot have positions of their own.
  type.rule = [](SinkConfig& sink, const Section::Has&) -> std::optional<KeyProblem> {
    std::any_cast<PostgresConfig&>(sink.options).sink = sink.name;
    return std::nullopt;
  };
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
