// What a session of ours has to have set, whatever the database or the role sets for its sessions.
//
// The owner of a database chooses the search path of all who connect to it. An operator, a function
// or a catalog that the owner puts before those of pg_catalog would run with our rights. So the
// path is empty before any query of ours is parsed: SET looks up nothing but the setting, and the
// one query in front of it names the schema of all that it uses. Timeouts are made for other
// programs: a slot may have to wait for hours for a transaction that runs, and a large transaction
// is decoded for long. What is set here also wins over `options` in the DSN and over PGOPTIONS.
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
  int since;  // the first server version that knows it
};

// The timeouts come first: they hold for the other statements, too.
inline constexpr std::array kSessionSettings = {
    SessionSetting{"transaction_timeout", "0", 170000},
    SessionSetting{"statement_timeout", "0", 0},
    SessionSetting{"search_path", "", 0},
    SessionSetting{"lock_timeout", "0", 0},
    SessionSetting{"idle_in_transaction_session_timeout", "0", 0},
    SessionSetting{"idle_session_timeout", "0", 140000},
    // Serializable queries may have to wait, and standbys know none.
    SessionSetting{"default_transaction_isolation", "read committed", 0},
    SessionSetting{"default_transaction_deferrable", "off", 0},
    SessionSetting{"exit_on_error", "off", 0},  // a slot that is in use is an error
    SessionSetting{"standard_conforming_strings", "on", 0},
    // Times are compared as text.
    SessionSetting{"datestyle", "ISO", 0},
    SessionSetting{"timezone", "GMT", 0},
    SessionSetting{"client_min_messages", "error", 0},
};

// The statements that set them for the whole of a session that is ours alone, in order, one a
// message: a walsender takes one command at a time before PostgreSQL 15.
inline std::vector<std::string> session_statements(int version) {
  std::vector<std::string> statements;
  std::string all;
  for (const SessionSetting& setting : kSessionSettings) {
    if (version < setting.since) continue;
    const std::string name(setting.name);
    const std::string value(setting.value);
    // A query's snapshot may have to wait, and a timeout of a millisecond would be over within it.
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

// What stands before a query in the same message, and sets them for that message only: behind a
// pooler the session is used by others, who must not find our settings in it.
inline std::string session_prefix(int version) {
  std::string statements;
  for (const SessionSetting& setting : kSessionSettings) {
    if (version < setting.since) continue;
    // The transaction has begun with the default ones.
    if (setting.name.starts_with("default_transaction_")) continue;
    statements +=
        "SET LOCAL " + std::string(setting.name) + " = '" + std::string(setting.value) + "'; ";
  }
  // Slots belong to the role that the DSN names: that is the one whose rights a stream has,
  // whatever other role is set for the sessions of a role or a database.
  return statements +
         "SET LOCAL ROLE NONE; SET TRANSACTION ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE; ";
}

}  // namespace walspout
