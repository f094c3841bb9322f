// The last dead letters of a pipeline from its file: includes those of earlier processes, but not
// those delivered since.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class Pipeline;

// {"letters":[{"id":…,"sink":…,"op":…,"table":…,"reason":…,"key":…,"document":…}]}, the newest
// first. The query names the pipeline. status.tap limits what is shown: `off` shows nothing, `keys`
// shows neither documents nor reasons, because reasons may quote rows.
std::string letters_json(const std::vector<const Pipeline*>& pipelines, std::string_view query);

}  // namespace walspout
