// The status server: a page for people at /, and /healthz /readyz /status /history /tap /metrics.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "status/http_server.h"

namespace walspout {

class Pipeline;

// Listens; the pipelines outlive the server.
Result<std::unique_ptr<HttpServer>> start_status_server(const StatusConfig& config,
                                                        std::vector<const Pipeline*> pipelines);

}  // namespace walspout
