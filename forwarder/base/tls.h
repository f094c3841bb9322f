// TLS of a sink's connections, and what to do where TLS fails.
#pragma once

#include <string>
#include <string_view>

namespace walspout {

// Files in PEM; empty: the library's defaults. Whether TLS is used the URL's scheme says.
struct TlsConfig {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool verify = true;
};

// The remedy as further sentences, with ". " before them; empty if TLS is not the cause. Pure: it
// reads what OpenSSL, or a library on top of it, says.
[[nodiscard]] std::string tls_remedy(std::string_view said, const TlsConfig& tls);

}  // namespace walspout
