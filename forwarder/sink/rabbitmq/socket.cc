#include "sink/rabbitmq/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sink/common/connect.h"
#include "sink/common/tls.h"

namespace walspout {
namespace {

constexpr size_t kSealAtOnce = 64 * 1024;
constexpr const char* kIsTls = ". Is this a port for TLS?";

// OpenSSL's own words on what failed.
std::string tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "TLS failed" : reason;
}

int poll_timeout(TimePoint until) {
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

}  // namespace

Result<RabbitmqEndpoint> RabbitmqEndpoint::parse(const std::string& url) {
  std::string copy = url;  // the parser writes into it
  amqp_connection_info info;
  amqp_default_connection_info(&info);
  if (amqp_parse_url(copy.data(), &info) != AMQP_STATUS_OK) {
    return fatal(
        "url is not one of RabbitMQ: it looks like amqp://USER:PASSWORD@HOST[:PORT][/VHOST], or "
        "amqps://... for TLS; other characters than letters and digits in user, password and vhost "
        "are percent-encoded");
  }
  RabbitmqEndpoint endpoint;
  endpoint.host = info.host;
  endpoint.port = info.port;
  endpoint.user = info.user;
  endpoint.password = Secret(info.password);
  endpoint.vhost = info.vhost == nullptr || *info.vhost == '\0' ? "/" : info.vhost;
  endpoint.tls = info.ssl != 0;
  return endpoint;
}

std::string RabbitmqEndpoint::name() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (tls ? "amqps://" : "amqp://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port) + (vhost == "/" ? "" : "/" + vhost);
}

RabbitmqSocket::~RabbitmqSocket() {
  if (fd_ >= 0) close(fd_);
}

Failure RabbitmqSocket::broken(std::string_view why) const {
  return retry("the connection broke: " + std::string(why), name_);
}

// A broker says only after the handshake that it lacks a certificate of ours.
Failure RabbitmqSocket::broken_tls() const {
  const std::string why = tls_error();
  return broken(why + tls_remedy(why, tls_));
}

Result<std::unique_ptr<RabbitmqSocket>> RabbitmqSocket::connect(const RabbitmqEndpoint& endpoint,
                                                                const TlsConfig& tls,
                                                                TimePoint deadline) {
  std::unique_ptr<RabbitmqSocket> socket(new RabbitmqSocket(endpoint.name()));
  if (endpoint.tls) {
    if (auto set = socket->set_tls(endpoint.host, tls); !set) return tl::unexpected(set.error());
  }
  if (auto opened = socket->open(endpoint, deadline); !opened) {
    return tl::unexpected(opened.error());
  }
  if (endpoint.tls) {
    if (auto done = socket->shake_hands(deadline); !done) return tl::unexpected(done.error());
  }
  return socket;
}

Result<void> RabbitmqSocket::open(const RabbitmqEndpoint& endpoint, TimePoint deadline) {
  const auto fd = connect_to(endpoint.host, endpoint.port, deadline);
  if (!fd) return retry("could not connect: " + fd.error().what, name_);
  fd_ = *fd;
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // What the kernel has not sent when the connection ends, by whatever end of this process, would
  // be published later, after the same events came again on another connection.
  const linger drop{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
  return {};
}

Result<void> RabbitmqSocket::set_tls(const std::string& host, const TlsConfig& tls) {
  tls_ = tls;
  context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = context_.get();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, tls.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  ERR_clear_error();
  if (tls.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else if (SSL_CTX_load_verify_locations(context, tls.ca_file.c_str(), nullptr) != 1) {
    return fatal("could not read ca_file: it must be a PEM file that this process may read", name_);
  }
  if (!tls.cert_file.empty() &&
      (SSL_CTX_use_certificate_chain_file(context, tls.cert_file.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1)) {
    return fatal(
        "could not read cert_file or key_file: they must be PEM files that this process may read",
        name_);
  }
  ssl_.reset(SSL_new(context));
  SSL* ssl = ssl_.get();
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl);
  if (is_address(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  }
  return {};
}

Result<void> RabbitmqSocket::shake_hands(TimePoint deadline) {
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int why = SSL_get_error(ssl_.get(), done);
    const auto sent = send_sealed();  // an alert, too, says what is wrong
    if (done == 1) return sent;
    if (why != SSL_ERROR_WANT_READ) {
      const long verified = SSL_get_verify_result(ssl_.get());
      const std::string text = verified == X509_V_OK || !tls_.verify
                                   ? tls_error()
                                   : std::string("the broker's certificate cannot be verified: ") +
                                         X509_verify_cert_error_string(verified);
      return retry("could not connect: " + text + tls_remedy(text, tls_), name_);
    }
    if (!sent) return retry("could not connect: " + sent.error().what + kIsTls, name_);
    const auto got = receive_sealed();
    if (!got) return retry("could not connect: " + got.error().what + kIsTls, name_);
    if (*got) continue;
    if (Clock::now() >= deadline) {
      return retry(std::string("could not connect: no answer to TLS in time") + kIsTls, name_);
    }
    wait(false, deadline);
  }
}

Result<size_t> RabbitmqSocket::send_plain(std::string_view bytes) const {
  for (;;) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return broken(strerror(errno));
  }
}

Result<size_t> RabbitmqSocket::receive_plain(char* buffer, size_t size) const {
  for (;;) {
    const ssize_t got = recv(fd_, buffer, size, 0);
    if (got > 0) return static_cast<size_t>(got);
    if (got == 0) return broken("the broker closed it");
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return broken(strerror(errno));
  }
}

// What TLS has written to memory, on to the kernel.
Result<void> RabbitmqSocket::send_sealed() {
  char* written = nullptr;
  BIO* memory = SSL_get_wbio(ssl_.get());
  const long size = BIO_get_mem_data(memory, &written);
  if (size > 0) sealed_.append(written, static_cast<size_t>(size));
  static_cast<void>(BIO_reset(memory));
  size_t done = 0;
  while (done < sealed_.size()) {
    const auto sent = send_plain(std::string_view(sealed_).substr(done));
    if (!sent) return tl::unexpected(sent.error());
    if (*sent == 0) break;
    done += *sent;
  }
  sealed_.erase(0, done);
  return {};
}

// From the kernel into the memory that TLS reads. False: there was nothing.
Result<bool> RabbitmqSocket::receive_sealed() {
  std::array<char, 32 * 1024> buffer;
  const auto got = receive_plain(buffer.data(), buffer.size());
  if (!got) return tl::unexpected(got.error());
  if (*got == 0) return false;
  BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(*got));
  return true;
}

// The broker may have said why before it closed the connection.
Failure RabbitmqSocket::last_words(Error error) {
  char byte = 0;
  const auto got = receive(&byte, 1);
  const bool alert = !got && got.error().what.find(" alert ") != std::string::npos;
  return Failure(alert ? got.error() : std::move(error));
}

Result<size_t> RabbitmqSocket::send(std::string_view bytes) {
  if (ssl_ == nullptr) return bytes.empty() ? 0 : send_plain(bytes);
  if (auto sent = send_sealed(); !sent) return last_words(sent.error());
  if (bytes.empty() || has_sealed()) return 0;
  ERR_clear_error();
  const size_t most = std::min(bytes.size(), kSealAtOnce);
  const int taken = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(most));
  if (taken <= 0) return broken_tls();
  if (auto sent = send_sealed(); !sent) return last_words(sent.error());
  return static_cast<size_t>(taken);
}

Result<size_t> RabbitmqSocket::receive(char* buffer, size_t size) {
  if (ssl_ == nullptr) return receive_plain(buffer, size);
  for (;;) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), buffer, static_cast<int>(size));
    if (got > 0) return static_cast<size_t>(got);
    const int why = SSL_get_error(ssl_.get(), got);
    if (why == SSL_ERROR_ZERO_RETURN) return broken("the broker closed it");
    if (why != SSL_ERROR_WANT_READ) return broken_tls();
    const auto more = receive_sealed();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return 0;
  }
}

void RabbitmqSocket::wait(bool or_send, TimePoint until) const {
  pollfd waiting{fd_, static_cast<short>(or_send ? POLLIN | POLLOUT : POLLIN), 0};
  poll(&waiting, 1, poll_timeout(until));
}

void RabbitmqSocket::close_gently() {
  const linger deliver{0, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &deliver, sizeof deliver);
}

}  // namespace walspout
