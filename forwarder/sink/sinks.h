// The list of sinks: the only place that knows them all.
#pragma once

#include <memory>

#include "sink/config.h"
#include "sink/sink.h"

namespace walspout {

// The sink for a configuration. Does no I/O; a configuration that can be seen to be wrong without
// it (a URL that is none, a TLS that the library lacks) is a kFatal error.
Result<std::unique_ptr<Sink>> make_sink(const SinkConfig& config);

}  // namespace walspout
