#include "sink/redis/tls.h"

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>

#include "sink/redis/link.h"

namespace walspout {
namespace {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes;
  return inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// hiredis checks the chain but not the name: that is asked of OpenSSL here.
bool expect_name(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  return SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

Failure unreadable(std::string_view option, const std::string& file,
                   const RedisEndpoint& endpoint) {
  return fatal("could not read " + std::string(option) + " \"" + file +
                   "\": it must be a PEM file that this process may read",
               endpoint.name());
}

}  // namespace

Result<void> redis_start_tls(redisContext* context, const RedisEndpoint& endpoint) {
  const std::unique_ptr<SSL_CTX, FreeSsl> settings(SSL_CTX_new(TLS_client_method()));
  if (settings == nullptr) return retry("could not start TLS: out of memory");
  SSL_CTX_set_min_proto_version(settings.get(), TLS1_2_VERSION);
  const TlsConfig& files = endpoint.files;
  SSL_CTX_set_verify(settings.get(), files.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  const bool trusting =
      files.ca_file.empty()
          ? SSL_CTX_set_default_verify_paths(settings.get()) == 1
          : SSL_CTX_load_verify_locations(settings.get(), files.ca_file.c_str(), nullptr) == 1;
  if (!trusting) return unreadable("ca_file", files.ca_file, endpoint);
  if (!files.cert_file.empty() &&
      SSL_CTX_use_certificate_chain_file(settings.get(), files.cert_file.c_str()) != 1) {
    return unreadable("cert_file", files.cert_file, endpoint);
  }
  if (!files.key_file.empty() &&
      SSL_CTX_use_PrivateKey_file(settings.get(), files.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unreadable("key_file", files.key_file, endpoint);
  }
  std::unique_ptr<SSL, FreeSsl> ssl(SSL_new(settings.get()));
  if (ssl == nullptr || (files.verify && !expect_name(ssl.get(), endpoint.host))) {
    return fatal("the host is not a name that a certificate could have", endpoint.name());
  }
  // hiredis frees what it is given, unless the handshake fails.
  if (redisInitiateSSL(context, ssl.get()) != REDIS_OK) {
    const long verdict = SSL_get_verify_result(ssl.get());
    std::string what = "TLS failed: ";
    if (files.verify && verdict != X509_V_OK) {
      what += X509_verify_cert_error_string(verdict);
      what += ". ca_file names the certificate of the authority to trust";
    } else {
      what += context->errstr;
      what += ". Does the server expect TLS on this port?";
    }
    return retry(std::move(what), endpoint.name());
  }
  static_cast<void>(ssl.release());
  return {};
}

}  // namespace walspout
