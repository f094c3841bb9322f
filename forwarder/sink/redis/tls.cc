#include "sink/redis/tls.h"

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>

#include "base/tls.h"
#include "sink/common/connect.h"
#include "sink/redis/link.h"

namespace walspout {
namespace {

struct FreeSsl {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

// A server with several certificates chooses one by this name, so send it even without
// verification.
bool say_name(SSL* ssl, const std::string& host) {
  return is_address(host) || SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

// hiredis checks the chain but not the name, so ask OpenSSL to check the name.
bool expect_name(SSL* ssl, const std::string& host) {
  if (is_address(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  }
  return SSL_set1_host(ssl, host.c_str()) == 1;
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
  if (ssl == nullptr || !say_name(ssl.get(), endpoint.host) ||
      (files.verify && !expect_name(ssl.get(), endpoint.host))) {
    return fatal("the host is not a name that a certificate could have", endpoint.name());
  }
  // hiredis frees the SSL object, unless the handshake fails.
  if (redisInitiateSSL(context, ssl.get()) != REDIS_OK) {
    const long verdict = SSL_get_verify_result(ssl.get());
    const std::string said = files.verify && verdict != X509_V_OK
                                 ? X509_verify_cert_error_string(verdict)
                                 : context->errstr;
    const std::string remedy = tls_remedy(said, files);
    std::string what = "TLS failed: " + said + remedy;
    if (remedy.empty()) what += ". Does the server expect TLS on this port?";
    return retry(std::move(what), endpoint.name());
  }
  static_cast<void>(ssl.release());
  return {};
}

}  // namespace walspout
