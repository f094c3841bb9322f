// The sink for standard output has no options.
#pragma once

namespace walspout {

struct StdoutConfig {};

}  // namespace walspout
