#include "source/connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <cstring>

namespace walspout {

namespace {

constexpr size_t kDataHeader = 1 + 8 + 8 + 8;  // 'w', start, server's position, time
constexpr size_t kKeepaliveSize = 1 + 8 + 8 + 1;
constexpr int64_t kPostgresEpochMicros = 946'684'800'000'000;

using ResultHandle = std::unique_ptr<PGresult, decltype(&PQclear)>;

uint64_t get64(const char* p) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 8 | static_cast<uint8_t>(p[i]);
  return value;
}

char* put64(char* p, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) *p++ = static_cast<char>(value >> shift);
  return p;
}

// One line of what libpq says, which likes to be several.
std::string one_line(const char* text) {
  std::string line(text ? text : "");
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  for (size_t at; (at = line.find('\n')) != std::string::npos;) line.replace(at, 1, "; ");
  return line;
}

// poll() until a time; rounded up, so that it does not return just before it.
int poll_until(pollfd* fds, nfds_t count, TimePoint deadline) {
  int timeout = -1;
  if (deadline != TimePoint::max()) {
    auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now()).count();
    timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
  }
  return ::poll(fds, count, timeout);
}

}  // namespace

void Connection::Finish::operator()(pg_conn* conn) const {
  PQfinish(conn);
}

Result<void> Connection::check_dsn(const Secret& dsn) {
  char* text = nullptr;
  PQconninfoOption* options = PQconninfoParse(dsn.reveal().c_str(), &text);
  std::unique_ptr<char, decltype(&PQfreemem)> message(text, PQfreemem);
  if (!options) {
    // libpq's text may quote the string, password and all.
    return fatal("it is not a connection string (postgresql://user@host/database, or key=value)");
  }
  PQconninfoFree(options);
  return {};
}

Result<Connection> Connection::open(const Secret& dsn, Mode mode, TimePoint deadline,
                                    const Wake& wake, std::function<bool()> interrupted) {
  // Later ones win.
  std::array keys = {"fallback_application_name",
                     "keepalives",
                     "keepalives_idle",
                     "keepalives_interval",
                     "keepalives_count",
                     "tcp_user_timeout",
                     "dbname",
                     "client_encoding",
                     "replication",
                     static_cast<const char*>(nullptr)};
  std::array values = {"walspout",
                       "1",
                       "10",
                       "5",
                       "3",
                       "20000",
                       dsn.reveal().c_str(),
                       "UTF8",
                       mode == Mode::kReplication ? "database" : "false",
                       static_cast<const char*>(nullptr)};
  Connection connection(Handle(PQconnectStartParams(keys.data(), values.data(), 1)), wake,
                        std::move(interrupted));
  PGconn* conn = connection.conn_.get();
  if (!conn) return retry("could not connect: out of memory");

  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (PQstatus(conn) != CONNECTION_BAD && state != PGRES_POLLING_OK) {
    if (connection.interrupted_()) return retry("interrupted");
    if (Clock::now() >= deadline) {
      return retry("could not connect: no answer in time", connection.endpoint());
    }
    std::array<pollfd, 2> fds{};
    fds[0].fd = PQsocket(conn);
    fds[0].events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    fds[1].fd = wake.fd();
    fds[1].events = POLLIN;
    poll_until(fds.data(), fds.size(), deadline);
    if (fds[1].revents) wake.clear();
    if (fds[0].revents) state = PQconnectPoll(conn);
    if (state == PGRES_POLLING_FAILED) break;
  }
  if (PQstatus(conn) != CONNECTION_OK) {
    return retry("could not connect: " + one_line(PQerrorMessage(conn)), connection.endpoint());
  }
  if (PQsetnonblocking(conn, 1) != 0) return connection.lost("could not set up the connection");
  return connection;
}

ServerError Connection::broken() const {
  return {"", lost("the connection broke").value()};
}

Failure Connection::lost(std::string_view doing) const {
  return retry(std::string(doing) + ": " + one_line(PQerrorMessage(conn_.get())), endpoint());
}

Result<void> Connection::wait_for_result(TimePoint deadline) {
  PGconn* conn = conn_.get();
  while (true) {
    int unsent = PQflush(conn);
    if (unsent < 0) return lost("could not send");
    if (!unsent && !PQisBusy(conn)) return {};
    if (interrupted_()) return retry("interrupted");
    if (Clock::now() >= deadline) return retry("the server did not answer in time", endpoint());
    unsent_ = unsent > 0;
    wait(true, deadline);
    if (!PQconsumeInput(conn)) return lost("the connection broke");
  }
}

ServerResult<std::vector<Row>> Connection::query(const std::string& statement, TimePoint deadline) {
  PGconn* conn = conn_.get();
  if (!PQsendQuery(conn, statement.c_str())) return tl::unexpected(broken());
  std::vector<Row> rows;
  std::optional<ServerError> error;
  while (true) {
    Result<void> waited = wait_for_result(deadline);
    if (!waited) return tl::unexpected(ServerError{"", waited.error()});
    ResultHandle result(PQgetResult(conn), PQclear);
    if (!result) break;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
        for (int i = 0; i < PQntuples(result.get()); i++) {
          Row& row = rows.emplace_back();
          for (int j = 0; j < PQnfields(result.get()); j++) {
            if (PQgetisnull(result.get(), i, j)) {
              row.emplace_back();
            } else {
              row.emplace_back(PQgetvalue(result.get(), i, j));
            }
          }
        }
        break;
      case PGRES_COMMAND_OK:
        break;
      case PGRES_COPY_BOTH:
        return rows;
      default: {
        const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
        std::string text = one_line(PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY));
        if (const char* detail = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_DETAIL)) {
          text += ": " + one_line(detail);
        }
        if (const char* hint = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_HINT)) {
          text += " (" + one_line(hint) + ")";
        }
        if (text.empty()) text = one_line(PQerrorMessage(conn));
        error = ServerError{sqlstate ? sqlstate : "",
                            Error{ErrorKind::kRetry, std::move(text), endpoint()}};
      }
    }
  }
  if (error) return tl::unexpected(std::move(*error));
  return rows;
}

ServerResult<void> Connection::start_streaming(const std::string& statement, TimePoint deadline) {
  ServerResult<std::vector<Row>> started = query(statement, deadline);
  if (!started) return tl::unexpected(std::move(started.error()));
  return {};
}

Result<StreamMessage> Connection::next() {
  char* buffer = nullptr;
  int size = PQgetCopyData(conn_.get(), &buffer, 1);
  if (size == 0) return StreamMessage{};
  if (size == -2) return lost("the connection broke");
  if (size == -1) {
    ResultHandle result(PQgetResult(conn_.get()), PQclear);
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
      return retry("the server ended the stream: " + one_line(PQresultErrorMessage(result.get())),
                   endpoint());
    }
    return retry("the server ended the stream", endpoint());
  }

  StreamMessage message;
  auto length = static_cast<size_t>(size);
  if (buffer[0] == 'w' && length >= kDataHeader) {
    message.kind = StreamMessage::Kind::kData;
    message.server_lsn = Lsn{get64(buffer + 9)};
    message.data = Message(buffer, kDataHeader, length - kDataHeader, PQfreemem);
    return message;
  }
  std::unique_ptr<char, decltype(&PQfreemem)> keepalive(buffer, PQfreemem);
  if (buffer[0] == 'k' && length >= kKeepaliveSize) {
    message.kind = StreamMessage::Kind::kKeepalive;
    message.server_lsn = Lsn{get64(buffer + 1)};
    message.reply_requested = buffer[17] != 0;
    return message;
  }
  return retry("the server sent a message that is not of the replication protocol", endpoint());
}

Result<void> Connection::read() {
  if (!PQconsumeInput(conn_.get())) return lost("the connection broke");
  return {};
}

void Connection::wait(bool for_reading, TimePoint deadline) {
  std::array<pollfd, 2> fds{};
  fds[0].fd = PQsocket(conn_.get());
  fds[0].events = static_cast<short>((for_reading ? POLLIN : 0) | (unsent_ ? POLLOUT : 0));
  fds[1].fd = wake_->fd();
  fds[1].events = POLLIN;
  // While reading is not wanted, a hangup would make poll() return at once, for ever.
  if (!fds[0].events) fds[0].fd = -1;
  poll_until(fds.data(), fds.size(), deadline);
  if (fds[1].revents) wake_->clear();
  if (unsent_ && fds[0].revents) unsent_ = PQflush(conn_.get()) > 0;
}

Result<void> Connection::send_status(Lsn received, Lsn confirmed, bool want_reply) {
  std::array<char, 1 + 8 + 8 + 8 + 8 + 1> message;
  char* p = message.data();
  *p++ = 'r';
  p = put64(p, std::max(received, confirmed).value);
  p = put64(p, confirmed.value);
  p = put64(p, confirmed.value);
  p = put64(p, static_cast<uint64_t>(wall_micros() - kPostgresEpochMicros));
  *p = want_reply ? 1 : 0;
  int put = PQputCopyData(conn_.get(), message.data(), static_cast<int>(message.size()));
  // 0: no memory for it now; an older one is still on its way, and the next will follow.
  if (put < 0) return lost("could not send a status update");
  int unsent = PQflush(conn_.get());
  if (unsent < 0) return lost("could not send a status update");
  unsent_ = unsent > 0;
  return {};
}

void Connection::finish_streaming(TimePoint deadline) {
  // Closing a socket with unread bytes in it may destroy what the server has not read yet.
  if (PQputCopyEnd(conn_.get(), nullptr) < 0) return;
  while (Clock::now() < deadline) {
    int unsent = PQflush(conn_.get());
    if (unsent < 0 || !PQconsumeInput(conn_.get())) return;
    unsent_ = unsent > 0;
    char* buffer = nullptr;
    int size;
    while ((size = PQgetCopyData(conn_.get(), &buffer, 1)) > 0) PQfreemem(buffer);
    if (size < 0) return;
    wait(true, deadline);
  }
}

int Connection::server_version() const {
  return PQserverVersion(conn_.get());
}

std::string Connection::endpoint() const {
  auto text = [](const char* s) { return std::string(s ? s : ""); };
  PGconn* conn = conn_.get();
  return text(PQhost(conn)) + ":" + text(PQport(conn)) + "/" + text(PQdb(conn));
}

std::string Connection::quote_name(std::string_view name) {
  std::string quoted = "\"";
  for (char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string Connection::quote_literal(std::string_view text) {
  std::string quoted = "'";
  for (char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace walspout
