// Settings that work but may do harm, as the file alone shows. `check` and `run` print them.
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
