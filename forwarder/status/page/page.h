// The page at "/": index.html as of the build.
#pragma once

#include <string_view>

namespace walspout {

extern const std::string_view kPage;

}  // namespace walspout
