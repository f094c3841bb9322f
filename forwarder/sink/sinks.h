// The list of sinks: the only place that knows them all.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sink/config.h"
#include "stream/sink.h"

namespace walspout {

// The sink for a configuration. Does no I/O; a configuration that can be seen to be wrong without
// it (a URL that is none, a TLS that the library lacks) is a kFatal error.
Result<std::unique_ptr<Sink>> make_sink(const SinkConfig& config);

// A destination that both sinks would fill, and that takes events of one sink only: a stream of
// Redis. None: nothing is known that they share.
std::optional<std::string> shared_destination(const SinkConfig& a, const SinkConfig& b);

}  // namespace walspout
