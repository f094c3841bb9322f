// Finds what is wrong with a text before it is parsed as YAML, and explains the YAML library's
// errors. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"

namespace walspout {

// The first byte that no configuration has: NUL, or a byte that is not UTF-8. UTF-16 is left to the
// library.
std::optional<ConfigProblem> wrong_byte(std::string_view text);

// Explains an error of the library. `line` and `column` are its position, from 1.
ConfigProblem explain(std::string_view text, int line, int column, const std::string& error);

// The key at that place, below the number of its line, with a caret. Empty if there is no key. The
// rest of the line is left out, as it may be a secret.
std::string quoted_key(std::string_view text, int line, int column);

}  // namespace walspout
