#pragma once

namespace walspout {

inline constexpr char kVersion[] = "1.0";

}  // namespace walspout
