// The sink's session in the target: its settings, and what has to be so that it can work.
#pragma once

#include <string>
#include <vector>

#include "postgres/connection.h"
#include "sink/postgres/config.h"

namespace walspout {

struct PostgresSession {
  Connection connection;
  std::vector<std::string> warnings;
  bool may_set_origin = false;
  bool may_stamp_commits = false;  // with the source's time, once it has an origin
};

[[nodiscard]] Result<PostgresSession> open_postgres_session(const PostgresConfig& config,
                                                            TimePoint deadline, const Wake& wake);

// Marks rows as coming from elsewhere, where the role may do that: a source of the target's
// database with `origin: none` leaves them out. Error: kRetry while another session has the origin.
[[nodiscard]] Result<void> set_postgres_origin(PostgresSession& session, const std::string& origin,
                                               TimePoint deadline);

}  // namespace walspout
