#pragma once

namespace walspout {

inline constexpr char kVersion[] = "1.0";

// The commit that was built; empty if the sources were not in a repository.
extern const char* const kCommit;

}  // namespace walspout
