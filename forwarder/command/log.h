// Log records go to standard error, one line each, key=value or JSON, through spdlog.
#pragma once

#include "config/config.h"

namespace walspout {

void start_log(const LogConfig& config);

// Sets the level in force. Also ends the debug level of toggle_debug().
void set_log_level(LogLevel level);

// Switches to debug, or back to the configured level. For SIGUSR1.
void toggle_debug();

void flush_log();

}  // namespace walspout
