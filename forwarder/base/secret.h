// Text that must not be printed: it has no conversion to a string and no operator to write it.
#pragma once

#include <string>
#include <utility>

namespace walspout {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}

  // For the one place that hands it to a library.
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  std::string value_;
};

}  // namespace walspout
