// Tries whether a program keeps its side of the contract, for `walspout sink-test`.
#pragma once

#include "sink/common/type.h"
#include "sink/exec/config.h"

namespace walspout {

// Starts the program several times, gives it events of a table walspout_test.orders, kills it, and
// says of each thing that is asked of a program how it went. The program takes the events for real
// ones.
void try_exec_program(const ExecConfig& config, const SayTrial& say);

}  // namespace walspout
