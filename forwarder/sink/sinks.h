// Sinks of all types, as the program uses them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sink/common/type.h"
#include "stream/sink.h"

namespace walspout {

// All types, in the order of the documents.
const std::vector<SinkType>& sink_types();

// A sink of this type, with the options that its keys have by default. `config.type` is null if no
// such type exists.
SinkConfig sink_config(const std::string& type);

// Does no I/O. Error: kFatal, options that are wrong without a look at the receiver.
Result<std::unique_ptr<Sink>> make_sink(const SinkConfig& config);

// The templates that choose a destination; null: the sink has one destination for all events.
Route* route_of(SinkConfig& config);

// The events that the sink gets; nothing: all.
std::optional<OnlyConfig> only_of(SinkConfig config);

// The member that names the sink's source; null: the sink does not need that.
Origin* origin_of(SinkConfig& config);

// The secrets that the sink has been given, also the empty ones.
std::vector<Secret*> secrets_of(SinkConfig& config);

// Gives the sink a file in the directory `state`, if the sink keeps anything over restarts.
void remember_in(SinkConfig& config, const std::string& state, const std::string& pipeline);

// The file that remember_in() chose; empty if no file was chosen.
std::string memory_of(SinkConfig config);

// The file that the sink writes, in one spelling; empty: none.
std::string file_of(const SinkConfig& config);

// Whether only the `id` in a document shows the receiver that an event is a repeat.
bool needs_id(const SinkConfig& config);

// A place that both sinks would fill, although it takes events of one sink only. Nothing: the
// configurations show no such place.
std::optional<SharedPlace> shared_place(const SinkConfig& a, const SinkConfig& b);

}  // namespace walspout
