#include "status/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "status/http_server.h"
#include "status/report.h"

namespace walspout {

namespace {

Answer answer_to(std::string_view path, const std::vector<const Pipeline*>& pipelines) {
  const int64_t now = wall_micros();
  if (path == "/healthz") return {200, "text/plain; charset=utf-8", "ok\n"};
  if (path == "/readyz") {
    Readiness state = readiness(pipelines, now);
    return {state.ready ? 200 : 503, "text/plain; charset=utf-8",
            state.ready ? "ready\n" : state.why};
  }
  if (path == "/status") return {200, "application/json", status_json(pipelines, now)};
  if (path == "/metrics") return {200, "text/plain; version=0.0.4", metrics_text(pipelines, now)};
  return {404, "text/plain; charset=utf-8", "there are /healthz /readyz /status /metrics\n"};
}

}  // namespace

Result<std::unique_ptr<HttpServer>> start_status_server(const StatusConfig& config,
                                                        std::vector<const Pipeline*> pipelines) {
  auto server = HttpServer::start(
      config.host, config.port,
      [all = std::move(pipelines)](std::string_view path) { return answer_to(path, all); });
  if (server) {
    log(LogLevel::kInfo, "status server listens",
        {{"host", config.host}, {"port", (*server)->port()}});
  }
  return server;
}

}  // namespace walspout
