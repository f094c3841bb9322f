// The settings of our sessions, whatever the database or the role sets.
//
// The owner of a database chooses the search path of its sessions. Operators, functions or catalogs
// placed before pg_catalog would run with our rights. So the path is empty before any query of ours
// is parsed: SET looks up only the setting, and the one query before it names all schemas. Timeouts
// do not suit us: a new slot may wait hours for a transaction, and decoding a large transaction
// takes long. These settings also win over `options` in the DSN and over PGOPTIONS.
//
// Pure.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace walspout {

struct SessionSetting {
  std::string_view name;
  std::string_view value;
  int since;  // the first server version with this setting
};

// The timeouts come first, because they also apply to the other statements.
inline constexpr std::array kSessionSettings = {
    SessionSetting{"transaction_timeout", "0", 170000},
    SessionSetting{"statement_timeout", "0", 0},
    SessionSetting{"search_path", "", 0},
    SessionSetting{"lock_timeout", "0", 0},
    SessionSetting{"idle_in_transaction_session_timeout", "0", 0},
    SessionSetting{"idle_session_timeout", "0", 140000},
    // Serializable queries may have to wait, and standbys reject them.
    SessionSetting{"default_transaction_isolation", "read committed", 0},
    SessionSetting{"default_transaction_deferrable", "off", 0},
    SessionSetting{"exit_on_error", "off", 0},  // a slot that is in use is an error
    SessionSetting{"standard_conforming_strings", "on", 0},
    // Times are compared as text.
    SessionSetting{"datestyle", "ISO", 0},
    SessionSetting{"timezone", "GMT", 0},
    SessionSetting{"client_min_messages", "error", 0},
};

// The statements for a session of our own, in order, to be sent one a message: before PostgreSQL 15
// a walsender takes one command at a time.
inline std::vector<std::string> session_statements(int version) {
  std::vector<std::string> statements;
  std::string all;
  for (const SessionSetting& setting : kSessionSettings) {
    if (version < setting.since) continue;
    const std::string name(setting.name);
    const std::string value(setting.value);
    // These need SET: a query's snapshot may have to wait, and a timeout of a millisecond would
    // fire meanwhile.
    if (name.starts_with("transaction_") || name.starts_with("statement_") ||
        name == "default_transaction_deferrable") {
      statements.push_back("SET " + name + " = '" + value + "'");
      continue;
    }
    all += (all.empty() ? "SELECT " : ", ") + ("pg_catalog.set_config('" + name) + "', '" + value +
           "', false)";
  }
  statements.push_back(std::move(all));
  return statements;
}

// The prefix of a query, which sets them for that message only. Behind a pooler other clients share
// the session, and must not get our settings.
inline std::string session_prefix(int version) {
  std::string statements;
  for (const SessionSetting& setting : kSessionSettings) {
    if (version < setting.since) continue;
    // Too late for the defaults: the transaction has begun.
    if (setting.name.starts_with("default_transaction_")) continue;
    statements +=
        "SET LOCAL " + std::string(setting.name) + " = '" + std::string(setting.value) + "'; ";
  }
  // The DSN's role must apply, not a role that is set for a role's or database's sessions: a stream
  // has the rights of the DSN's role.
  return statements +
         "SET LOCAL ROLE NONE; SET TRANSACTION ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE; ";
}

}  // namespace walspout
