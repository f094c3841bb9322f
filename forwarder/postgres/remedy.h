// What to do when the server refuses to make or to stream a slot: PostgreSQL says what is wrong,
// and not always how to mend it.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace walspout {

// The statement or command, as the end of a message; empty if none is known. `said` is the server's
// message, in its English: servers that speak another language get no remedy.
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
      Known{"exceeds max_wal_senders", "raise max_wal_senders and restart the server"},
  };
  for (const Known& known : kKnown) {
    if (said.find(known.sign) == std::string_view::npos) continue;
    return ". To mend it: " + std::string(known.remedy);
  }
  return "";
}

}  // namespace walspout
