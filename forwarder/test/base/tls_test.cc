#include "base/tls.h"

#include <gmock/gmock.h>

namespace walspout::test {
namespace {

using testing::HasSubstr;

// The texts are those of OpenSSL 1.1 and 3, and of curl.
TEST(TlsTest, EachFaultHasItsRemedy) {
  const auto remedy = [](std::string_view text) { return tls_remedy(text, {}); };
  EXPECT_THAT(remedy("SSL certificate problem: certificate has expired"), HasSubstr("renew it"));
  EXPECT_THAT(remedy("certificate is not yet valid"), HasSubstr("clock"));
  for (const char* text : {"hostname mismatch", "Hostname mismatch", "IP address mismatch",
                           "SSL: no alternative certificate subject name matches target host name "
                           "'localhost'"}) {
    EXPECT_THAT(remedy(text), HasSubstr("url must name a host")) << text;
  }
  for (const char* text : {"unable to get local issuer certificate", "self-signed certificate",
                           "self signed certificate in certificate chain"}) {
    EXPECT_THAT(remedy(text), HasSubstr("ca_file")) << text;
  }
  EXPECT_THAT(remedy("wrong version number"), HasSubstr("port for TLS"));
  EXPECT_EQ(remedy("Connection refused"), "");
}

TEST(TlsTest, AlertsAreAboutOurCertificate) {
  TlsConfig tls;
  EXPECT_THAT(tls_remedy("tlsv13 alert certificate required", tls), HasSubstr("set cert_file"));
  EXPECT_THAT(tls_remedy("sslv3 alert handshake failure", tls), HasSubstr("set cert_file"));
  tls.cert_file = "x";
  EXPECT_THAT(tls_remedy("sslv3 alert certificate expired", tls),
              HasSubstr("cert_file has expired"));
  EXPECT_THAT(tls_remedy("tlsv1 alert unknown ca", tls), HasSubstr("trust its authority"));
  EXPECT_THAT(tls_remedy("sslv3 alert handshake failure", tls), HasSubstr("does not accept"));
}

}  // namespace
}  // namespace walspout::test
