// The tables of keys of the program's own sections. A sink's keys are in its folder.
#pragma once

#include <string>

#include "base/keys.h"

namespace walspout {

const Section& root_keys();      // of a Config
const Section& pipeline_keys();  // of a PipelineConfig
const Section& sink_keys();      // of a SinkConfig: the keys that every type has

// Up to 63 letters, digits and any of _ - . : a name that fits a metric's label and a file's name.
bool is_name(const std::string& text);

}  // namespace walspout
