// Where log records go: standard error, one line each, key=value or JSON, by spdlog.
#pragma once

#include "config/config.h"

namespace walspout {

void start_log(const LogConfig& config);

// Sets the level that is in force. What is debugged by toggle_debug() ends.
void set_log_level(LogLevel level);

// Debug, or back to what was configured. SIGUSR1.
void toggle_debug();

void flush_log();

}  // namespace walspout
