// Remedies for a server that refuses to create or stream a slot. PostgreSQL says what is wrong, but
// not always how to fix it.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace walspout {

// The message of a pooler without support for replication.
inline constexpr std::string_view kNoReplication = "unsupported startup parameter: replication";

// The text in quotes that follows `name` in a message.
inline std::string quoted_after(std::string_view said, std::string_view name) {
  const size_t at = said.find(std::string(name) + " \"");
  if (at == std::string_view::npos) return "...";
  said.remove_prefix(at + name.size() + 2);
  return std::string(said.substr(0, said.find('"')));
}

// The missing line of pg_hba.conf.
inline std::string hba_line(std::string_view said) {
  const bool local = said.find("[local]") != std::string_view::npos;
  return ". To let it in: add to pg_hba.conf `" + std::string(local ? "local " : "host ") +
         quoted_after(said, "database") + " " + quoted_after(said, "user") +
         (local ? "" : " ADDRESS/32") +
         " scram-sha-256`, and SELECT pg_catalog.pg_reload_conf(). The line names the database: "
         "one "
         "for `replication` is for physical replication only";
}

// The remedy as the end of a message; empty: none is known. `said` is the server's message in
// English: other languages get no remedy.
inline std::string remedy(std::string_view said) {
  struct Known {
    std::string_view sign;
    std::string_view remedy;
  };
  constexpr std::array kKnown = {
      Known{"logical decoding on standby requires",
            "on the primary: ALTER SYSTEM SET wal_level = logical; then restart it"},
      Known{"wal_level", "ALTER SYSTEM SET wal_level = logical; then restart the server"},
      Known{"\"walspout\" may not be used as an output plugin",
            "add walspout to the list: ALTER SYSTEM SET output_plugin_libraries = pgoutput, "
            "test_decoding, walspout; SELECT pg_catalog.pg_reload_conf()"},
      Known{"This version of walspout knows 1 only",  // from an old plugin
            "upgrade the walspout plugin on the server: it is older than this program"},
      Known{"could not access file \"walspout\"",
            "the plugin is not installed on the server: make install-plugin there, with this "
            "server's PG_CONFIG"},
      Known{"replication role to start walsender",  // up to PostgreSQL 15
            "ALTER ROLE ... REPLICATION; for the role that the DSN names"},
      Known{"permission denied to start WAL sender",
            "ALTER ROLE ... REPLICATION; for the role that the DSN names"},
      Known{"to use replication slots",
            "the session has another role than the DSN names: ALTER ROLE ... RESET role; or "
            "ALTER DATABASE ... RESET role; or give that role REPLICATION"},
      Known{"all replication slots are in use",
            "drop one that is not needed (SELECT * FROM pg_catalog.pg_replication_slots), or "
            "raise max_replication_slots and restart the server"},
      Known{"requested standby connections exceeds",
            "raise max_wal_senders and restart the server"},
      Known{kNoReplication,
            "let `dsn` name the server itself: it leads to a connection pooler, such as PgBouncer, "
            "which passes no replication on"},
  };
  if (said.find("pg_hba.conf") != std::string_view::npos) return hba_line(said);
  for (const Known& known : kKnown) {
    if (said.find(known.sign) == std::string_view::npos) continue;
    return ". To fix it: " + std::string(known.remedy);
  }
  return "";
}

}  // namespace walspout
