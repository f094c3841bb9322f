// Events that go nowhere: the sink needs nothing.
#pragma once

namespace walspout {

struct NullConfig {};

}  // namespace walspout
