#include "sink/redis/link.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/tls.h"
#include "sink/common/connect.h"
#include "sink/redis/errors.h"
#ifdef WALSPOUT_REDIS_TLS
#include <openssl/err.h>

#include "sink/redis/tls.h"
#endif

namespace walspout {
namespace {

constexpr int kLastReads = 64;            // reads after a connection broke
constexpr size_t kTlsPiece = 256 * 1024;  // hiredis copies what goes through TLS, so small pieces

// Stands for every reply object within a transaction: none is made, but hiredis expects a pointer
// that is not null.
char counted;

RedisTransaction& transaction_of(const redisReadTask* task) {
  return **static_cast<RedisTransaction**>(task->privdata);
}

void* count_string(const redisReadTask* task, char* text, size_t length) {
  RedisTransaction& transaction = transaction_of(task);
  if (task->type != REDIS_REPLY_ERROR) return &counted;
  if (task->parent != nullptr) {
    transaction.refusals.push_back({static_cast<size_t>(task->idx), std::string(text, length)});
  } else if (std::string_view(text, length).starts_with("EXECABORT")) {
    transaction.exec_error.assign(text, length);
  } else if (transaction.queue_error.empty()) {
    transaction.queue_error.assign(text, length);
    transaction.queue_error_reply = transaction.replies;
  }
  return &counted;
}

// The type of the length differs between versions of hiredis.
template <typename Length>
void* count_array(const redisReadTask* task, Length elements) {
  if (task->parent == nullptr) transaction_of(task).executed = static_cast<size_t>(elements);
  return &counted;
}

void* count_integer(const redisReadTask* task, long long value) {
  if (task->parent == nullptr) transaction_of(task).integer = value;
  return &counted;
}

void* count_nil(const redisReadTask*) {
  return &counted;
}

void count_free(void*) {}

redisReplyObjectFunctions* counting_functions() {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions made{};
    made.createString = count_string;
    made.createArray = count_array;
    made.createInteger = count_integer;
    made.createNil = count_nil;
    made.freeObject = count_free;
    return made;
  }();
  return &functions;
}

// Replies outside transactions are short. hiredis allocates as many elements as a reply announces,
// before it has read one of them.
constexpr size_t kMostElements = 1u << 16;
decltype(redisReplyObjectFunctions::createArray) create_array;

template <typename Length>
void* limited_array(const redisReadTask* task, Length elements) {
  if (static_cast<size_t>(elements) > kMostElements) return nullptr;
  return create_array(task, elements);
}

// hiredis' own functions, with that limit.
redisReplyObjectFunctions* limited_functions(const redisReplyObjectFunctions* own) {
  static redisReplyObjectFunctions functions = [own] {
    redisReplyObjectFunctions made = *own;
    create_array = made.createArray;
    made.createArray = limited_array;
    return made;
  }();
  return &functions;
}

timeval time_left(TimePoint deadline) {
  using std::chrono::microseconds;
  const auto left = std::chrono::duration_cast<microseconds>(deadline - Clock::now());
  const auto most = std::max(left, microseconds(1000)).count();
  return {static_cast<time_t>(most / 1'000'000), static_cast<suseconds_t>(most % 1'000'000)};
}

// Decodes percent-encoding in user and password.
std::string decoded(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(&text[i + 1], &text[i + 1] + 2, byte, 16).ptr == &text[i + 1] + 2) {
      plain += static_cast<char>(byte);
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool parse_number(std::string_view text, int& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return stop == end && error == std::errc() && number >= 0;
}

Result<RedisEndpoint> bad_url(std::string_view why) {
  return fatal("url is not one of Redis: " + std::string(why) +
               "; it looks like redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://... for TLS, "
               "or unix://[USER:PASSWORD@]/PATH[?db=DB]");
}

}  // namespace

Result<RedisEndpoint> RedisEndpoint::parse(std::string_view url) {
  RedisEndpoint endpoint;
  const size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return bad_url("it has no scheme");
  const std::string_view scheme = url.substr(0, scheme_end);
  std::string_view rest = url.substr(scheme_end + 3);

  const bool local = scheme == "unix" || scheme == "redis+unix";
  if (!local && scheme != "redis" && scheme != "rediss") return bad_url("its scheme is unknown");
  endpoint.tls = scheme == "rediss";

  // A password may have a slash in it; a host may not.
  const size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view login = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    const size_t colon = login.find(':');
    if (colon == std::string_view::npos) return bad_url("a user needs a password");
    endpoint.user = decoded(login.substr(0, colon));
    endpoint.password = Secret(decoded(login.substr(colon + 1)));
  }

  std::string_view database;
  if (local) {
    const size_t question = rest.find("?db=");
    if (question != std::string_view::npos) {
      database = rest.substr(question + 4);
      rest = rest.substr(0, question);
    }
    if (!rest.starts_with('/')) return bad_url("the path of the socket does not begin with /");
    endpoint.unix_socket = rest;
  } else {
    const size_t slash = rest.find('/');
    if (slash != std::string_view::npos) {
      database = rest.substr(slash + 1);
      rest = rest.substr(0, slash);
    }
    // [::1]:6379 or host:6379
    const size_t bracket = rest.rfind(']');
    const size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
      if (!parse_number(rest.substr(colon + 1), endpoint.port) || endpoint.port > 65535) {
        return bad_url("its port is no number up to 65535");
      }
      rest = rest.substr(0, colon);
    }
    if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
    if (rest.empty()) return bad_url("it has no host");
    endpoint.host = rest;
  }
  if (!database.empty() && !parse_number(database, endpoint.database)) {
    return bad_url("its database is no number, or too large a number");
  }
  return endpoint;
}

std::string RedisEndpoint::name() const {
  if (host.empty()) return "unix://" + unix_socket;
  const bool v6 = host.find(':') != std::string::npos;
  return (tls ? "rediss://" : "redis://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

std::string RedisEndpoint::database_name() const {
  if (database == 0) return name();
  return name() + (host.empty() ? "?db=" : "/") + std::to_string(database);
}

Failure redis_without_tls(std::string where) {
  return fatal(
      "url asks for TLS (rediss://), but this hiredis has none: build with hiredis 1.0 or later, "
      "with its TLS library (Debian 13 has it), or connect through a TLS proxy such as stunnel",
      std::move(where));
}

RedisLink::RedisLink(redisContext* context, std::string name)
    : context_(context), name_(std::move(name)), objects_(limited_functions(context->reader->fn)) {
  context_->reader->fn = objects_;
  // Set this pointer only once: the reader copies it for the next reply when it has looked for one
  // without success. A value set per transaction could be outdated.
  context->reader->privdata = &transaction_;
}

RedisLink::~RedisLink() {
  // hiredis frees a half-read reply with our functions, so free it while all members exist.
  redisFree(context_.release());
}

Result<std::unique_ptr<RedisLink>> RedisLink::open(const RedisEndpoint& endpoint,
                                                   TimePoint deadline) {
  redisContext* context = nullptr;
  if (endpoint.host.empty()) {
    context = redisConnectUnixWithTimeout(endpoint.unix_socket.c_str(), time_left(deadline));
  } else {
    const auto fd = connect_to(endpoint.host, endpoint.port, deadline);
    if (!fd) return retry("could not connect to Redis: " + fd.error().what, endpoint.name());
    const int on = 1;
    setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    context = redisConnectFd(*fd);
    if (context == nullptr) close(*fd);
  }
  if (context == nullptr) return retry("could not connect: out of memory", endpoint.name());
  std::unique_ptr<RedisLink> link(new RedisLink(context, endpoint.name()));
  if (context->err != 0) return link->broken("connect to");
  if (endpoint.tls) {
#ifdef WALSPOUT_REDIS_TLS
    // The handshake waits in hiredis.
    fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) & ~O_NONBLOCK);
    redisSetTimeout(context, time_left(deadline));
    ERR_clear_error();
    if (auto secured = redis_start_tls(context, endpoint); !secured) {
      return tl::unexpected(secured.error());
    }
    link->plain_ = false;
    link->tls_ = endpoint.files;
#else
    return redis_without_tls(endpoint.name());
#endif
  }
  // From here on only poll() waits.
  context->flags &= ~REDIS_BLOCK;
  fcntl(context->fd, F_SETFL, fcntl(context->fd, F_GETFL) | O_NONBLOCK);
  if (!endpoint.host.empty()) redisEnableKeepAlive(context);
  if (auto known = link->introduce(endpoint, deadline); !known) {
    return tl::unexpected(known.error());
  }
  return link;
}

Result<void> RedisLink::introduce(const RedisEndpoint& endpoint, TimePoint deadline) {
  // A user without a password can log in with any password, also an empty one.
  if (!endpoint.password.empty() || !endpoint.user.empty()) {
    std::vector<std::string_view> words = {"AUTH"};
    if (!endpoint.user.empty()) words.push_back(endpoint.user);
    words.push_back(endpoint.password.reveal());
    auto reply = command(words, deadline);
    if (!reply) return tl::unexpected(reply.error());
    if ((*reply)->type == REDIS_REPLY_ERROR) {
      return tl::unexpected(redis_error((*reply)->str, "", name_));
    }
  }
  const std::string database = std::to_string(endpoint.database);
  auto reply = command(endpoint.database == 0 ? std::vector<std::string_view>{"PING"}
                                              : std::vector<std::string_view>{"SELECT", database},
                       deadline);
  if (!reply) return tl::unexpected(reply.error());
  const std::string_view text = (*reply)->str != nullptr ? (*reply)->str : "";
  // A user who may not PING may still XADD.
  if ((*reply)->type == REDIS_REPLY_ERROR &&
      !(endpoint.database == 0 && text.starts_with("NOPERM"))) {
    return tl::unexpected(redis_error(text, "", name_));
  }
  return {};
}

bool RedisLink::alive() {
  pollfd socket = {context_->fd, POLLIN, 0};
  if (poll(&socket, 1, 0) == 0) return true;
  // No reply is expected, so readable bytes mean the end of the connection or an unexpected reply.
  return false;
}

Failure RedisLink::broken(std::string_view doing) const {
  const char* why = context_->err == REDIS_ERR_EOF ? "the server closed the connection"
                    : context_->err != 0           ? context_->errstr
                                                   : strerror(errno);
#ifdef WALSPOUT_REDIS_TLS
  // hiredis reports a TLS alert like any other end of the connection.
  const char* alert = plain_ ? nullptr : ERR_reason_error_string(ERR_peek_last_error());
  if (alert != nullptr) why = alert;
#endif
  const std::string remedy = plain_ ? "" : tls_remedy(why, tls_);
  return retry("could not " + std::string(doing) + " Redis: " + why + remedy, name_);
}

Result<bool> RedisLink::wait(bool want_write, TimePoint deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      return retry("Redis did not answer in time", name_);
    }
    pollfd socket = {context_->fd, static_cast<short>(want_write ? POLLIN | POLLOUT : POLLIN), 0};
    const int ready = poll(&socket, 1, static_cast<int>(std::min<int64_t>(left.count(), 60'000)));
    if (ready > 0) return (socket.revents & ~POLLOUT) != 0;
    if (ready < 0 && errno != EINTR) return broken("wait for");
  }
}

Result<void> RedisLink::read_some() {
  if (redisBufferRead(context_.get()) != REDIS_OK) return broken("read from");
  while (!expected_.empty()) {
    void* reply = nullptr;
    if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) {
      return broken("understand");
    }
    if (reply == nullptr) return {};
    RedisTransaction& transaction = *expected_.front();
    if (++transaction.replies < transaction.expected) continue;
    expected_.pop_front();
    count_into_next();
  }
  return {};
}

Result<size_t> RedisLink::write_some(std::string_view head, std::string_view body) {
  if (!plain_) {
    if (head.empty()) std::swap(head, body);
    head = head.substr(0, kTlsPiece);
    int done = 0;
    if (redisAppendFormattedCommand(context_.get(), head.data(), head.size()) != REDIS_OK ||
        redisBufferWrite(context_.get(), &done) != REDIS_OK) {
      return broken("write to");
    }
    return head.size();
  }
  std::array<iovec, 2> pieces = {iovec{const_cast<char*>(head.data()), head.size()},
                                 iovec{const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  const ssize_t sent = sendmsg(context_->fd, &message, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<size_t>(sent);
  if (errno == EAGAIN || errno == EINTR) return 0;
  return broken("write to");
}

Result<void> RedisLink::write(std::string_view head, std::string_view body, TimePoint deadline) {
  for (;;) {
    // First send what hiredis has buffered for TLS.
    bool held_back = false;
    if (!plain_) {
      int done = 0;
      if (redisBufferWrite(context_.get(), &done) != REDIS_OK) {
        return broken("write to");
      }
      held_back = done == 0;
    }
    if (!held_back) {
      if (head.empty() && body.empty()) return {};
      const auto sent = write_some(head, body);
      if (!sent) {
        // The server may have sent the reason before it closed the connection.
        for (int reads = 0; reads < kLastReads && !alive(); ++reads) {
          auto read = read_some();
          if (!read && !plain_) return read;  // an alert of TLS
          if (!read) break;
        }
        return tl::unexpected(sent.error());
      }
      const size_t of_head = std::min(*sent, head.size());
      head.remove_prefix(of_head);
      body.remove_prefix(*sent - of_head);
      if (*sent > 0) continue;
    }
    const auto readable = wait(true, deadline);
    if (!readable) return tl::unexpected(readable.error());
    if (*readable) {
      if (auto read = read_some(); !read) return read;
    }
  }
}

Result<void> RedisLink::await(const RedisTransaction& transaction, TimePoint deadline) {
  while (transaction.replies < transaction.expected) {
    const auto readable = wait(false, deadline);
    if (!readable) return tl::unexpected(readable.error());
    if (auto read = read_some(); !read) return read;
  }
  return {};
}

void RedisLink::expect(RedisTransaction* transaction) {
  expected_.push_back(transaction);
  count_into_next();
}

void RedisLink::count_into_next() {
  transaction_ = expected_.empty() ? nullptr : expected_.front();
  context_->reader->fn = expected_.empty() ? objects_ : counting_functions();
}

Result<void> RedisLink::send(const std::vector<std::string_view>& words, TimePoint deadline) {
  std::string command = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    command += "$" + std::to_string(word.size()) + "\r\n";
    command += word;
    command += "\r\n";
  }
  return write(command, "", deadline);
}

Result<RedisLink::Reply> RedisLink::receive(TimePoint deadline) {
  for (;;) {
    void* reply = nullptr;
    if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) {
      return broken("understand");
    }
    if (reply != nullptr) return Reply(static_cast<redisReply*>(reply));
    const auto readable = wait(false, deadline);
    if (!readable) return tl::unexpected(readable.error());
    if (auto read = read_some(); !read) return tl::unexpected(read.error());
  }
}

Result<RedisLink::Reply> RedisLink::command(const std::vector<std::string_view>& words,
                                            TimePoint deadline) {
  if (auto sent = send(words, deadline); !sent) return tl::unexpected(sent.error());
  return receive(deadline);
}

}  // namespace walspout
