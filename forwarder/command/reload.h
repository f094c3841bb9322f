// What a reloaded configuration changes. Pure.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace walspout {

// The names of keys whose values differ: "source.dsn, sinks[0].url". Values are not included, as
// they may be secrets.
std::string changed_keys(const PipelineConfig& now, const PipelineConfig& next);

// Changed keys of the whole configuration that only a restart applies.
std::vector<std::string> restart_keys(const Config& now, const Config& next);

// The pipeline of that name; null if no pipeline has the name.
const PipelineConfig* find_pipeline(const Config& config, const std::string& name);

}  // namespace walspout
