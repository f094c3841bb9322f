// What the server is asked to send: the plugin's options, and the statement that starts the stream.
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

// What the plugin is asked for.
std::vector<PluginOption> plugin_options(const SourceConfig& config);

// The DSN of a connection on which the plugin renders rows: it has the key of hashes. The key is in
// the startup packet, as statements may be logged.
Secret rendering_dsn(const SourceConfig& config);

// The statement that starts the stream, with the plugin's options.
std::string start_replication(const SourceConfig& config, Lsn from);

}  // namespace walspout
