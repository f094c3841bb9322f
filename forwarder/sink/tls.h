// What to do where TLS fails. Pure: it reads what OpenSSL, or a library on top of it, says.
#pragma once

#include <string>
#include <string_view>

#include "sink/config.h"

namespace walspout {

// The remedy as further sentences, with ". " before them; empty if TLS is not the cause.
[[nodiscard]] std::string tls_remedy(std::string_view said, const TlsConfig& tls);

}  // namespace walspout
