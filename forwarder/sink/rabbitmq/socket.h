// Bytes to and from RabbitMQ, over TCP or TLS, without ever waiting for the broker to read.
//
// A broker that lacks memory stops reading. What it does not read stays here and in the kernel; no
// call blocks but connect() and wait(), which end at the time that they are given.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "sink/rabbitmq/config.h"
#include "stream/sink.h"

namespace walspout {

// Where RabbitMQ is and who we are there.
struct RabbitmqEndpoint {
  std::string host;
  int port = 0;
  std::string user;
  Secret password;
  std::string vhost;
  bool tls = false;

  // amqp[s]://[user:password@]host[:port][/vhost]. Error: kFatal; it does not repeat the url.
  [[nodiscard]] static Result<RabbitmqEndpoint> parse(const std::string& url);

  // For people: without user and password.
  std::string name() const;
};

class RabbitmqSocket {
 public:
  // Connects, TLS included. Error: kRetry if the broker is not there, kFatal if a file of TLS
  // cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<RabbitmqSocket>> connect(
      const RabbitmqEndpoint& endpoint, const TlsConfig& tls, TimePoint deadline);

  // Drops what the kernel has not sent yet, unless close_gently() was called.
  ~RabbitmqSocket();
  RabbitmqSocket(const RabbitmqSocket&) = delete;
  RabbitmqSocket& operator=(const RabbitmqSocket&) = delete;

  // How many of the bytes were taken; 0 while nothing more fits. Error: kRetry, the connection is
  // over.
  [[nodiscard]] Result<size_t> send(std::string_view bytes);

  // How many bytes have come; 0 if there are none now. Error: as send().
  [[nodiscard]] Result<size_t> receive(char* buffer, size_t size);

  // Until there is something to receive, or (`or_send`) room to send, or the time has come.
  void wait(bool or_send, TimePoint until) const;

  // Bytes that send() took and the kernel did not.
  bool has_sealed() const { return !sealed_.empty(); }

  void close_gently();

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  explicit RabbitmqSocket(std::string name) : name_(std::move(name)) {}
  [[nodiscard]] Result<void> open(const RabbitmqEndpoint& endpoint, TimePoint deadline);
  [[nodiscard]] Result<void> set_tls(const std::string& host, const TlsConfig& tls);
  [[nodiscard]] Result<void> shake_hands(TimePoint deadline);
  [[nodiscard]] Result<size_t> send_plain(std::string_view bytes) const;
  [[nodiscard]] Result<size_t> receive_plain(char* buffer, size_t size) const;
  [[nodiscard]] Result<void> send_sealed();
  [[nodiscard]] Result<bool> receive_sealed();
  Failure broken(std::string_view why) const;
  Failure broken_tls() const;
  Failure last_words(Error error);

  const std::string name_;
  int fd_ = -1;
  TlsConfig tls_;  // for what to say where that fails
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;  // null: plain. It reads and writes memory, see send_sealed()
  std::string sealed_;
};

}  // namespace walspout
