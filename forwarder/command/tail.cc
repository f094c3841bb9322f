// `walspout tail`: shows changes as they come, from a temporary slot that is dropped when the
// command ends.
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "command/commands.h"
#include "source/ack.h"
#include "source/aside.h"
#include "source/feedback.h"
#include "source/frames.h"
#include "source/slot_wait.h"
#include "source/source.h"

namespace walspout {

namespace {

constexpr Milliseconds kBlocked{1000};

const Wake* interrupt = nullptr;
std::atomic<bool> interrupted{false};

void on_signal(int) {
  interrupted = true;
  (*interrupt)();
}

class Tail {
 public:
  explicit Tail(const TailOptions& options) : options_(options), terminal_(isatty(STDOUT_FILENO)) {}

  Result<void> run();

 private:
  Result<void> stream(Connection& connection);
  Result<void> take(Message message);
  void print(const Event& event);
  Result<bool> flush(Connection& connection);
  Result<void> wait_for_reader(Connection& connection);

  const TailOptions& options_;
  const bool terminal_;
  Wake wake_;
  SourceConfig source_;
  Aside aside_{source_};
  FrameDecoder decoder_;
  AckTracker acks_;
  std::string out_;
};

Result<void> Tail::run() {
  interrupt = &wake_;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);

  Secret dsn(options_.dsn);
  Result<void> good = Connection::check_dsn(dsn);
  if (!good) return good;
  auto connection =
      Connection::open(dsn, Connection::Mode::kReplication, Clock::now() + std::chrono::seconds(10),
                       wake_, [] { return interrupted.load(); });
  if (!connection) return Failure(std::move(connection.error()));

  source_.dsn = dsn;
  source_.slot = "walspout_tail_" + std::to_string(getpid());
  source_.publications = options_.publications;
  source_.batch_bytes = 8192;
  source_.schemas = options_.schemas;
  source_.dialect = options_.dialect;
  std::optional<SlotWait> waits;
  waits.emplace(*connection, dsn, [](const std::string& what) {
    std::fprintf(stderr, "walspout: the temporary slot is not created yet. It waits for %s\n",
                 what.c_str());
  });
  auto created =
      connection->query("CREATE_REPLICATION_SLOT " + Connection::quote_name(source_.slot) +
                            " TEMPORARY LOGICAL walspout NOEXPORT_SNAPSHOT",
                        TimePoint::max());
  waits.reset();
  if (!created)
    return with_prefix("could not create a temporary slot", std::move(created.error().error));
  auto started = connection->start_streaming(start_replication(source_, Lsn{}),
                                             Clock::now() + std::chrono::seconds(30));
  if (!started) return Failure(std::move(started.error().error));
  if (terminal_) std::fprintf(stderr, "waiting for changes; Ctrl-C ends\n");
  return stream(*connection);
}

Result<void> Tail::stream(Connection& connection) {
  Feedback feedback({}, Clock::now());
  while (!interrupted) {
    Result<void> read = connection.read();
    if (!read) return read;
    while (!interrupted) {
      Result<StreamMessage> message = connection.next();
      if (!message) return Failure(std::move(message.error()));
      if (message->kind == StreamMessage::Kind::kNone) break;
      if (message->kind == StreamMessage::Kind::kKeepalive) {
        if (!decoder_.in_transaction()) acks_.keepalive(message->server_lsn);
        if (message->reply_requested) feedback.request();
        continue;
      }
      Result<void> taken = take(std::move(message->data));
      if (!taken) return taken;
      Result<bool> written = flush(connection);
      if (!written) return Failure(std::move(written.error()));
      if (!*written) return {};  // the reader of our output is gone
    }
    if (feedback.due(acks_.confirmed()) <= Clock::now()) {
      Result<void> sent = connection.send_status(acks_.received_end(), acks_.confirmed());
      if (!sent) return sent;
      feedback.sent(acks_.confirmed(), Clock::now());
    }
    connection.wait(true, feedback.due(acks_.confirmed()));
  }
  return {};
}

Result<void> Tail::take(Message message) {
  Result<Chunk> chunk = decoder_.decode(std::move(message));
  if (!chunk) return Failure(std::move(chunk.error()));
  for (const Event& event : chunk->events) print(event);
  acks_.handled(acks_.receive(chunk->events.size()));
  for (const Commit& commit : chunk->commits) acks_.commit(commit.end_lsn);
  return {};
}

// A pipe gets a JSON line. A terminal gets a summary, and then the line.
void Tail::print(const Event& event) {
  if (terminal_) {
    const char* color = "36";
    const char* verb = "message";
    switch (event.op) {
      case 'c':
        color = "32", verb = "insert ";
        break;
      case 'u':
        color = "33", verb = "update ";
        break;
      case 'd':
        color = "31", verb = "delete ";
        break;
      case 't':
        color = "35", verb = "truncate";
        break;
      case kSchemaOp:
        color = "34", verb = "schema  ";
        break;
    }
    if (options_.color) out_ += std::string("\033[1;") + color + "m";
    out_ += verb;
    if (options_.color) out_ += "\033[0m";
    out_ += ' ';
    if (event.table) {
      if (options_.color) out_ += "\033[1m";
      out_ += event.table->schema + "." + event.table->name;
      if (options_.color) out_ += "\033[0m";
      out_ += ' ';
    }
    out_ += event.key();
    out_ += options_.color ? "\n  \033[2m" : "\n  ";
    out_ += event.document;
    if (options_.color) out_ += "\033[0m";
  } else {
    out_ += event.document;
  }
  out_ += '\n';
}

Result<bool> Tail::flush(Connection& connection) {
  std::string_view rest = out_;
  while (!rest.empty()) {
    Result<void> ready = wait_for_reader(connection);
    if (!ready) return Failure(std::move(ready.error()));
    if (interrupted) return false;
    // A pipe takes this much without blocking.
    ssize_t written = ::write(STDOUT_FILENO, rest.data(), std::min<size_t>(rest.size(), PIPE_BUF));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written < 0) return false;
    rest.remove_prefix(static_cast<size_t>(written));
  }
  out_.clear();
  return true;
}

// Waits until standard output is writable. Meanwhile the connection is not read, so a second
// connection asks whether the server stops.
Result<void> Tail::wait_for_reader(Connection& connection) {
  while (!interrupted) {
    pollfd fds[3] = {
        {STDOUT_FILENO, POLLOUT, 0}, {wake_.fd(), POLLIN, 0}, {aside_.socket(), POLLIN, 0}};
    if (poll(fds, 3, static_cast<int>(kBlocked.count())) < 0) continue;
    if (fds[0].revents) break;
    Result<void> sent = connection.send_status(acks_.received_end(), acks_.confirmed());
    if (!sent) return sent;
    if (aside_.socket() >= 0 && !aside_.is_lost()) continue;
    auto slot = aside_.look(connection, kBlocked, [] { return interrupted.load(); });
    if (!slot)
      return with_prefix("the server may be stopping, because it rejects connections",
                         slot.error());
  }
  return {};
}

}  // namespace

int tail_command(const TailOptions& options) {
  Tail tail(options);
  Result<void> result = tail.run();
  if (result || interrupted) return kClean;
  std::fprintf(stderr, "walspout: %s\n", result.error().message().c_str());
  return result.error().kind == ErrorKind::kFatal ? kUsage : kFailed;
}

}  // namespace walspout
