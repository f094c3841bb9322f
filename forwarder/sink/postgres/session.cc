#include "sink/postgres/session.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "sink/postgres/errors.h"
#include "sink/postgres/statements.h"

namespace walspout {
namespace {

constexpr std::string_view kNoPlace = "53400";  // configuration limit exceeded

struct Setting {
  std::string_view name;
  std::string_view value;
  int since = 0;  // the first server version that knows it
};

// Besides those of postgres/session.h.
constexpr std::array kSettings = {
    Setting{"default_transaction_read_only", "off"},
    // Releases the locks of a frozen or disconnected forwarder.
    Setting{"idle_in_transaction_session_timeout", "15s"},
    Setting{"lock_timeout", "30s"},
    Setting{"client_connection_check_interval", "1s", 140000},
    // A policy that would hide rows raises an error.
    Setting{"row_security", "off"},
    // The formats in which the plugin prints values.
    Setting{"intervalstyle", "postgres"},
    Setting{"lc_monetary", "C"},
    Setting{"xmloption", "content"},
    Setting{"array_nulls", "on"},
    // Find rows by key, even if the table was small when a statement was planned; see has_key() in
    // statements.cc.
    Setting{"plan_cache_mode", "force_generic_plan"},
    Setting{"enable_hashjoin", "off"},
    Setting{"enable_mergejoin", "off"},
    Setting{"enable_seqscan", "off"},
    Setting{"jit", "off"},
};

Result<void> refuse_pooler(Connection& connection, TimePoint deadline) {
  auto pid = connection.query("SELECT pg_catalog.pg_backend_pid()", deadline);
  if (!pid) return Failure(postgres_error(pid.error()));
  if (text(pid->front(), 0) == std::to_string(connection.server_process())) return {};
  return misconfigured(
      "`dsn` leads to a connection pooler, such as PgBouncer, which hands the session to others: "
      "let it name the server itself",
      connection.endpoint());
}

Result<void> refuse_standby(Connection& connection, TimePoint deadline) {
  auto standby = connection.query("SELECT pg_catalog.pg_is_in_recovery()", deadline);
  if (!standby) return Failure(postgres_error(standby.error()));
  if (text(standby->front(), 0) != "t") return {};
  return retry(
      "the server is a standby, and takes no writes: with several servers in `dsn`, "
      "target_session_attrs=read-write finds the one that does",
      connection.endpoint());
}

Result<void> set_up(Connection& connection, TimePoint deadline) {
  std::string statement = "SELECT ";
  for (const Setting& setting : kSettings) {
    if (connection.server_version() < setting.since) continue;
    statement += "pg_catalog.set_config('" + std::string(setting.name) + "', '" +
                 std::string(setting.value) + "', false), ";
  }
  // Committed events are confirmed to the source, and do not come again.
  statement +=
      "pg_catalog.set_config('synchronous_commit', CASE "
      "pg_catalog.current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE "
      "pg_catalog.current_setting('synchronous_commit') END, false)";
  if (auto set = connection.query(statement, deadline); !set) {
    return with_prefix("could not set up the session", postgres_error(set.error()));
  }
  return {};
}

Result<void> set_role(Connection& connection, bool fire_triggers, TimePoint deadline) {
  auto set = connection.query(
      "SET session_replication_role = " + std::string(fire_triggers ? "origin" : "replica"),
      deadline);
  if (set || (fire_triggers && set.error().sqlstate == kNoPrivilege)) return {};
  if (set.error().sqlstate != kNoPrivilege) return Failure(postgres_error(set.error()));
  return misconfigured(
      "the role of `dsn` may not set session_replication_role to replica, which keeps triggers and "
      "foreign keys of the target from firing: " +
          std::string(connection.server_version() >= 150000
                          ? "GRANT SET ON PARAMETER session_replication_role TO it"
                          : "make it a superuser") +
          ", or set session_replication_role: origin",
      connection.endpoint());
}

Result<void> look_at_rights(PostgresSession& session, TimePoint deadline) {
  auto may = session.connection.query(
      "SELECT COALESCE(pg_catalog.current_setting('is_superuser') = 'on', false) OR "
      "(pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000 AND "
      "pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_oid(text)', 'EXECUTE') "
      "AND pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_create(text)', "
      "'EXECUTE') AND pg_catalog.has_function_privilege("
      "'pg_catalog.pg_replication_origin_session_setup(text)', 'EXECUTE')), "
      "pg_catalog.has_function_privilege("
      "'pg_catalog.pg_replication_origin_xact_setup(pg_lsn,timestamptz)', 'EXECUTE'), " +
          std::string(kHasReader),
      deadline);
  if (!may) return Failure(postgres_error(may.error()));
  session.may_set_origin = text(may->front(), 0) == "t";
  session.may_stamp_commits = session.may_set_origin && text(may->front(), 1) == "t";
  if (text(may->front(), 2) != "t") {
    session.warnings.emplace_back(
        "rows would be written faster with the extension in the target's database: CREATE "
        "EXTENSION "
        "walspout; GRANT USAGE ON SCHEMA walspout TO the role of `dsn`");
  }
  return {};
}

std::string origin_warning(int version) {
  return "rows have no replication origin, so that a source in the target's database cannot leave "
         "them out (origin: none). " +
         std::string(version >= 140000
                         ? "GRANT EXECUTE ON FUNCTION "
                           "pg_catalog.pg_replication_origin_oid(text), "
                           "pg_catalog.pg_replication_origin_create(text), "
                           "pg_catalog.pg_replication_origin_session_setup(text), "
                           "pg_catalog.pg_replication_origin_xact_setup(pg_lsn, timestamptz) to "
                           "the role of `dsn`"
                         : "Only a superuser may set it before PostgreSQL 14");
}

}  // namespace

Result<PostgresSession> open_postgres_session(const PostgresConfig& config, TimePoint deadline,
                                              const Wake& wake) {
  auto opened = Connection::open(config.dsn, Connection::Mode::kSession,
                                 std::min(deadline, Clock::now() + config.connect_timeout), wake,
                                 [] { return false; });
  if (!opened) return Failure(std::move(opened.error()));
  PostgresSession session{std::move(*opened), {}};
  for (const auto& step : {refuse_pooler, refuse_standby, set_up}) {
    if (auto done = step(session.connection, deadline); !done) return Failure(done.error());
  }
  if (auto set = set_role(session.connection, config.fire_triggers, deadline); !set) {
    return Failure(set.error());
  }
  if (auto looked = look_at_rights(session, deadline); !looked) return Failure(looked.error());
  if (!session.may_set_origin) {
    session.warnings.push_back(origin_warning(session.connection.server_version()));
  } else if (!session.may_stamp_commits) {
    session.warnings.emplace_back(
        "commit timestamps that the target tracks are wrong for rows of this sink: GRANT EXECUTE "
        "ON FUNCTION pg_catalog.pg_replication_origin_xact_setup(pg_lsn, timestamptz) to the role "
        "of `dsn`");
  }
  return session;
}

Result<void> set_postgres_origin(PostgresSession& session, const std::string& origin,
                                 TimePoint deadline) {
  if (!session.may_set_origin) return {};
  const std::string name = Connection::quote_literal(origin);
  auto set = session.connection.query("SELECT pg_catalog.pg_replication_origin_create(" + name +
                                          ") WHERE pg_catalog.pg_replication_origin_oid(" + name +
                                          ") IS NULL",
                                      deadline);
  if (set) {
    set = session.connection.query(
        "SELECT pg_catalog.pg_replication_origin_session_setup(" + name + ")", deadline);
  }
  if (set) return {};
  const bool is_full = set.error().sqlstate == kNoPlace;
  return with_prefix(
      "could not set replication origin \"" + origin + "\"" +
          (is_full ? ", which each source keeps for itself in the target's server: raise "
                     "max_replication_slots there, or drop origins that are not used any more "
                     "(pg_replication_origin_drop)"
                   : ""),
      postgres_error(set.error()));
}

}  // namespace walspout
