// The options of the sink that runs a user's program.
#pragma once

#include <cstddef>
#include <string>

#include "base/clock.h"
#include "base/keys.h"
#include "sink/common/capabilities.h"

namespace walspout {

struct ExecConfig {
  TextList command;       // the program and its arguments
  std::string directory;  // empty: that of walspout
  SecretMap env;          // besides walspout's own variables
  Order order = Order::kAll;
  size_t unanswered = 1024;              // events without an answer, at most
  Milliseconds answer_timeout{300'000};  // without any answer while an event waits
  Milliseconds grace{2'000};             // from end of file to SIGTERM, then to SIGKILL
};

}  // namespace walspout
