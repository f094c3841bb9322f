// The last events, for the status page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class Pipeline;

// The decoded value of a name in "a=1&b=x%20y"; empty: missing.
std::string query_value(std::string_view query, std::string_view name);

// Whether a Host header, with or without port, is an address, localhost or the configured name. Any
// other name may be that of a hostile site.
bool is_local_name(std::string_view host, std::string_view configured);

// The query has `pipeline`, `after` (an event's number) and `table` (a part of SCHEMA.TABLE). The
// pipeline is watched for the next seconds.
std::string tapped_json(const std::vector<const Pipeline*>& pipelines, std::string_view query);

}  // namespace walspout
