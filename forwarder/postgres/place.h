// Where a DSN leads to, as its text shows: nothing is connected to, and no name is looked up.
#pragma once

#include <string>
#include <vector>

#include "base/secret.h"

namespace walspout {

// Of a DSN, by libpq's own rules: the DSN, its service, the environment, the user.
struct Place {
  std::vector<std::string> servers;  // "host:port", in one spelling and order; several: one of them
  std::string choice;                // target_session_attrs, where that chooses one of several
  std::string database;

  static Place of(const Secret& dsn);

  // Whether both certainly lead to one server. A host has more names than a text shows: two places
  // that differ may be the same.
  bool is_server_of(const Place& other) const {
    return !servers.empty() && servers == other.servers && choice == other.choice;
  }

  bool operator==(const Place&) const = default;
};

}  // namespace walspout
