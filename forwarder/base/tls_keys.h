// The keys of TLS in a configuration.
#pragma once

#include "base/keys.h"
#include "base/tls.h"

namespace walspout {

inline KeyTable<TlsConfig> tls_table() {
  KeyTable<TlsConfig> table;
  table.key("ca_file", &TlsConfig::ca_file, "PEM file of the authorities to trust")
      .set_default("the system's")
      .key("cert_file", &TlsConfig::cert_file, "PEM file of the certificate to show")
      .key("key_file", &TlsConfig::key_file, "PEM file of its key")
      .key("verify", &TlsConfig::verify, "`false`: trust any certificate");
  return table;
}

}  // namespace walspout
