// The status server: a page for people at /, and /healthz /readyz /status /history /tap /letters
// /metrics. With a token, POST /control pauses, resumes and retries sinks.
#pragma once

#include <memory>

#include "base/result.h"
#include "config/config.h"
#include "status/http_server.h"

namespace walspout {

class Pipelines;

class StatusServer {
 public:
  // Listens; the pipelines outlive the server.
  static Result<std::unique_ptr<StatusServer>> start(const StatusConfig& config,
                                                     const Pipelines& pipelines);
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  // Applies the setting that may change while the server listens: the token.
  void apply(const StatusConfig& config);

  // Closes everything.
  void stop();

 private:
  class Pages;
  StatusServer();

  std::unique_ptr<Pages> pages_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace walspout
