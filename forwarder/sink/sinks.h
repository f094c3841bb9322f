// Sinks as the program sees them: whatever types there are.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sink/common/type.h"
#include "stream/sink.h"

namespace walspout {

// All of them, in the order in which people read of them.
const std::vector<SinkType>& sink_types();

// A sink of this type, with the options that its keys have by default. Null type: there is no such.
SinkConfig sink_config(const std::string& type);

// Does no I/O. Options that can be seen to be wrong without it are a kFatal error.
Result<std::unique_ptr<Sink>> make_sink(const SinkConfig& config);

// The templates that choose a destination; null: the sink has one destination for all events.
Route* route_of(SinkConfig& config);

// The events that the sink gets; nothing: all.
std::optional<OnlyConfig> only_of(SinkConfig config);

// Where it keeps from where its events come; null: it does not want to know.
Origin* origin_of(SinkConfig& config);

// The secrets that the sink has been given, also the empty ones.
std::vector<Secret*> secrets_of(SinkConfig& config);

// Gives the sink a file of the directory `state` to remember in, if the sink remembers anything.
void remember_in(SinkConfig& config, const std::string& state, const std::string& pipeline);

// That file; empty: there is none.
std::string memory_of(SinkConfig config);

// The file that the sink writes, in one spelling; empty: none.
std::string file_of(const SinkConfig& config);

// Whether a receiver knows an event that comes again only by the `id` in its document.
bool needs_id(const SinkConfig& config);

// A place that both sinks would fill, and that takes events of one sink only. Nothing:
// the sinks share none, as far as their configuration says.
std::optional<SharedPlace> shared_place(const SinkConfig& a, const SinkConfig& b);

}  // namespace walspout
