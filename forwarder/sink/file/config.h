// Lines of a file: what the sink needs.
#pragma once

#include <string>

namespace walspout {

struct FileConfig {
  std::string path;
  bool fsync = true;
};

}  // namespace walspout
