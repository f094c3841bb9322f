#include "status/server.h"

#include <algorithm>
#include <charconv>

#include "base/clock.h"
#include "base/log.h"
#include "status/history.h"
#include "status/http_server.h"
#include "status/json.h"
#include "status/page/page.h"
#include "status/report.h"
#include "status/tapped.h"

namespace walspout {

namespace {

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kJson = "application/json";

// The page loads nothing from elsewhere, and is shown in no frame of another site.
constexpr const char* kPageHeaders =
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";

class Pages {
 public:
  Pages(std::string host, std::vector<const Pipeline*> pipelines)
      : host_(std::move(host)), pipelines_(std::move(pipelines)), history_(pipelines_) {}

  Answer answer(const Request& request) const {
    const int64_t now = wall_micros();
    const std::string_view path = request.path;
    if (path == "/") return {200, "text/html; charset=utf-8", std::string(kPage), kPageHeaders};
    if (path == "/healthz") return {200, kText, "ok\n"};
    if (path == "/readyz") {
      Readiness state = readiness(pipelines_, now);
      return {state.ready ? 200 : 503, kText, state.ready ? "ready\n" : state.why};
    }
    if (path == "/status") return {200, kJson, status_json(pipelines_, now)};
    if (path == "/history") return {200, kJson, history_.json()};
    if (path == "/metrics") {
      return {200, "text/plain; version=0.0.4", metrics_text(pipelines_, now)};
    }
    if (path == "/tap") return tap(request);
    return {404, kText, "there are / /healthz /readyz /status /history /tap /metrics\n"};
  }

 private:
  // A site that a person visits could give its own name this address, and read what is here through
  // the browser. Its requests then have that name.
  Answer tap(const Request& request) const {
    if (!is_local_name(request.host, host_)) {
      return {403, kText, "events are shown under the address of `listen` only\n"};
    }
    return {200, kJson, tapped_json(pipelines_, request.query)};
  }

  const std::string host_;
  const std::vector<const Pipeline*> pipelines_;
  const History history_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> start_status_server(const StatusConfig& config,
                                                        std::vector<const Pipeline*> pipelines) {
  auto pages = std::make_shared<Pages>(config.host, std::move(pipelines));
  auto server = HttpServer::start(
      config.host, config.port, [pages](const Request& request) { return pages->answer(request); });
  if (server) {
    log(LogLevel::kInfo, "status server listens",
        {{"host", config.host}, {"port", (*server)->port()}});
  }
  return server;
}

}  // namespace walspout
