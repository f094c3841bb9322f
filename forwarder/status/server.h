// The status server: /healthz /readyz /status /metrics over HTTP, on a few threads of its own.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace walspout {

class Pipeline;

class StatusServer {
 public:
  // Listens; the pipelines outlive the server.
  static Result<std::unique_ptr<StatusServer>> start(const StatusConfig& config,
                                                     std::vector<const Pipeline*> pipelines);
  ~StatusServer();

  void stop();

 private:
  struct Impl;
  explicit StatusServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace walspout
