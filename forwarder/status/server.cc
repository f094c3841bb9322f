#include "status/server.h"

#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "pipeline/pipelines.h"
#include "status/control.h"
#include "status/history.h"
#include "status/letters.h"
#include "status/page/page.h"
#include "status/report.h"
#include "status/tapped.h"

namespace walspout {

namespace {

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kJson = "application/json";

// The page loads nothing from other sites, and no other site can frame it.
constexpr const char* kPageHeaders =
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n";

std::vector<const Pipeline*> look_at(const Pipelines::List& list) {
  std::vector<const Pipeline*> pipelines;
  for (const auto& pipeline : list) pipelines.push_back(pipeline.get());
  return pipelines;
}

}  // namespace

class StatusServer::Pages {
 public:
  Pages(std::string host, const Pipelines& pipelines)
      : host_(std::move(host)), pipelines_(pipelines), control_(pipelines), history_(pipelines) {}

  void set_token(const Secret& token) { control_.set_token(token); }

  Answer answer(const Request& request) {
    if (request.path == "/control") return control_.answer(request, host_, Clock::now());
    if (request.method == "POST") {
      return {405, kText, "only GET and HEAD are answered here\n", "Allow: GET, HEAD\r\n"};
    }
    const Pipelines::List list = pipelines_.list();
    return page(request, look_at(list));
  }

 private:
  Answer page(const Request& request, const std::vector<const Pipeline*>& pipelines) const {
    const int64_t now = wall_micros();
    const std::string_view path = request.path;
    if (path == "/") return {200, "text/html; charset=utf-8", std::string(kPage), kPageHeaders};
    if (path == "/healthz") return {200, kText, "ok\n"};
    if (path == "/readyz") {
      Readiness state = readiness(pipelines, now, pipelines_.missing());
      return {state.ready ? 200 : 503, kText, state.ready ? "ready\n" : state.why};
    }
    if (path == "/status")
      return {200, kJson, status_json(pipelines, now, control_.is_on(), pipelines_.missing())};
    if (path == "/history") return {200, kJson, history_.json()};
    if (path == "/metrics") {
      return {200, "text/plain; version=0.0.4", metrics_text(pipelines, now)};
    }
    // Against DNS rebinding: a site could point its name to this address and read the pages through
    // a visitor's browser. Such requests have the site's name.
    const bool shows_events = path == "/tap" || path == "/letters";
    if (shows_events && !is_local_name(request.host, host_)) {
      return {403, kText, "events are shown under the address of `listen` only\n"};
    }
    if (path == "/tap") return {200, kJson, tapped_json(pipelines, request.query)};
    if (path == "/letters") return {200, kJson, letters_json(pipelines, request.query)};
    return {404, kText,
            "there are / /healthz /readyz /status /history /tap /letters /metrics /control\n"};
  }

  const std::string host_;
  const Pipelines& pipelines_;
  Control control_;
  const History history_;
};

StatusServer::StatusServer() = default;

StatusServer::~StatusServer() {
  stop();
}

Result<std::unique_ptr<StatusServer>> StatusServer::start(const StatusConfig& config,
                                                          const Pipelines& pipelines) {
  std::unique_ptr<StatusServer> made(new StatusServer());
  made->pages_ = std::make_unique<Pages>(config.host, pipelines);
  made->pages_->set_token(config.control);
  Pages* pages = made->pages_.get();
  auto server = HttpServer::start(
      config.host, config.port, [pages](const Request& request) { return pages->answer(request); });
  if (!server) return Failure(std::move(server.error()));
  log(LogLevel::kInfo, "status server listens",
      {{"host", config.host}, {"port", (*server)->port()}});
  made->server_ = std::move(*server);
  return made;
}

void StatusServer::apply(const StatusConfig& config) {
  pages_->set_token(config.control);
}

void StatusServer::stop() {
  if (server_) server_->stop();
}

}  // namespace walspout
