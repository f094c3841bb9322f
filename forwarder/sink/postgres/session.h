// The sink's session in the target: its settings and requirements.
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
  bool may_stamp_commits = false;  // with the source's time, if the session has an origin
};

[[nodiscard]] Result<PostgresSession> open_postgres_session(const PostgresConfig& config,
                                                            TimePoint deadline, const Wake& wake);

// If the role may set an origin, marks rows with it, so that a source in the target's database with
// `origin: none` skips them. Error: kRetry while another session has the origin.
[[nodiscard]] Result<void> set_postgres_origin(PostgresSession& session, const std::string& origin,
                                               TimePoint deadline);

}  // namespace walspout
