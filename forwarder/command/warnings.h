// What in a configuration works and may do harm, as the file alone shows. `check` and `run` say it.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace walspout {

struct Warning {
  std::string what;
  std::string remedy;
};

[[nodiscard]] std::vector<Warning> warnings_of(const PipelineConfig& pipeline);

}  // namespace walspout
