// Tries whether a program keeps its side of the contract, for `walspout sink-test`.
#pragma once

#include "sink/common/type.h"
#include "sink/exec/config.h"

namespace walspout {

// Starts the program several times, gives it events of a table walspout_test.orders, and kills it.
// Reports the result for each requirement. The program cannot tell the events from real ones.
void try_exec_program(const ExecConfig& config, const SayTrial& say);

}  // namespace walspout
