// Ends what may take longer to end than the caller can wait: a client of a library, with threads of
// its own, whose server is silent.
#pragma once

#include <cstddef>
#include <functional>

#include "base/clock.h"

namespace walspout {

// Calls `end` on a thread of its own, and waits until `end` returns, at most for `patience`. The
// thread goes on alone after that, so `end` refers to nothing of the caller's. False: it goes on.
bool farewell(std::function<void()> end, Duration patience);

// How many such threads go on now. They may use what exit() takes away: where there are any, a
// program ends with _Exit().
[[nodiscard]] size_t farewells();

}  // namespace walspout
