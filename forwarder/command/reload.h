// What a configuration that was read again changes. Pure.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace walspout {

// The names of keys whose values differ: "source.dsn, sinks[0].url". Values may be secrets, and are
// not named.
std::string changed_keys(const PipelineConfig& now, const PipelineConfig& next);

// Keys of the whole configuration that have changed, and that only a restart applies.
std::vector<std::string> restart_keys(const Config& now, const Config& next);

// The pipeline of that name; null: no pipeline has it.
const PipelineConfig* find_pipeline(const Config& config, const std::string& name);

}  // namespace walspout
