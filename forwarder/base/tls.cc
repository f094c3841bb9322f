#include "base/tls.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace walspout {
namespace {

struct Cause {
  std::string_view sign;  // a part of the error's text, in lower case
  std::string_view remedy;
};

constexpr std::string_view kClock =
    "The receiver's certificate is not valid yet: look at the clocks of both machines";
constexpr std::string_view kExpired =
    "The receiver's certificate has expired: renew it, unless this machine's clock is wrong";
constexpr std::string_view kName =
    "url must name a host that the receiver's certificate is for, or the receiver needs another "
    "certificate";
constexpr std::string_view kTrust = "ca_file names the certificate of the authority to trust";
constexpr std::string_view kPort = "Is this a port for TLS?";
constexpr std::string_view kNoCommon =
    "The receiver and this machine have no version or cipher of TLS in common";

// Faults of the receiver, as we see them. The first match counts.
constexpr std::array kOurs = {
    Cause{"certificate has expired", kExpired},
    Cause{"not yet valid", kClock},
    Cause{"hostname mismatch", kName},
    Cause{"ip address mismatch", kName},
    Cause{"subject name", kName},
    Cause{"issuer", kTrust},
    Cause{"self-signed", kTrust},
    Cause{"self signed", kTrust},
    Cause{"unable to verify", kTrust},
    Cause{"certificate verify failed", kTrust},
    Cause{"certificate problem", kTrust},
    Cause{"wrong version number", kPort},
    Cause{"packet length too long", kPort},
    Cause{"http request", kPort},
    Cause{"unexpected eof", kPort},
    Cause{"unsupported protocol", kNoCommon},
    Cause{"alert protocol version", kNoCommon},
};

// The receiver's objections to our certificate, by the names of TLS alerts.
constexpr std::array<std::string_view, 6> kAboutOurs = {
    "bad certificate",     "unsupported certificate", "certificate revoked",
    "certificate expired", "certificate unknown",     "unknown ca",
};

bool has(std::string_view text, std::string_view sign) {
  return text.find(sign) != std::string_view::npos;
}

std::string_view about_our_certificate(std::string_view alert, const TlsConfig& tls) {
  const bool ours = !tls.cert_file.empty();
  if (has(alert, "certificate required")) {
    return "The receiver asks for a client certificate: set cert_file and key_file";
  }
  if (has(alert, "handshake failure")) {
    return ours ? "The receiver does not accept the certificate in cert_file, or has no cipher of "
                  "TLS in common with this machine"
                : "The receiver may ask for a client certificate: set cert_file and key_file. Or "
                  "it has no cipher of TLS in common with this machine";
  }
  const bool certificate = std::any_of(kAboutOurs.begin(), kAboutOurs.end(),
                                       [&](std::string_view name) { return has(alert, name); });
  if (!certificate) return "";
  if (!ours) return "The receiver may ask for a client certificate: set cert_file and key_file";
  return has(alert, "expired")
             ? "The certificate in cert_file has expired: renew it"
             : "The receiver does not accept the certificate in cert_file: let the receiver trust "
               "its authority, or use another certificate";
}

}  // namespace

std::string tls_remedy(std::string_view said, const TlsConfig& tls) {
  std::string text(said);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view remedy;
  if (const size_t alert = text.find(" alert "); alert != std::string::npos) {
    remedy = about_our_certificate(std::string_view(text).substr(alert), tls);
  }
  for (const Cause& cause : kOurs) {
    if (remedy.empty() && has(text, cause.sign)) remedy = cause.remedy;
  }
  return remedy.empty() ? "" : ". " + std::string(remedy);
}

}  // namespace walspout
