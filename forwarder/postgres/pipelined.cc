// Sends statements one after the other, without waiting for their outcomes.
#include <libpq-fe.h>

#include <charconv>
#include <cstring>

#include "postgres/connection.h"
#include "postgres/results.h"

namespace walspout {

Result<void> Connection::begin_pipeline() {
  if (!PQenterPipelineMode(conn_.get())) return lost("could not begin a pipeline");
  return {};
}

Result<void> Connection::end_pipeline() {
  if (!PQexitPipelineMode(conn_.get())) return lost("could not end a pipeline");
  return {};
}

Result<void> Connection::prepare(const std::string& name, const std::string& sql) {
  if (!PQsendPrepare(conn_.get(), name.c_str(), sql.c_str(), 0, nullptr)) {
    return lost("could not send");
  }
  return {};
}

Result<void> Connection::execute(const std::string& name, const Parameters& parameters) {
  if (!PQsendQueryPrepared(conn_.get(), name.c_str(), static_cast<int>(parameters.size()),
                           parameters.data(), nullptr, nullptr, 0)) {
    return lost("could not send");
  }
  return {};
}

Result<void> Connection::run(const std::string& sql, const Parameters& parameters) {
  if (!PQsendQueryParams(conn_.get(), sql.c_str(), static_cast<int>(parameters.size()), nullptr,
                         parameters.data(), nullptr, nullptr, 0)) {
    return lost("could not send");
  }
  return {};
}

Result<void> Connection::sync() {
  if (!PQpipelineSync(conn_.get())) return lost("could not send");
  return {};
}

// Also reads, because the server may stop reading until we read its answers.
Result<void> Connection::flush(TimePoint deadline) {
  PGconn* conn = conn_.get();
  while (true) {
    const int unsent = PQflush(conn);
    if (unsent < 0) return lost("could not send");
    if (unsent == 0) return {};
    if (interrupted_()) return retry("interrupted");
    if (Clock::now() >= deadline) return retry("the server did not read in time", endpoint());
    unsent_ = true;
    wait(true, deadline);
    if (!PQconsumeInput(conn)) return lost("the connection broke");
  }
}

ServerResult<Outcome> Connection::outcome(TimePoint deadline) {
  PGconn* conn = conn_.get();
  Outcome outcome;
  std::optional<ServerError> error;
  while (true) {
    Result<void> waited = wait_for_result(deadline);
    if (!waited) return tl::unexpected(ServerError{"", waited.error()});
    const ResultHandle result(PQgetResult(conn), PQclear);
    if (!result) break;  // the statement has no more results
    switch (PQresultStatus(result.get())) {
      case PGRES_PIPELINE_SYNC:
        outcome.kind = Outcome::Kind::kSync;
        return outcome;
      case PGRES_PIPELINE_ABORTED:
        outcome.kind = Outcome::Kind::kSkipped;
        break;
      case PGRES_TUPLES_OK:
        append_rows(result.get(), outcome.rows);
        [[fallthrough]];
      case PGRES_COMMAND_OK: {
        const char* count = PQcmdTuples(result.get());
        std::from_chars(count, count + std::strlen(count), outcome.affected);
        break;
      }
      default:
        error = server_error(result.get(), conn, endpoint(), false);
        if (error->sqlstate.empty() || PQstatus(conn) != CONNECTION_OK) {
          error->sqlstate.clear();
          return tl::unexpected(std::move(*error));
        }
    }
  }
  if (error) return tl::unexpected(std::move(*error));
  return outcome;
}

}  // namespace walspout
