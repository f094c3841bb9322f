// The server that a DSN names, from its text alone: no connection, no name lookup.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"

namespace walspout {

// Follows libpq's rules: the DSN, its service, the environment, the user.
struct Place {
  std::vector<std::string> servers;  // "host:port", canonical and sorted; several: one of them
  std::string choice;                // target_session_attrs, if there are several servers
  std::string database;

  static Place of(const Secret& dsn);

  // Whether both certainly lead to the same server. False is not certain: one host can have several
  // names.
  bool is_server_of(const Place& other) const {
    return !servers.empty() && servers == other.servers && choice == other.choice;
  }

  bool operator==(const Place&) const = default;
};

}  // namespace walspout
