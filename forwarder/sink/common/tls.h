// TLS of a sink's connections.
#pragma once

#include <string>

namespace walspout {

// Files in PEM; empty: the library's defaults. Whether TLS is used the URL's scheme says.
struct TlsConfig {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool verify = true;
};

}  // namespace walspout
