// The page at "/": index.html, as it was when the program was built.
#pragma once

#include <string_view>

namespace walspout {

extern const std::string_view kPage;

}  // namespace walspout
