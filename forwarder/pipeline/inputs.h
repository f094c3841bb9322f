// The kinds of inputs, and which one a pipeline has.
#pragma once

#include <functional>
#include <memory>

#include "backfill/backfill.h"
#include "base/wake.h"
#include "config/config.h"
#include "stream/input.h"
#include "stream/queue.h"

namespace walspout {

// Connects to nothing. All are outlived by what they refer to. `set_aside` writes what is no event
// to the file of dead letters. `backfill` gets what backfills the input, if there is such a thing;
// it is to outlive the input's run().
std::unique_ptr<Input> make_input(
    const PipelineConfig& config, EventQueue& queue, const Wake& wake,
    std::function<Result<void>(const Event& event, const Error& reason)> set_aside,
    std::unique_ptr<Backfill>& backfill);

}  // namespace walspout
