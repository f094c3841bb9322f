// The tables that the source sends, for `walspout check`: whether the patterns of a sink's `only`
// match any of them.
#pragma once

#include <string>
#include <vector>

#include "command/findings.h"
#include "postgres/connection.h"
#include "sink/sinks.h"
#include "source/config.h"

namespace walspout {

// Rows of schema and table, as events name them.
std::string published_query(const SourceConfig& config);

// The same before the publication for the patterns of the source exists.
std::string matched_query(const SourceConfig& config);

// Warns of the sink's patterns that match none of these tables.
void judge_patterns(const SinkConfig& sink, const std::vector<Row>& tables, Findings& findings);

}  // namespace walspout
