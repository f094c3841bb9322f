#include "sink/common/socket.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/tls.h"
#include "sink/common/connect.h"

namespace walspout {
namespace {

constexpr size_t kSealAtOnce = 64 * 1024;
constexpr const char* kIsTls = ". Is this a port for TLS?";

// OpenSSL's reason for the last failure.
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

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Failure Socket::broken(std::string_view why) const {
  return retry("the connection broke: " + std::string(why), address_.name);
}

// A receiver reports only after the handshake that our certificate is missing.
Failure Socket::broken_tls() const {
  const std::string why = tls_error();
  return broken(why + tls_remedy(why, tls_));
}

Result<std::unique_ptr<Socket>> Socket::connect(const SocketAddress& address, TimePoint deadline) {
  std::unique_ptr<Socket> socket(new Socket(address));
  if (auto opened = socket->open(deadline); !opened) return tl::unexpected(opened.error());
  return socket;
}

Result<std::unique_ptr<Socket>> Socket::connect(const SocketAddress& address, const TlsConfig& tls,
                                                TimePoint deadline) {
  std::unique_ptr<Socket> socket(new Socket(address));
  if (auto set = socket->set_tls(tls); !set) return tl::unexpected(set.error());
  if (auto opened = socket->open(deadline); !opened) return tl::unexpected(opened.error());
  if (auto done = socket->shake_hands(deadline); !done) return tl::unexpected(done.error());
  return socket;
}

Result<void> Socket::start_tls(const TlsConfig& tls, TimePoint deadline) {
  if (auto set = set_tls(tls); !set) return set;
  return shake_hands(deadline);
}

Result<void> Socket::open(TimePoint deadline) {
  const auto fd = connect_to(address_.host, address_.port, deadline);
  if (!fd) return retry("could not connect: " + fd.error().what, address_.name);
  fd_ = *fd;
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  // However this process ends, the kernel must drop what it has not sent. Otherwise that could
  // arrive after the same events came again on another connection.
  const linger drop{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
  return {};
}

Result<void> Socket::set_tls(const TlsConfig& tls) {
  const std::string& host = address_.host;
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
    return fatal("could not read ca_file: it must be a PEM file that this process may read",
                 address_.name);
  }
  if (!tls.cert_file.empty() &&
      (SSL_CTX_use_certificate_chain_file(context, tls.cert_file.c_str()) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1)) {
    return fatal(
        "could not read cert_file or key_file: they must be PEM files that this process may read",
        address_.name);
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

Result<void> Socket::shake_hands(TimePoint deadline) {
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int why = SSL_get_error(ssl_.get(), done);
    const auto sent = send_sealed();  // also sends an alert that tells the receiver what is wrong
    if (done == 1) return sent;
    if (why != SSL_ERROR_WANT_READ) {
      const long verified = SSL_get_verify_result(ssl_.get());
      const std::string text =
          verified == X509_V_OK || !tls_.verify
              ? tls_error()
              : "the " + address_.peer +
                    "'s certificate cannot be verified: " + X509_verify_cert_error_string(verified);
      return retry("could not connect: " + text + tls_remedy(text, tls_), address_.name);
    }
    if (!sent) return retry("could not connect: " + sent.error().what + kIsTls, address_.name);
    const auto got = receive_sealed();
    if (!got) return retry("could not connect: " + got.error().what + kIsTls, address_.name);
    if (*got) continue;
    if (Clock::now() >= deadline) {
      return retry(std::string("could not connect: no answer to TLS in time") + kIsTls,
                   address_.name);
    }
    wait(false, deadline);
  }
}

Result<size_t> Socket::send_plain(std::string_view bytes) const {
  for (;;) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return broken(strerror(errno));
  }
}

Result<size_t> Socket::receive_plain(char* buffer, size_t size) const {
  for (;;) {
    const ssize_t got = recv(fd_, buffer, size, 0);
    if (got > 0) return static_cast<size_t>(got);
    if (got == 0) return broken("the " + address_.peer + " closed it");
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
    return broken(strerror(errno));
  }
}

// Moves what TLS has written to memory on to the kernel.
Result<void> Socket::send_sealed() {
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

// Moves bytes from the kernel into the memory that TLS reads. False: there were none.
Result<bool> Socket::receive_sealed() {
  std::array<char, 32 * 1024> buffer;
  const auto got = receive_plain(buffer.data(), buffer.size());
  if (!got) return tl::unexpected(got.error());
  if (*got == 0) return false;
  BIO_write(SSL_get_rbio(ssl_.get()), buffer.data(), static_cast<int>(*got));
  return true;
}

// The receiver may have sent the reason in an alert before it closed the connection.
Failure Socket::prefer_alert(Error error) {
  char byte = 0;
  const auto got = receive(&byte, 1);
  const bool alert = !got && got.error().what.find(" alert ") != std::string::npos;
  return Failure(alert ? got.error() : std::move(error));
}

Result<size_t> Socket::send(std::string_view bytes) {
  if (ssl_ == nullptr) return bytes.empty() ? 0 : send_plain(bytes);
  if (auto sent = send_sealed(); !sent) return prefer_alert(sent.error());
  if (bytes.empty() || has_sealed()) return 0;
  ERR_clear_error();
  const size_t most = std::min(bytes.size(), kSealAtOnce);
  const int taken = SSL_write(ssl_.get(), bytes.data(), static_cast<int>(most));
  if (taken <= 0) return broken_tls();
  if (auto sent = send_sealed(); !sent) return prefer_alert(sent.error());
  return static_cast<size_t>(taken);
}

Result<size_t> Socket::receive(char* buffer, size_t size) {
  if (ssl_ == nullptr) return receive_plain(buffer, size);
  for (;;) {
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), buffer, static_cast<int>(size));
    if (got > 0) return static_cast<size_t>(got);
    const int why = SSL_get_error(ssl_.get(), got);
    if (why == SSL_ERROR_ZERO_RETURN) return broken("the " + address_.peer + " closed it");
    if (why != SSL_ERROR_WANT_READ) return broken_tls();
    const auto more = receive_sealed();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return 0;
  }
}

void Socket::wait(bool or_send, TimePoint until) const {
  pollfd waiting{fd_, static_cast<short>(or_send ? POLLIN | POLLOUT : POLLIN), 0};
  poll(&waiting, 1, poll_timeout(until));
}

bool Socket::has_unsent() const {
  int left = 0;
  return has_sealed() || (ioctl(fd_, SIOCOUTQ, &left) == 0 && left > 0);
}

void Socket::close_gently() {
  const linger deliver{0, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &deliver, sizeof deliver);
}

}  // namespace walspout
