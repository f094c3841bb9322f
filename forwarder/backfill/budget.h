// The memory that all tables of a pipeline may use together.
#pragma once

#include <cstddef>

namespace walspout {

struct KeptBudget {
  size_t capacity = 0;  // bytes
  size_t used = 0;
};

}  // namespace walspout
