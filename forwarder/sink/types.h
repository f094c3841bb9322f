// The list of sinks. A sink is a folder, a line here, and a line in the build.
#pragma once

#include "sink/common/type.h"

namespace walspout {

SinkType redis_type();
SinkType http_type();
SinkType rabbitmq_type();
SinkType exec_type();
SinkType nats_type();
SinkType kafka_type();
SinkType postgres_type();
SinkType file_type();
SinkType stdout_type();
SinkType null_type();

inline constexpr SinkType (*kSinkTypes[])() = {redis_type,  http_type, rabbitmq_type, kafka_type,
                                               nats_type,   exec_type, postgres_type, file_type,
                                               stdout_type, null_type};

}  // namespace walspout
