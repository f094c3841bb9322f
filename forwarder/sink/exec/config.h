// A program of the user's: what the sink needs.
#pragma once

#include <cstddef>
#include <string>

#include "base/clock.h"
#include "base/keys.h"
#include "sink/common/capabilities.h"

namespace walspout {

struct ExecConfig {
  TextList command;       // the program and its arguments
  std::string directory;  // empty: ours
  SecretMap env;          // beside our own variables
  Order order = Order::kAll;
  size_t unanswered = 1024;              // events written before their answers are awaited
  Milliseconds answer_timeout{300'000};  // without any answer, although there is an event
  Milliseconds grace{2'000};             // from end of file to SIGTERM, and from there to SIGKILL
};

}  // namespace walspout
