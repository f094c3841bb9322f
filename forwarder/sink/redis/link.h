// One connection to Redis that never waits past a deadline.
//
// hiredis connects, speaks TLS and parses replies; this class moves the bytes. The socket does not
// block: while commands go out, replies come in, so that neither side's buffers can fill up and
// stop both. Replies to a transaction are counted as they are parsed and never become objects.
#pragma once

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "sink/redis/config.h"

namespace walspout {

// The address of Redis, and our user there.
struct RedisEndpoint {
  std::string host;  // empty: unix socket
  int port = 6379;
  std::string unix_socket;  // path; empty: TCP
  std::string user;         // empty: the default user
  Secret password;          // empty, and no user: no AUTH
  int database = 0;
  bool tls = false;
  TlsConfig files;  // for TLS

  // redis://[[user]:password@]host[:port][/db], rediss:// for TLS,
  // unix://[[user]:password@]/path[?db=n]. Error: kFatal, without the url in its text.
  [[nodiscard]] static Result<RedisEndpoint> parse(std::string_view url);

  // For messages: without user and password.
  std::string name() const;
  // name() with the number of the database, unless that is 0.
  std::string database_name() const;
};

// The error if url asks for TLS and hiredis has none: kFatal.
[[nodiscard]] Failure redis_without_tls(std::string where);

// The replies to MULTI, n commands and EXEC, or to one command without these.
struct RedisTransaction {
  struct Refusal {
    size_t index;  // of the command in the transaction, from 0
    std::string text;
  };

  size_t expected = 0;            // how many replies there will be, with EXEC's
  size_t replies = 0;             // complete ones
  std::string queue_error;        // why a command was not queued; nothing was executed
  size_t queue_error_reply = 0;   // which reply that was, from 0
  std::string exec_error;         // EXEC itself was refused; nothing was executed
  std::vector<Refusal> refusals;  // executed and refused; the others were done
  size_t executed = 0;            // elements of EXEC's reply
  int64_t integer = 0;            // a reply that is a number
};

class RedisLink {
 public:
  struct FreeReply {
    void operator()(redisReply* reply) const { freeReplyObject(reply); }
  };
  using Reply = std::unique_ptr<redisReply, FreeReply>;

  // Connects, authenticates, selects the database. Error: kRetry if the server is unreachable or
  // not ready, kFatal if it rejects the configuration.
  [[nodiscard]] static Result<std::unique_ptr<RedisLink>> open(const RedisEndpoint& endpoint,
                                                               TimePoint deadline);
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  // False if the server has closed the connection meanwhile. Does not wait.
  [[nodiscard]] bool alive();

  // After an error of any of these, give up the connection: replies may still arrive.

  // Sends a command and returns its reply, also an error reply. Error: kRetry.
  [[nodiscard]] Result<Reply> command(const std::vector<std::string_view>& words,
                                      TimePoint deadline);
  // Sends without waiting for the reply; receive() returns replies in order.
  [[nodiscard]] Result<void> send(const std::vector<std::string_view>& words, TimePoint deadline);
  [[nodiscard]] Result<Reply> receive(TimePoint deadline);

  // Counts the next replies into `transaction`, after those of earlier transactions. The caller
  // must not move or free `transaction` until it is complete or the connection is given up. Until
  // then no other function may ask for a reply.
  void expect(RedisTransaction* transaction);
  // Hands all of `head`, then all of `body`, to the kernel.
  [[nodiscard]] Result<void> write(std::string_view head, std::string_view body,
                                   TimePoint deadline);
  // Waits until all replies of an expected transaction have been counted.
  [[nodiscard]] Result<void> await(const RedisTransaction& transaction, TimePoint deadline);

 private:
  struct FreeContext {
    void operator()(redisContext* context) const { redisFree(context); }
  };

  explicit RedisLink(redisContext* context, std::string name);
  [[nodiscard]] Result<void> introduce(const RedisEndpoint& endpoint, TimePoint deadline);
  [[nodiscard]] Result<size_t> write_some(std::string_view head, std::string_view body);
  [[nodiscard]] Result<void> read_some();
  void count_into_next();
  // Waits until the socket is readable, or, with `want_write`, writable. True if readable.
  [[nodiscard]] Result<bool> wait(bool want_write, TimePoint deadline);
  Failure broken(std::string_view doing) const;

  std::unique_ptr<redisContext, FreeContext> context_;
  std::string name_;                              // the place, for errors
  bool plain_ = true;                             // no TLS: write to the socket directly
  TlsConfig tls_;                                 // for the remedy in TLS errors
  redisReplyObjectFunctions* objects_ = nullptr;  // hiredis' own
  std::deque<RedisTransaction*> expected_;        // in the order of their replies
  RedisTransaction* transaction_ = nullptr;       // the first of them; hiredis has its address
};

}  // namespace walspout
