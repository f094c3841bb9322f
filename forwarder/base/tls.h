// TLS of a sink's connections, and remedies when TLS fails.
#pragma once

#include <string>
#include <string_view>

namespace walspout {

// Files in PEM; empty: the library's defaults. The URL's scheme decides whether TLS is used.
struct TlsConfig {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool verify = true;
};

// The remedy as further sentences, with ". " before them; empty if TLS is not the cause. Pure: it
// only reads the error text of OpenSSL, or of a library that uses it.
[[nodiscard]] std::string tls_remedy(std::string_view said, const TlsConfig& tls);

}  // namespace walspout
