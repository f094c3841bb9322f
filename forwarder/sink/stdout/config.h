// Standard output: the sink needs nothing.
#pragma once

namespace walspout {

struct StdoutConfig {};

}  // namespace walspout
