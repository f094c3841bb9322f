// Ends an object that may take longer than the caller can wait. An example is a library's client
// with threads of its own and a silent server.
#pragma once

#include <cstddef>
#include <functional>

#include "base/clock.h"

namespace walspout {

// Calls `end` on a thread of its own, and waits at most `patience` until `end` returns. False: the
// thread still runs, and goes on alone. So `end` must not refer to anything of the caller's.
bool end_within(std::function<void()> end, Duration patience);

// How many such threads run now. They may use what exit() destroys: while any runs, a program ends
// with _Exit().
[[nodiscard]] size_t threads_still_ending();

}  // namespace walspout
