// The options of the sink that appends lines to a file.
#pragma once

#include <string>

namespace walspout {

struct FileConfig {
  std::string path;
  bool fsync = true;
};

}  // namespace walspout
