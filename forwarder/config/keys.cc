#include "config/keys.h"

#include <algorithm>

#include "config/config.h"
#include "source/columns.h"
#include "source/kafka/keys.h"

namespace walspout {
namespace {

constexpr uint64_t kMaxMemory = uint64_t{1} << 40;
constexpr size_t kMaxName = 63;
constexpr const char* kNameRule = "\"name\" must be up to 63 letters, digits and any of _ - .";

bool is_slot_name(const std::string& text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::string wrong_publication(const std::string& name) {
  if (name.empty()) return "has an empty name. For every table leave \"publications\" out";
  if (name.size() <= kMaxName) return "";
  return "has a name of more than 63 bytes, and there is no such publication";
}

KeyTable<BackfillConfig> backfill_table() {
  KeyTable<BackfillConfig> table;
  table
      .key("tables", &BackfillConfig::tables,
           "`all`, or patterns of tables, such as `public.*`; `!` in front excludes")
      .each(TablePattern::problem)
      .set_default("all")
      .key("where", &BackfillConfig::where,
           "Only rows for which a condition in SQL is true: `{SCHEMA.TABLE: CONDITION}`")
      .set_default("all rows")
      .key("rate", &BackfillConfig::rate, "Rows a second of each table at most")
      .between(1, INT32_MAX)
      .set_default("no limit")
      .key("workers", &BackfillConfig::workers, "Large tables to read in parallel")
      .between(1, 64)
      .key("new_tables", &BackfillConfig::new_tables,
           "Also send the rows of tables that join the publications later");
  return table;
}

std::optional<KeyProblem> own_publication_rule(SourceConfig& source, const Section::Has& has) {
  if (!has("tables")) return std::nullopt;
  if (has("publications")) {
    return KeyProblem{"tables", "\"tables\" cannot go with \"publications\": take one of them out"};
  }
  if (source.tables.empty()) {
    return KeyProblem{"tables",
                      "\"tables\" is an empty list, so nothing would be sent: leave the key out, "
                      "or name tables"};
  }
  const std::string publication = own_publication(source.slot);
  if (has("slot") && publication.size() > kMaxName) {
    return KeyProblem{"slot", "with \"tables\" the publication is called \"" + publication +
                                  "\", which is longer than 63 bytes: shorten \"slot\""};
  }
  source.publications = {publication};
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> dialect_words() {
  std::vector<std::pair<std::string, std::string>> words;
  for (const char* name : {"walspout", "wal2json", "debezium", "row", "psql-streamer", "pg2sink",
                           "cloudevents", "sequin"})
    words.emplace_back(name, name);
  return words;
}

// Rejects keys that need the envelope if the dialect has documents of another form.
std::optional<KeyProblem> dialect_rule(SourceConfig& source, const Section::Has& has) {
  if (source.has_envelope()) {
    if (!has("dialect_options")) return std::nullopt;
    return KeyProblem{"dialect_options",
                      "\"dialect_options\" are for other dialects than \"walspout\": leave "
                      "them out, or set \"dialect\""};
  }
  if (has("backfill")) {
    return KeyProblem{"backfill",
                      "\"backfill\" merges rows with changes, and needs documents of dialect "
                      "\"walspout\" for that: leave \"backfill\" or \"dialect\" out"};
  }
  if (has("omit")) {
    return KeyProblem{"omit", "\"omit\" is about the envelope, which dialect \"" + source.dialect +
                                  "\" does not have: leave one of them out"};
  }
  for (const char* key : {"schemas", "schema_format"}) {
    if (!has(key)) continue;
    return KeyProblem{key, "\"" + std::string(key) +
                               "\" does not go with \"dialect\": schemas are " +
                               "documents of dialect \"walspout\", and the source has dialect \"" +
                               source.dialect + "\". Leave one of the two keys out"};
  }
  if (source.transactions && !source.has_transactions()) {
    return KeyProblem{"transactions",
                      "\"transactions\" does not go with this \"dialect\": \"" + source.dialect +
                          "\" has no documents at the ends of a transaction. Leave one of the two "
                          "keys out"};
  }
  return std::nullopt;
}

std::optional<KeyProblem> columns_rule(SourceConfig& source, const Section::Has& has) {
  const std::string in_columns = has("columns") ? column_rules_problem(source.columns) : "";
  if (!in_columns.empty()) return KeyProblem{"columns", in_columns};
  const std::string in_set = has("set") ? constants_problem(source.set) : "";
  if (!in_set.empty()) return KeyProblem{"set", in_set};
  if (has("hash_key") && source.hash_key.empty()) {
    return KeyProblem{"hash_key", "\"hash_key\" is empty"};
  }
  return std::nullopt;
}

KeyTable<SourceConfig> source_table() {
  KeyTable<SourceConfig> table;
  table
      .key("dsn", &SourceConfig::dsn,
           "Whatever libpq understands; TLS by `sslmode=verify-full sslrootcert=/etc/ssl/ca.pem`")
      .required()
      .key("slot", &SourceConfig::slot, "Replication slot; one for each pipeline")
      .required()
      .key("publications", &SourceConfig::publications, "Publications whose changes are sent")
      .each(wrong_publication)
      .set_default("every table")
      .key("tables", &SourceConfig::tables,
           "Patterns of tables, such as `public.*`, in place of `publications`: walspout creates a "
           "publication, and keeps it up to date")
      .each(TablePattern::problem)
      .set_default("as `publications` says")
      .key("messages", &SourceConfig::messages, "Send logical messages")
      .key("message_prefixes", &SourceConfig::message_prefixes,
           "Only messages with one of these prefixes. Write them exactly as they are, without the "
           "plugin's quotes")
      .set_default("all")
      .choice<std::string>("origin", &SourceConfig::origin, {{"any", "any"}, {"none", "none"}},
                           "`none`: leave out changes that were replicated from elsewhere")
      .key("omit", &SourceConfig::omit, "Fields of the envelope to leave out")
      .words({"id", "op", "schema", "table", "ts", "xid", "origin"})
      .set_default("none")
      .key("batch_bytes", &SourceConfig::batch_bytes,
           "Size at which the server sends a message within a transaction")
      .bytes(1, 16u << 20)
      .key("max_value_bytes", &SourceConfig::max_value_bytes,
           "Longer values are left out and named in `elided`; `0B`: none are")
      .bytes(0, 1u << 30)
      .key("max_depth", &SourceConfig::max_depth,
           "Levels that a document may nest; deeper values become strings. `0`: any number")
      .between(0, INT32_MAX)
      .choice<std::string>(
          "numbers", &SourceConfig::numbers,
          {{"json", "json"}, {"string", "string"}, {"safe", "safe"}},
          "Numbers as JSON numbers, as strings, or as strings where a double could "
          "lose digits")
      .choice<std::string>("dialect", &SourceConfig::dialect, dialect_words(),
                           "Form of the documents: walspout's own, or that of another program")
      .key("dialect_options", &SourceConfig::dialect_options,
           "Options of the other program, by their names there: `{include-lsn: true}`")
      .set_default("none")
      .key("user_casts", &SourceConfig::user_casts,
           "Call casts to json that are written in SQL or PL/pgSQL; users' code then runs in the "
           "server")
      .key(
          "columns", &SourceConfig::columns,
          "Changes to columns, by patterns of tables and of columns: `{public.users: {mail: "
          "hash, ssn: omit}}`. Changes are `omit`, `hash`, `mask TEXT`, `keep N` and `truncate N`; "
          "then, or alone, `as NAME`. The last pattern that matches decides")
      .set_default("all columns as they are")
      .key("set", &SourceConfig::set, "Constants that `before` and `after` get: `{NAME: TEXT}`")
      .set_default("none")
      .key("hash_key", &SourceConfig::hash_key, "Key of the hashes, HMAC-SHA256")
      .set_default("as `walspout.hash_key_file` on the server says")
      .key("transactions", &SourceConfig::transactions,
           "Send an event at the begin and at the end of each transaction, `op` `begin` and "
           "`commit`; the latter has the number of changes of each table")
      .key("schemas", &SourceConfig::schemas,
           "Send the schema of a table, `op` `s`, before its first event in a connection and after "
           "its columns have changed")
      .choice<std::string>("schema_format", &SourceConfig::schema_format,
                           {{"walspout", "walspout"}, {"avro", "avro"}},
                           "Form of schemas: data of the catalogs, or a record of Apache Avro")
      .key("create_slot", &SourceConfig::create_slot, "Create the slot if it is missing")
      .key("failover", &SourceConfig::failover,
           "Standbys keep the slot, too (PostgreSQL 17 and later)")
      .section("backfill", &SourceConfig::backfill, backfill_table(),
               "Send the existing rows of tables, once, when the slot is created")
      .set_alternative_for_all("kafka")
      .section("kafka", &SourceConfig::kafka, kafka_source_table(),
               "Topics that walspout fills, in place of a slot")
      .rule(own_publication_rule)
      .rule([](SourceConfig& source, const Section::Has&) -> std::optional<KeyProblem> {
        if (!source.backfill || !source.backfill->new_tables) return std::nullopt;
        if (!source.publications.empty()) return std::nullopt;
        return KeyProblem{"backfill",
                          "\"new_tables\" needs \"publications\" or \"tables\": without them "
                          "every table is sent from its creation on"};
      })
      .rule(columns_rule)
      .rule([](SourceConfig& source, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("schema_format") || source.schemas) return std::nullopt;
        return KeyProblem{"schema_format",
                          "\"schema_format\" has no effect without \"schemas: true\": add that, or "
                          "leave the key out"};
      })
      .rule(dialect_rule)
      .rule([](SourceConfig& source, const Section::Has&) -> std::optional<KeyProblem> {
        if (source.max_depth != 1) return std::nullopt;
        return KeyProblem{"max_depth", "\"max_depth\" must be at least 2, or 0 for no limit"};
      })
      .rule([](SourceConfig& source, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("slot") || is_slot_name(source.slot)) return std::nullopt;
        return KeyProblem{
            "slot", "\"slot\" must be up to 63 lower case letters, digits and underscores", true};
      });
  return table;
}

KeyTable<BackoffConfig> retry_table() {
  KeyTable<BackoffConfig> table;
  table.key("initial", &BackoffConfig::initial, "The first pause")
      .key("max", &BackoffConfig::max, "The longest pause")
      .rule([](BackoffConfig& retry, const Section::Has&) -> std::optional<KeyProblem> {
        if (retry.max >= retry.initial) return std::nullopt;
        return KeyProblem{"", "\"max\" must not be less than \"initial\""};
      });
  return table;
}

KeyTable<DeadLetterConfig> dead_letter_table() {
  KeyTable<DeadLetterConfig> table;
  table.key("path", &DeadLetterConfig::path, "The file")
      .required()
      .key("after", &DeadLetterConfig::after,
           "Failed attempts of an event, while the receiver accepts others")
      .between(1, INT64_MAX)
      .set_default("only rejected events");
  return table;
}

constexpr size_t kShortestToken = 16;

KeyTable<StatusConfig> status_table() {
  KeyTable<StatusConfig> table;
  table.key("listen", &StatusConfig::listen, "`ADDRESS:PORT` of the status server")
      .rule([](StatusConfig& status, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("listen") || status.parse()) return std::nullopt;
        return KeyProblem{"listen", "\"listen\" must be ADDRESS:PORT, such as 127.0.0.1:8470"};
      })
      .choice<std::optional<TapLevel>>(
          "tap", &StatusConfig::tap,
          {{"off", TapLevel::kOff}, {"keys", TapLevel::kKeys}, {"rows", TapLevel::kRows}},
          "What the page shows of the last events: nothing, their keys, or whole documents")
      .set_default("keys where `listen` is a loopback address, else off")
      .key("control", &StatusConfig::control,
           "Token that lets people pause, resume and retry sinks, on the page and by POST")
      .set_default("none: nothing can be changed")
      .rule([](StatusConfig& status, const Section::Has& has) -> std::optional<KeyProblem> {
        if (!has("control") || status.control.reveal().size() >= kShortestToken) {
          return std::nullopt;
        }
        return KeyProblem{"control",
                          "\"control\" must have at least 16 characters, such as what "
                          "`openssl rand -hex 16` prints"};
      });
  return table;
}

KeyTable<LogConfig> log_table() {
  KeyTable<LogConfig> table;
  table
      .choice<LogLevel>("level", &LogConfig::level,
                        {{"debug", LogLevel::kDebug},
                         {"info", LogLevel::kInfo},
                         {"warn", LogLevel::kWarn},
                         {"error", LogLevel::kError}},
                        "The least level that is logged. SIGUSR1 switches debug on and off")
      .choice<bool>("format", &LogConfig::json, {{"text", false}, {"json", true}},
                    "Lines for people, or JSON objects");
  return table;
}

KeyTable<OnlyConfig> only_table() {
  const auto empty = [](const char* key) -> std::optional<KeyProblem> {
    const std::string name(key);
    return KeyProblem{name, "\"" + name +
                                "\" is an empty list, so the sink would get nothing: "
                                "leave the key out, or name what the sink gets"};
  };
  TextList ops;
  for (const char op : kOps) ops.emplace_back(1, op);
  KeyTable<OnlyConfig> table;
  table
      .key("tables", &OnlyConfig::tables,
           "Patterns of tables, such as `public.*`; `!` in front excludes. The last match decides. "
           "Without `!` in the first pattern, tables without a match are left out")
      .each(TablePattern::problem)
      .set_default("all")
      .key("ops", &OnlyConfig::ops,
           "Values of `op` in the envelope; `s` are schemas of tables, `b` and `e` the begin and "
           "the end of transactions. Logical messages, `m`, have "
           "no "
           "table: only this key leaves them out")
      .words(ops)
      .set_default("all")
      .rule([empty](OnlyConfig& only, const Section::Has& has) -> std::optional<KeyProblem> {
        return has("tables") && only.tables.empty() ? empty("tables") : std::nullopt;
      })
      .rule([empty](OnlyConfig& only, const Section::Has& has) -> std::optional<KeyProblem> {
        return has("ops") && only.ops.empty() ? empty("ops") : std::nullopt;
      });
  return table;
}

std::shared_ptr<const Section> shared(const Section& section) {
  return std::make_shared<Section>(section);
}

}  // namespace

bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= kMaxName &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.';
         });
}

const Section& sink_keys() {
  static const KeyTable<SinkConfig> kTable = [] {
    KeyTable<SinkConfig> table;
    table.key("name", &SinkConfig::name, "Name in logs and metrics")
        .set_default("the type")
        .key("deliver_timeout", &SinkConfig::deliver_timeout,
             "Time limit of a batch; the batch is then tried again")
        .section("only", &SinkConfig::only, only_table(),
                 "Which events the sink gets. All others count as dropped")
        .rule([](SinkConfig& sink, const Section::Has& has) -> std::optional<KeyProblem> {
          if (!has("name") || is_name(sink.name)) return std::nullopt;
          return KeyProblem{"name", kNameRule, true};
        });
    return table;
  }();
  return kTable.section();
}

const Section& pipeline_keys() {
  static const KeyTable<PipelineConfig> kTable = [] {
    KeyTable<PipelineConfig> table;
    table.key("name", &PipelineConfig::name, "Name in logs and metrics")
        .required()
        .section("source", &PipelineConfig::source, source_table(), "Where events come from")
        .required()
        .sections("sinks", shared(sink_keys()), "Where events go; each sink gets every event")
        .required()
        .key("memory", &PipelineConfig::memory,
             "Size of events that were read and are not delivered everywhere. At this size, "
             "reading waits")
        .bytes(1u << 20, kMaxMemory)
        .section("retry", &PipelineConfig::retry, retry_table(),
                 "Pauses between attempts, of the sinks and of the connection to Postgres")
        .section("dead_letter", &PipelineConfig::dead_letter, dead_letter_table(),
                 "File for rejected events")
        .rule([](PipelineConfig& pipeline, const Section::Has& has) -> std::optional<KeyProblem> {
          if (!has("name") || is_name(pipeline.name)) return std::nullopt;
          return KeyProblem{"name", kNameRule, true};
        });
    return table;
  }();
  return kTable.section();
}

const Section& root_keys() {
  static const KeyTable<Config> kTable = [] {
    KeyTable<Config> table;
    table.sections("pipelines", shared(pipeline_keys()), "What is read, and where it goes")
        .required()
        .section("status", &Config::status, status_table(), "The status server")
        .section("log", &Config::log, log_table(), "What is logged, and how")
        .key("state", &Config::state, "Directory for the record of each slot's confirmed LSN")
        .set_default("`$STATE_DIRECTORY`, else none")
        .key("drain", &Config::drain,
             "How long SIGTERM waits for the sinks; a second signal ends at once");
    return table;
  }();
  return kTable.section();
}

}  // namespace walspout
