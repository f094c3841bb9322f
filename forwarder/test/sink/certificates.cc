#include "test/sink/certificates.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <cstdio>
#include <memory>

namespace walspout::test {
namespace {

constexpr long kDay = 24 * 60 * 60;

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  void operator()(FILE* file) const { fclose(file); }
};

void add_extension(X509* certificate, int kind, const std::string& value) {
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
  ASSERT_NE(extension, nullptr);
  X509_add_ext(certificate, extension.get(), -1);
}

}  // namespace

void make_certificate(const Certificate& wanted) {
  const std::unique_ptr<EVP_PKEY, Free> key(EVP_RSA_gen(2048));
  const std::unique_ptr<X509, Free> made(X509_new());
  X509* certificate = made.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), wanted.from_day * kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate), wanted.to_day * kDay);
  X509_set_pubkey(certificate, key.get());
  X509_NAME* subject = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(wanted.name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(certificate, subject);
  add_extension(certificate, NID_subject_alt_name, "DNS:" + wanted.name);
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  ASSERT_GT(X509_sign(certificate, key.get(), EVP_sha256()), 0);
  const std::unique_ptr<FILE, Free> cert_file(fopen(wanted.cert_file.c_str(), "w"));
  const std::unique_ptr<FILE, Free> key_file(fopen(wanted.key_file.c_str(), "w"));
  ASSERT_EQ(PEM_write_X509(cert_file.get(), certificate), 1);
  ASSERT_EQ(PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr),
            1);
}

std::vector<TlsFault> tls_faults() {
  TlsFault expired{"expired", "has expired: renew it"};
  expired.from_day = -9;
  expired.to_day = -3;
  TlsFault early{"not valid yet", "clock"};
  early.from_day = 3;
  early.to_day = 9;
  TlsFault name{"of another host", "url must name a host"};
  name.name = "elsewhere.test";
  TlsFault client{"asks for a certificate", "set cert_file and key_file"};
  client.asks_for_client = true;
  TlsFault stranger{"not trusted", "ca_file names the certificate of the authority"};
  stranger.other_ca = true;
  return {expired, early, name, client, stranger};
}

TlsServer::TlsServer(const TlsFault& fault) {
  make_certificate(
      {directory_.file("cert"), directory_.file("key"), fault.name, fault.from_day, fault.to_day});
  if (fault.other_ca) {
    ca_ = "other";
    make_certificate({directory_.file("other"), directory_.file("other.key")});
  }
  command_.argv = {
      "/usr/bin/python3",      std::string(WALSPOUT_TEST_SOURCES) + "/sink/http/http_server.py",
      directory_.path(),       std::to_string(port_),
      directory_.file("cert"), directory_.file("key")};
  if (fault.asks_for_client) command_.argv.push_back(directory_.file("cert"));
  command_.output = directory_.file("log");
  command_.package = "python3";
  cut();
}

void TlsServer::cut() {
  process_.stop(SIGKILL);
  EXPECT_TRUE(process_.start(command_));
  EXPECT_TRUE(wait_for(std::chrono::seconds(20), [this] { return accepts(port_); }))
      << read_file(directory_.file("log"));
}

}  // namespace walspout::test
