// The last dead letters of a pipeline, as the file has them: also those of earlier processes, and
// without those that were delivered since.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class Pipeline;

// {"letters":[{"id":…,"sink":…,"op":…,"table":…,"reason":…,"key":…,"document":…}]}, the newest
// first. The query names the pipeline. What is shown of an event is what the tap may show: at
// status.tap off there is nothing, at keys there are neither documents nor reasons, which may quote
// rows.
std::string letters_json(const std::vector<const Pipeline*>& pipelines, std::string_view query);

}  // namespace walspout
