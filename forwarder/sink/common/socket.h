// Bytes to and from a receiver, over TCP or TLS. No function waits for the receiver to read.
//
// A receiver that lacks memory stops reading. Unread bytes stay here and in the kernel. Only
// connect(), start_tls() and wait() block, until their deadline at most.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/tls.h"

namespace walspout {

struct SocketAddress {
  std::string host;
  int port = 0;
  std::string name;              // for messages: without user and password
  std::string peer{"receiver"};  // what messages call it
};

class Socket {
 public:
  // Connects. Error: kRetry, the receiver cannot be reached.
  [[nodiscard]] static Result<std::unique_ptr<Socket>> connect(const SocketAddress& address,
                                                               TimePoint deadline);
  // Connects with TLS from the first byte on. Error: also kFatal, a TLS file cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<Socket>> connect(const SocketAddress& address,
                                                               const TlsConfig& tls,
                                                               TimePoint deadline);
  // Switches to TLS, when the receiver expects the handshake. Error: as connect().
  [[nodiscard]] Result<void> start_tls(const TlsConfig& tls, TimePoint deadline);

  // Drops what the kernel has not sent yet, unless close_gently() was called.
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Returns how many of the bytes were taken; 0 if none fit now. Error: kRetry, the connection
  // broke.
  [[nodiscard]] Result<size_t> send(std::string_view bytes);

  // Returns how many bytes were received; 0 if there are none now. Error: as send().
  [[nodiscard]] Result<size_t> receive(char* buffer, size_t size);

  // Waits until there is something to receive, or (`or_send`) room to send, at most until `until`.
  void wait(bool or_send, TimePoint until) const;

  // Bytes that send() took and the kernel did not.
  bool has_sealed() const { return !sealed_.empty(); }

  // Whether bytes that send() took have not reached the receiver's kernel.
  bool has_unsent() const;

  void close_gently();

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  explicit Socket(SocketAddress address) : address_(std::move(address)) {}
  [[nodiscard]] Result<void> open(TimePoint deadline);
  [[nodiscard]] Result<void> set_tls(const TlsConfig& tls);
  [[nodiscard]] Result<void> shake_hands(TimePoint deadline);
  [[nodiscard]] Result<size_t> send_plain(std::string_view bytes) const;
  [[nodiscard]] Result<size_t> receive_plain(char* buffer, size_t size) const;
  [[nodiscard]] Result<void> send_sealed();
  [[nodiscard]] Result<bool> receive_sealed();
  Failure broken(std::string_view why) const;
  Failure broken_tls() const;
  Failure prefer_alert(Error error);

  const SocketAddress address_;
  int fd_ = -1;
  TlsConfig tls_;  // for the remedy in TLS errors
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;  // null: plain. Reads and writes memory: send_sealed()
  std::string sealed_;
};

}  // namespace walspout
