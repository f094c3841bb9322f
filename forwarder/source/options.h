// What we ask the server to send: the plugin's options, and the statement that starts the stream.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "base/lsn.h"
#include "source/config.h"

namespace walspout {

struct PluginOption {
  std::string name;
  std::string value;
};

// The plugin's options for this configuration.
std::vector<PluginOption> plugin_options(const SourceConfig& config);

// The DSN of a connection on which the plugin renders rows, with the hash key. The startup packet
// carries the key, because statements may be logged.
Secret rendering_dsn(const SourceConfig& config);

// The statement that starts the stream, with the plugin's options.
std::string start_replication(const SourceConfig& config, Lsn from);

}  // namespace walspout
