// `walspout check`: the doctor. Looks at the configuration, the server, the tables, the slot and
// the sinks, and says how to fix everything that is wrong. Changes nothing.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <map>
#include <set>

#include "command/columns.h"
#include "command/commands.h"
#include "command/findings.h"
#include "command/identity.h"
#include "command/left_out.h"
#include "command/own_publication.h"
#include "command/published.h"
#include "command/user_casts.h"
#include "command/warnings.h"
#include "pipeline/dead_letter_file.h"
#include "postgres/connection.h"
#include "sink/sinks.h"
#include "source/claim.h"
#include "source/kafka/probe.h"
#include "source/lost.h"
#include "source/slot.h"
#include "source/source.h"
#include "source/state_file.h"
#include "status/http_server.h"
#include "status/probe.h"

namespace walspout {

namespace {

constexpr Duration kPatience = std::chrono::seconds(10);
constexpr size_t kTablesShown = 20;

// The first minor release of each major version without known defects of logical decoding: those of
// 2025-08-14. Before, a decoding session may wait for ever after a crash, for the rest of a
// half-written record. Some releases lose changes of a table that is added to a publication while
// transactions run. The first fix of that makes the session run out of memory.
const std::map<int, int> kGoodMinors = {{13, 22}, {14, 19}, {15, 14}, {16, 10}, {17, 6}};

class Doctor : private Findings {
 public:
  using Slots = std::map<std::string, std::string>;  // slot_key(), and its pipeline

  // `slots`: of all pipelines that were checked before.
  Doctor(const PipelineConfig& config, const CheckOptions& options, Slots& slots)
      : Findings("pipeline " + config.name, options), config_(config), slots_(slots) {}

  // The exit code that `run` would have.
  ExitCode examine();

 private:
  void look(void (Doctor::*at)());
  std::vector<Row> rows(const std::string& sql);
  void unanswered(const ServerError& error);
  std::string value(const std::string& sql);
  std::string setting(const std::string& name);
  void postgres();
  void kafka();
  void version();
  void server();
  void wal_level();
  void privileges();
  void publications();
  void backfill();
  void tables();
  void left_out();
  void user_casts();
  void columns();
  void patterns();
  void replication();
  void one_reader();
  void slot();
  void failover(const std::string& now);
  bool record(const Row* slot);
  void plugin();
  void files();
  void sinks();
  void warnings();

  const PipelineConfig& config_;
  Slots& slots_;
  Wake wake_;
  std::optional<Connection> connection_;
  std::optional<ServerState> identified_;  // on a replication connection
  Lsn wal_position_;
  std::string identity_;  // of the source, for sinks
  bool may_replicate_ = false;
  bool has_publication_ = true;  // the publication that walspout maintains
  bool lost_ = false;            // the connection was lost
};

int64_t number(const std::string& text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// A step whose query fails concludes nothing from the missing rows: its further findings are
// dropped. Once the connection is lost there are no more steps.
void Doctor::look(void (Doctor::*at)()) {
  if (lost_) return;
  (this->*at)();
  mute(false);
}

std::vector<Row> Doctor::rows(const std::string& sql) {
  if (lost_) return {};
  auto result = connection_->query(sql, Clock::now() + kPatience);
  if (result) return std::move(*result);
  unanswered(result.error());
  return {};
}

void Doctor::unanswered(const ServerError& error) {
  lost_ = !connection_->is_usable();
  if (lost_) {
    bad("the check of the server ended early: " + error.error.message(),
        "call check again when the server answers");
  } else {
    bad("a query failed: " + error.error.message(), "");
  }
  mute(true);
}

std::string Doctor::value(const std::string& sql) {
  std::vector<Row> result = rows(sql);
  return result.empty() ? "" : text(result.front(), 0);
}

std::string Doctor::setting(const std::string& name) {
  return value("SELECT setting FROM pg_catalog.pg_settings WHERE name = '" + name + "'");
}

ExitCode Doctor::examine() {
  warnings();
  config_.source.kafka ? kafka() : postgres();
  files();
  sinks();
  return code();
}

// The source is a slot.
void Doctor::postgres() {
  auto connection = Connection::open(rendering_dsn(config_.source), Connection::Mode::kOrdinary,
                                     Clock::now() + kPatience, wake_, [] { return false; });
  if (connection) {
    connection_.emplace(std::move(*connection));
    for (const auto step :
         {&Doctor::version, &Doctor::server, &Doctor::privileges, &Doctor::publications,
          &Doctor::tables, &Doctor::left_out, &Doctor::user_casts, &Doctor::columns,
          &Doctor::patterns, &Doctor::backfill, &Doctor::replication, &Doctor::one_reader,
          &Doctor::slot, &Doctor::plugin}) {
      look(step);
    }
  } else if (connection.error().blamed == Scope::kConfiguration) {
    wrong(connection.error().message(), "");
  } else {
    bad(connection.error().message(), "check `dsn`, and that the server runs and lets you in");
  }
}

// The source is topics of Kafka.
void Doctor::kafka() {
  for (const KafkaFinding& finding : kafka_probe(*config_.source.kafka, kPatience)) {
    switch (finding.level) {
      case KafkaFinding::Level::kGood:
        good(finding.what);
        break;
      case KafkaFinding::Level::kDoubtful:
        warn(finding.what, finding.remedy);
        break;
      case KafkaFinding::Level::kBad:
        bad(finding.what, finding.remedy);
        break;
    }
  }
}

void Doctor::version() {
  good("server " + connection_->endpoint() + ", version " + setting("server_version"));
}

void Doctor::server() {
  int version = connection_->server_version();
  auto minor = kGoodMinors.find(version / 10000);
  if (minor != kGoodMinors.end() && version % 10000 < minor->second) {
    warn(
        "this minor release has known defects of logical decoding: it may lose changes of tables "
        "that are added to a publication, run out of memory, or hang after a crash",
        "update to " + std::to_string(minor->first) + "." + std::to_string(minor->second) +
            " or later");
  }
  wal_level();
  std::string plugins = setting("output_plugin_libraries");
  if (!plugins.empty() && plugins.find("walspout") == std::string::npos) {
    bad("output_plugin_libraries does not list walspout",
        "ALTER SYSTEM SET output_plugin_libraries = " + plugins +
            ", walspout; SELECT pg_catalog.pg_reload_conf()");
  }
  if (setting("max_slot_wal_keep_size") == "-1") {
    warn("max_slot_wal_keep_size is not set: while a sink is down, WAL fills the disk",
         "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_catalog.pg_reload_conf()");
  }
  if (value("SELECT count(*) FROM pg_catalog.pg_available_extensions WHERE name = 'walspout'") ==
      "0") {
    warn("the extension's files are not where this server looks; its plugin may be missing, too",
         "run `make install` with this server's PG_CONFIG");
  }
}

// From PostgreSQL 19 on, the first logical slot switches a server with `replica` to logical. Then
// effective_wal_level shows the level in force: on a standby, that of its primary.
void Doctor::wal_level() {
  const std::string configured = setting("wal_level");
  const std::string effective = setting("effective_wal_level");
  const bool standby = value("SELECT pg_catalog.pg_is_in_recovery()") == "t";
  const std::string in_force = standby && !effective.empty() ? effective : configured;
  if (in_force == "logical" || effective == "logical") {
    good(configured == "logical" ? "wal_level is logical" : "effective_wal_level is logical");
  } else if (!effective.empty() && !standby && configured == "replica") {
    good("wal_level is replica; the first logical slot makes it logical");
  } else if (standby && !effective.empty()) {
    bad("effective_wal_level is " + effective + ", as it is on the primary",
        "on the primary: ALTER SYSTEM SET wal_level = logical; then restart it");
  } else {
    bad("wal_level is " + configured,
        "ALTER SYSTEM SET wal_level = logical; then restart the server");
  }
}

void Doctor::privileges() {
  std::vector<Row> found = rows(
      "SELECT rolname, rolreplication OR rolsuper, rolsuper FROM pg_catalog.pg_roles "
      "WHERE rolname = session_user");
  const Row answer = found.empty() ? Row{} : found.front();
  const std::string role = text(answer, 0);
  may_replicate_ = text(answer, 1) == "t";
  if (!may_replicate_) {
    bad("role \"" + role + "\" may not replicate",
        "ALTER ROLE " + Connection::quote_name(role) + " REPLICATION");
  } else {
    good("role \"" + role + "\" may replicate");
  }
  if (text(answer, 2) == "t") {
    warn("role \"" + role + "\" is a superuser, and a reader of changes needs far less",
         "CREATE ROLE walspout LOGIN REPLICATION; and let `dsn` name that role");
  }
}

void Doctor::publications() {
  if (!config_.source.tables.empty()) {
    has_publication_ = judge_own_publication(
        config_.source, connection_->server_version(),
        [this](const std::string& statement) { return rows(statement); }, *this);
    return;
  }
  for (const std::string& name : config_.source.publications) {
    if (value("SELECT count(*) FROM pg_catalog.pg_publication WHERE pubname = " +
              Connection::quote_literal(name)) == "1") {
      good("publication \"" + name + "\" exists");
    } else {
      bad("publication \"" + name + "\" does not exist",
          "CREATE PUBLICATION " + Connection::quote_name(name) + " FOR TABLE ...");
    }
  }
}

void Doctor::backfill() {
  judge_backfill_rights(
      config_.source, connection_->server_version(),
      [this](const std::string& statement) { return rows(statement); }, *this);
}

void Doctor::tables() {
  std::vector<Row> found = rows(identity_query(config_.source));
  const size_t shown = std::min(found.size(), kTablesShown);
  for (size_t i = 0; i < shown; i++) {
    judge_identity(found[i], !config_.source.publications.empty(), *this);
  }
  // Errors come first: if an error is omitted, a shown one has already set the exit code.
  if (shown < found.size()) {
    warn(std::to_string(found.size() - shown) + " more tables have the same problem", "");
  }
}

// What publications leave out although the server needs it to log updates and deletes.
void Doctor::left_out() {
  const std::string query = left_out_query(config_.source, connection_->server_version());
  if (query.empty()) return;
  const std::vector<Row> found = rows(query);
  const size_t shown = std::min(found.size(), kTablesShown);
  for (size_t i = 0; i < shown; i++) judge_left_out(found[i], *this);
  if (shown < found.size()) {
    warn(std::to_string(found.size() - shown) + " more tables have the same problem", "");
  }
}

// Columns whose values are rendered by users' code, or would be.
void Doctor::user_casts() {
  const std::string query = user_casts_query(config_.source, connection_->server_version());
  for (const Row& row : rows(query)) {
    const std::string column = "column " + text(row, 0);
    const std::string type = text(row, 1) == "" ? "its type" : "type " + text(row, 1);
    const std::string function = text(row, 2) + " in " + text(row, 3);
    const bool can_be_called = is_called(text(row, 3), text(row, 4) == "t");
    if (config_.source.user_casts && can_be_called) {
      warn(column + ": the cast of " + type + " to json is users' code, " + function +
               ", and runs inside the server",
           "leave `user_casts` out where its authors are not trusted: its values are then "
           "printed as text");
    } else {
      warn(column + ": values of " + type + " are printed as text, and not by its cast to json, " +
               function,
           can_be_called
               ? "set `user_casts: true` in the source, to run that code inside the server"
               : "only functions in SQL or PL/pgSQL that PUBLIC may execute are called, "
                 "and these only with `user_casts: true`");
    }
  }
}

// Rules that match nothing, rules that a key does not allow, and names that two columns would have.
void Doctor::columns() {
  if (config_.source.columns.empty() && config_.source.set.empty()) return;
  judge_columns(config_.source, rows(columns_query(config_.source, connection_->server_version())),
                *this);
}

void Doctor::patterns() {
  const auto has_patterns = [](const SinkConfig& sink) {
    return sink.only && !sink.only->tables.empty();
  };
  if (std::none_of(config_.sinks.begin(), config_.sinks.end(), has_patterns)) return;
  const std::vector<Row> tables =
      rows(has_publication_ ? published_query(config_.source) : matched_query(config_.source));
  for (const SinkConfig& sink : config_.sinks) judge_patterns(sink, tables, *this);
}

// Whether the server accepts the replication connection that `run` needs. A pipeline that streams
// already has one.
void Doctor::replication() {
  if (!may_replicate_) return;
  const bool streamed =
      value("SELECT active_pid FROM pg_catalog.pg_replication_slots WHERE slot_name = " +
            Connection::quote_literal(config_.source.slot)) != "";
  auto stream = connection_->beside(config_.source.dsn, Connection::Mode::kReplication,
                                    Clock::now() + kPatience, [] { return false; });
  ServerState state;
  Result<void> identified;
  if (stream) {
    identified = Slot::identify(*stream, state, Clock::now() + kPatience);
  } else {
    identified = Failure(std::move(stream.error()));
  }
  if (!identified) {
    // It may have failed because the whole server did.
    rows("SELECT 1");
    const std::string why = identified.error().message();
    const bool too_many = why.find("max_wal_senders") != std::string::npos;
    if (streamed) {
      warn("the slot is streamed, and another replication connection failed: " + why,
           too_many ? "allow two of max_wal_senders for each pipeline" : "");
    } else if (identified.error().blamed == Scope::kConfiguration) {
      wrong("a replication connection failed: " + why, "");
    } else {
      bad("a replication connection failed: " + why, "");
    }
    return;
  }
  identified_ = state;
  good("the server lets in a replication connection");
  const int64_t most = number(setting("max_wal_senders"));
  if (!streamed && number(value("SELECT count(*) FROM pg_catalog.pg_stat_replication")) >= most) {
    warn("this was the last of max_wal_senders: while nothing is read, `run` needs a second one",
         "ALTER SYSTEM SET max_wal_senders = " + std::to_string(most + 2) +
             "; then restart the server");
  }
}

// Whether another pipeline reads the same slot through another name of the server.
void Doctor::one_reader() {
  if (!identified_) return;
  const std::string started = value("SELECT pg_catalog.pg_postmaster_start_time()");
  if (started.empty()) return;
  const auto [holder, is_first] =
      slots_.emplace(slot_key(identified_->system, started, config_.source.slot), config_.name);
  if (!is_first) wrong(slot_is_claimed(config_.source.slot, holder->second), kOnePipeline);
}

void Doctor::slot() {
  const std::string& name = config_.source.slot;
  wal_position_ = parse_lsn(value("SELECT CASE WHEN pg_catalog.pg_is_in_recovery() "
                                  "THEN pg_catalog.pg_last_wal_replay_lsn() "
                                  "ELSE pg_catalog.pg_current_wal_lsn() END"))
                      .value_or(Lsn{});
  // The role may lack the right to call the function; a replication connection gives the same
  // answer.
  const std::string system =
      identified_ ? identified_->system
                  : value("SELECT system_identifier FROM pg_catalog.pg_control_system()");
  identity_ = source_identity(system, name, connection_->database());
  std::vector<Row> found = rows(
      "SELECT plugin, database = pg_catalog.current_database(), active_pid, wal_status, "
      "confirmed_flush_lsn, pg_catalog.to_jsonb(s) ->> 'invalidation_reason', "
      "pg_catalog.to_jsonb(s) ->> 'conflicting', pg_catalog.to_jsonb(s) ->> 'failover', slot_type "
      "FROM pg_catalog.pg_replication_slots s WHERE slot_name = " +
      Connection::quote_literal(name));
  if (!record(found.empty() ? nullptr : &found.front()) && found.empty()) return;
  failover(found.empty() ? "" : text(found.front(), 7));
  if (found.empty()) {
    int64_t used = number(value("SELECT count(*) FROM pg_catalog.pg_replication_slots"));
    if (used >= number(setting("max_replication_slots"))) {
      bad("all " + std::to_string(used) + " replication slots are taken",
          "drop one that is not needed, or ALTER SYSTEM SET max_replication_slots = " +
              std::to_string(used + 10) + " and restart the server");
    } else if (!config_.source.create_slot) {
      bad("slot \"" + name + "\" does not exist, and create_slot is false",
          "SELECT pg_catalog.pg_create_logical_replication_slot(" +
              Connection::quote_literal(name) + ", 'walspout')");
    } else {
      good("slot \"" + name + "\" does not exist yet; `run` creates it");
    }
    return;
  }
  const Row& slot = found.front();
  std::string drop =
      "SELECT pg_catalog.pg_drop_replication_slot(" + Connection::quote_literal(name) + ")";
  if (text(slot, 8) == "physical") {
    bad("slot \"" + name + "\" is a physical one: it keeps WAL for a standby or an archive",
        "choose another name for `slot`");
  } else if (text(slot, 0).empty()) {
    warn("slot \"" + name + "\" is being created now, by process " + text(slot, 2),
         "call check again when it is there");
  } else if (text(slot, 0) != "walspout") {
    bad("slot \"" + name + "\" is of the plugin \"" + text(slot, 0) + "\"", "choose another name");
  } else if (text(slot, 1) != "t") {
    bad("slot \"" + name + "\" is another database's", "choose another name");
  } else if (text(slot, 3) == "lost") {
    const LostSlot lost = lost_slot(text(slot, 5), text(slot, 6));
    bad("slot \"" + name + "\" is lost: the server " + lost.why + ". Changes after " +
            text(slot, 4) + " are missing",
        lost.remedy + "; backfill what is missing; " + drop + "; start again");
  } else {
    Lsn confirmed = parse_lsn(text(slot, 4)).value_or(wal_position_);
    uint64_t lag = wal_position_ > confirmed ? wal_position_.value - confirmed.value : 0;
    good("slot \"" + name + "\" is " + std::to_string(lag) + " bytes behind" +
         (slot.size() > 2 && slot[2] ? ", streamed by process " + *slot[2] : ", not in use"));
    if (text(slot, 3) == "unreserved") {
      warn("slot \"" + name + "\" will be lost at the next checkpoint",
           "let the sinks catch up, or raise max_slot_wal_keep_size");
    }
  }
}

// `now`: whether standbys keep the slot.
void Doctor::failover(const std::string& now) {
  if (!config_.source.failover || now == "true") return;
  if (setting("sync_replication_slots") == "") {
    warn(
        "failover: true has no effect: the server is older than PostgreSQL 17, and no standby "
        "keeps "
        "the slot",
        "take failover out of the source, or upgrade the server");
  } else if (value("SELECT pg_catalog.pg_is_in_recovery()") == "t") {
    warn("failover: true has no effect: a standby cannot set it",
         "let `dsn` name the primary, or create the slot there");
  } else {
    good("`run` sets failover of the slot");
  }
}

// Whether the slot matches what `run` remembers of it. While something reads the slot, it moves.
bool Doctor::record(const Row* slot) {
  if (config_.state.empty() || (slot && (*slot)[2])) return true;
  StateFile file(config_.state, config_.name);
  Result<std::optional<SlotRecord>> record = file.read(config_.source.slot);
  if (!record) {
    bad(record.error().message(), "");
    return false;
  }
  if (!*record) return true;
  // The history of timelines is left to `run`, which knows more.
  ServerState server;
  server.system = identified_
                      ? identified_->system
                      : value("SELECT system_identifier FROM pg_catalog.pg_control_system()");
  const bool upgraded = server.system != (*record)->system;
  std::string remedy = "bring the receivers in line with the database, then remove " + file.path();
  if (!slot) {
    bad("slot \"" + config_.source.slot + "\" is gone, and its changes were delivered up to " +
            to_string((*record)->reported) + (upgraded ? "; this is another server" : ""),
        remedy + (upgraded ? ". pg_upgrade carries slots over from PostgreSQL 17 on only" : ""));
    return false;
  }
  if (upgraded) {
    remedy = "if pg_upgrade made this server of the old one: walspout adopt CONFIG. Else " + remedy;
  }
  server.timeline = (*record)->timeline;
  server.wal_end = wal_position_;
  server.slot_confirmed = parse_lsn(text(*slot, 4)).value_or(Lsn{});
  const std::string why = gap(**record, (*record)->reported, server, false);
  if (!why.empty()) bad("slot \"" + config_.source.slot + "\": " + why, remedy);
  return why.empty();
}

// Whether the server finds the plugin, may load it, and whether the plugin accepts its options.
// Only a slot shows that: it is dropped in the same query, or with this connection. The server
// loads the plugin before it waits for running transactions: so a timeout is a good sign.
void Doctor::plugin() {
  if (failed()) return;
  const std::set<std::string_view> cut_short = {"57014", "55P03"};  // canceled, lock not available
  constexpr std::string_view kDataException = "22";                 // the class
  if (value("SELECT pg_catalog.pg_is_in_recovery()") == "t") return;
  if (number(value("SELECT count(*) FROM pg_catalog.pg_replication_slots")) >=
      number(setting("max_replication_slots"))) {
    return;
  }
  std::string options;
  SourceConfig source = config_.source;
  if (!has_publication_) source.publications.clear();
  for (const PluginOption& option : plugin_options(source)) {
    for (const std::string& text : {option.name, option.value}) {
      options += (options.empty() ? "" : ", ") + Connection::quote_literal(text);
    }
  }
  auto made = connection_->query(
      "SET LOCAL statement_timeout = '2s'; "
      "SELECT tried.messages, pg_catalog.pg_drop_replication_slot(s.slot_name) "
      "FROM pg_catalog.pg_create_logical_replication_slot("
      "pg_catalog.concat('walspout_check_', pg_catalog.pg_backend_pid()), 'walspout', true) s, "
      "LATERAL (SELECT pg_catalog.count(*) AS messages FROM "
      "pg_catalog.pg_logical_slot_peek_binary_changes(s.slot_name, NULL, 1, VARIADIC "
      "ARRAY[" +
          options + "]::pg_catalog.text[])) tried",
      Clock::now() + kPatience);
  if (!made && !connection_->is_usable()) {
    unanswered(made.error());
  } else if (!made && made.error().sqlstate.starts_with(kDataException)) {
    bad("the server rejects an option of `source`: " + made.error().error.message(),
        "correct the configuration, or install the plugin and this program from one version");
  } else if (!made && made.error().sqlstate == "42501") {  // `run` creates slots another way
    warn("the plugin was not tried: " + made.error().error.message(), "");
  } else if (!made && !cut_short.contains(made.error().sqlstate)) {
    bad("the server cannot use the plugin: " + made.error().error.message(), "");
  } else {
    good("the server has the plugin");
  }
}

// Creates no files: a file of root's would be closed to the user that the forwarder runs as.
void Doctor::files() {
  if (!config_.state.empty()) {
    Result<void> usable = StateFile::check(config_.state);
    if (usable) good("directory " + config_.state + " of `state` is there");
    if (!usable) bad(usable.error().message(), "");
  }
  if (config_.dead_letter) {
    Result<void> usable = DeadLetterFile::check(config_.dead_letter->path);
    if (usable) good("dead letter file " + config_.dead_letter->path + " can be written");
    if (!usable) bad(usable.error().message(), "create its directory, or correct `path`");
  }
}

void Doctor::sinks() {
  for (const SinkConfig& config : config_.sinks) {
    auto sink = make_sink(config);
    if (!sink) {
      bad("sink \"" + config.name + "\": " + sink.error().message(), "");
      continue;
    }
    const std::string endpoint((*sink)->endpoint());
    const std::string name = "sink \"" + config.name + "\" at " + endpoint;
    // The name has the address already.
    const auto why = [&](const Error& error) {
      return name + ": " + (error.where == endpoint ? error.what : error.message());
    };
    SourceState source{wal_position_, false, identity_, config_.source.max_value_bytes,
                       !config_.source.kafka};
    source.plain_numbers = config_.source.kafka || config_.source.numbers == "json";
    source.max_depth = config_.source.kafka ? 0 : config_.source.max_depth;
    Result<void> checked = (*sink)->check(source, Clock::now() + kPatience);
    if (!checked && checked.error().loss) {
      // `run` reports it, too, and continues.
      warn(why(checked.error()), "");
      checked = (*sink)->check(source, Clock::now() + kPatience);
    }
    if (checked) {
      good(name + " is reachable");
      for (const std::string& warning : (*sink)->warnings()) warn(name + ": " + warning, "");
    } else {
      bad(why(checked.error()), "");
    }
  }
}

// What may do harm, as the file alone shows.
void Doctor::warnings() {
  for (const Warning& warning : warnings_of(config_)) warn(warning.what, warning.remedy);
}

// Whether the status server could listen. A running forwarder already has the port, and that is
// right.
bool check_status(const Config& config, const CheckOptions& options) {
  Findings findings("status server", options);
  const std::string where = host_and_port(config.status->host, config.status->port);
  std::vector<StatusMember> sources;
  for (const PipelineConfig& pipeline : config.pipelines) {
    const auto& kafka = pipeline.source.kafka;
    sources.push_back(kafka ? StatusMember("group", kafka->group)
                            : StatusMember("slot", pipeline.source.slot));
  }
  Result<void> free = can_listen(config.status->host, config.status->port);
  if (free) {
    findings.good("address " + where + " is free");
  } else if (is_answered_by_walspout(*config.status, sources)) {
    findings.warn("address " + where + " is taken by the forwarder of these sources, which runs",
                  "give a second one on this machine another port");
  } else {
    findings.bad(free.error().message(), "choose another address or port in `listen`");
  }
  return !findings.failed();
}

// For people on standard error, and for programs as findings.
void report_problems(const std::string& path, const LoadedConfig& loaded,
                     const CheckOptions& options) {
  std::fputs(describe(path, loaded).c_str(), stderr);
  if (!options.json) return;
  for (const ConfigProblem& problem : loaded.problems) {
    std::string where = "configuration " + path;
    if (problem.line > 0) {
      where += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
    }
    Findings(where, options).wrong(problem.what, "");
  }
}

}  // namespace

int check_command(const std::string& path, const CheckOptions& options) {
  LoadedConfig loaded = load_whole_configuration(path);
  if (!loaded.problems.empty()) {
    report_problems(path, loaded, options);
    return kUsage;
  }
  const Config* config = &loaded.config;
  if (!options.json) std::printf("configuration %s is good\n", path.c_str());
  std::set<ExitCode> codes{kClean};
  if (config->status && !check_status(*config, options)) codes.insert(kFailed);
  Doctor::Slots slots;
  for (const PipelineConfig& pipeline : config->pipelines) {
    codes.insert(Doctor(pipeline, options, slots).examine());
  }
  // The service manager restarts `run` after 1 and not after 2: so 2 only where 1 is not among the
  // codes.
  return codes.contains(kFailed) ? kFailed : *codes.rbegin();
}

}  // namespace walspout
