// Makes the input of a pipeline.
#pragma once

#include <functional>
#include <memory>

#include "backfill/backfill.h"
#include "base/wake.h"
#include "config/config.h"
#include "stream/input.h"
#include "stream/queue.h"

namespace walspout {

// Does not connect. All references outlive the input. `set_aside` writes messages that are no
// events to the dead letter file. `backfill` receives the input's backfill, or stays null; it must
// outlive the input's run().
std::unique_ptr<Input> make_input(
    const PipelineConfig& config, EventQueue& queue, const Wake& wake,
    std::function<Result<void>(const Event& event, const Error& reason)> set_aside,
    std::unique_ptr<Backfill>& backfill);

}  // namespace walspout
