// The last events, as the status page asks for them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class Pipeline;

// The value of a name in "a=1&b=x%20y", decoded; empty if it is not there.
std::string query_value(std::string_view query, std::string_view name);

// Whether a client that named this host, with or without a port, meant an address of ours and no
// site of its own: an address, localhost, or what is configured.
bool is_local_name(std::string_view host, std::string_view configured);

// The query has `pipeline`, `after` (a number of an event) and `table` (a part of SCHEMA.TABLE).
// The pipeline is watched for the next seconds.
std::string tapped_json(const std::vector<const Pipeline*>& pipelines, std::string_view query);

}  // namespace walspout
