// The sink that discards events has no options.
#pragma once

namespace walspout {

struct NullConfig {};

}  // namespace walspout
