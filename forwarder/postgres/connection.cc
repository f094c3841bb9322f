#include "postgres/connection.h"

#include <libpq-fe.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "base/log.h"
#include "base/lookup.h"
#include "postgres/remedy.h"
#include "postgres/results.h"
#include "postgres/session.h"

namespace walspout {

namespace {

constexpr size_t kDataHeader = 1 + 8 + 8 + 8;  // 'w', start, server's position, time
constexpr size_t kKeepaliveSize = 1 + 8 + 8 + 1;
constexpr std::string_view kCanceled = "57014";
constexpr std::string_view kSyntaxError = "42601";
constexpr int64_t kPostgresEpochMicros = 946'684'800'000'000;

using Options = std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)>;

uint64_t get64(const char* p) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++) value = value << 8 | static_cast<uint8_t>(p[i]);
  return value;
}

char* put64(char* p, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) *p++ = static_cast<char>(value >> shift);
  return p;
}

// The value of an option; empty: none.
std::string value_of(const Options& options, std::string_view name) {
  for (const PQconninfoOption* option = options.get(); option && option->keyword; option++) {
    if (option->keyword == name) return option->val ? option->val : "";
  }
  return "";
}

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  if (list.empty()) return parts;
  for (size_t comma; (comma = list.find(',')) != std::string_view::npos;) {
    parts.emplace_back(list.substr(0, comma));
    list.remove_prefix(comma + 1);
  }
  parts.emplace_back(list);
  return parts;
}

// Notices concern the server's operators. Without this, libpq would print them.
void ignore_notice(void* /*unused*/, const PGresult* notice) {
  const char* text = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
  log(LogLevel::kDebug, "the server notes", {{"text", one_line(text)}});
}

// poll() until a time.
int poll_until(pollfd* fds, nfds_t count, TimePoint deadline) {
  if (deadline == TimePoint::max()) return ::ppoll(fds, count, nullptr, nullptr);
  constexpr Duration kLongest = std::chrono::hours(1);
  Duration left = std::clamp(deadline - Clock::now(), Duration::zero(), kLongest);
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  timespec timeout{seconds.count(), std::chrono::nanoseconds(left - seconds).count()};
  return ::ppoll(fds, count, &timeout, nullptr);
}

}  // namespace

std::string text(const Row& row, size_t i) {
  return i < row.size() ? row[i].value_or("") : "";
}

void Connection::Finish::operator()(pg_conn* conn) const {
  PQfinish(conn);
}

// One of the servers that a DSN names, as options. Empty options leave libpq's choice.
struct Connection::Host {
  std::string name;
  std::string address;
  std::string port;
  bool any_state = false;  // ignore target_session_attrs
  std::string unknown{};   // why the name has no address; then no attempt is made
};

// Makes one host of each address of a name. libpq would resolve names without a time limit.
std::vector<Connection::Host> Connection::spread(const std::vector<Host>& hosts,
                                                 TimePoint deadline) {
  std::vector<Host> all;
  for (size_t i = 0; i < hosts.size(); i++) {
    Host host = hosts[i];
    const bool is_name = host.address.empty() && !host.name.empty() && host.name.front() != '/' &&
                         host.name.front() != '@';
    if (!is_name) {
      all.push_back(std::move(host));
      continue;
    }
    const TimePoint now = Clock::now();
    const auto share = std::max(Duration::zero(), deadline - now) / (hosts.size() - i);
    const Result<Addresses> addresses = addresses_of(host.name, 0, now + share);
    if (!addresses) {
      host.unknown = addresses.error().what;
      all.push_back(std::move(host));
      continue;
    }
    const size_t before = all.size();
    for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
      std::array<char, NI_MAXHOST> text{};
      if (getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0,
                      NI_NUMERICHOST) != 0) {
        continue;
      }
      all.push_back({host.name, text.data(), host.port, host.any_state, ""});
    }
    if (all.size() > before) continue;
    host.unknown = "no address of " + host.name + " can be used";
    all.push_back(std::move(host));
  }
  return all;
}

// libpq tries the next server when one refuses it, but only its blocking calls detect a silent
// server. So we try each server alone, unless that would differ from libpq. The list is never
// empty; its only host may be.
std::vector<Connection::Host> Connection::hosts_of(const Secret& dsn, TimePoint deadline) {
  Options given(PQconninfoParse(dsn.reveal().c_str(), nullptr), PQconninfoFree);
  Options defaults(PQconndefaults(), PQconninfoFree);
  auto value = [&](std::string_view name) {
    std::string text = value_of(given, name);
    return text.empty() ? value_of(defaults, name) : text;
  };
  const std::vector<Host> as_given(1);
  if (value("target_session_attrs") == "prefer-standby") return as_given;
  std::vector<std::string> names = split(value("host"));
  std::vector<std::string> addresses = split(value("hostaddr"));
  std::vector<std::string> ports = split(value("port"));
  size_t count = std::max(names.size(), addresses.size());
  auto fits = [count](const std::vector<std::string>& list) {
    return list.empty() || list.size() == count;
  };
  if (count == 1 && addresses.empty() && ports.size() < 2) {
    return spread({{names[0], "", ports.empty() || ports[0].empty() ? "5432" : ports[0]}},
                  deadline);
  }
  if (count < 2 || !fits(names) || !fits(addresses)) return as_given;
  if (!fits(ports) && ports.size() != 1) return as_given;
  std::vector<Host> hosts;
  for (size_t i = 0; i < count; i++) {
    Host host{names.empty() ? "" : names[i], addresses.empty() ? "" : addresses[i],
              ports.empty() ? "" : ports[ports.size() == 1 ? 0 : i]};
    if (host.name.empty() && host.address.empty()) return as_given;
    if (host.port.empty()) host.port = "5432";
    hosts.push_back(std::move(host));
  }
  return spread(hosts, deadline);
}

Result<void> Connection::check_dsn(const Secret& dsn) {
  const std::string& text = dsn.reveal();
  char* why = nullptr;
  Options options(PQconninfoParse(text.c_str(), &why), PQconninfoFree);
  std::unique_ptr<char, decltype(&PQfreemem)> message(why, PQfreemem);
  if (!options) {
    // libpq's text may quote the string with its password.
    return fatal("it is not a connection string (postgresql://user@host/database, or key=value)");
  }
  // libpq takes a password with such characters for a host, port or database, and prints it.
  bool is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
  bool odd = value_of(options, "port").find_first_not_of("0123456789,") != std::string::npos;
  if (is_url) {
    odd = odd || value_of(options, "host").find('@', 1) != std::string::npos ||
          value_of(options, "dbname").find('@') != std::string::npos;
  }
  if (odd) {
    return fatal(
        "its host, port or database cannot be right. In a postgresql:// URL, characters of user "
        "and password other than letters and digits are percent-encoded: @ is %40, / is %2F, : is "
        "%3A");
  }
  return {};
}

Secret Connection::with_setting(const Secret& dsn, const std::string& name, const Secret& value) {
  Options given(PQconninfoParse(dsn.reveal().c_str(), nullptr), PQconninfoFree);
  Options defaults(PQconndefaults(), PQconninfoFree);
  if (!given) return dsn;
  std::string settings = value_of(given, "options");
  if (settings.empty()) settings = value_of(defaults, "options");
  settings += (settings.empty() ? "-c " : " -c ") + name + "=";
  for (const char c : value.reveal()) {
    // The server splits `options` at spaces.
    if (c == '\\' || std::isspace(static_cast<unsigned char>(c)) != 0) settings += '\\';
    settings += c;
  }
  std::string text;
  const auto add = [&text](const std::string& keyword, const std::string& what) {
    text += keyword + "='";
    for (const char c : what) {
      if (c == '\\' || c == '\'') text += '\\';
      text += c;
    }
    text += "' ";
  };
  for (const PQconninfoOption* option = given.get(); option->keyword; option++) {
    if (option->val && std::string_view(option->keyword) != "options") {
      add(option->keyword, option->val);
    }
  }
  add("options", settings);
  return Secret(text);
}

Result<Connection> Connection::open(const Secret& dsn, Mode mode, TimePoint deadline,
                                    const Wake& wake, std::function<bool()> interrupted) {
  const std::vector<Host> hosts = hosts_of(dsn, deadline);
  std::string failures;
  bool pooled = true;
  for (size_t i = 0; i < hosts.size(); i++) {
    TimePoint now = Clock::now();
    auto left = std::max(Duration::zero(), deadline - now) / (hosts.size() - i);
    Result<Connection> connection = attempt(dsn, hosts[i], mode, now + left, wake, interrupted);
    if (connection || interrupted() || hosts.size() == 1) return connection;
    failures += (failures.empty() ? "" : "; ") + connection.error().message();
    pooled = pooled && connection.error().kind == ErrorKind::kFatal;
  }
  if (pooled) return misconfigured(std::move(failures));
  return retry(std::move(failures));
}

Result<Connection> Connection::beside(const Secret& dsn, Mode mode, TimePoint deadline,
                                      std::function<bool()> interrupted) const {
  return open_at(address(), dsn, mode, deadline, *wake_, std::move(interrupted));
}

Result<Connection> Connection::open_at(const ServerAddress& server, const Secret& dsn, Mode mode,
                                       TimePoint deadline, const Wake& wake,
                                       std::function<bool()> interrupted) {
  const Host here{server.host, server.address, server.port, true};
  return attempt(dsn, here, mode, deadline, wake, interrupted);
}

ServerAddress Connection::address() const {
  auto value = [](const char* text) { return std::string(text ? text : ""); };
  const PGconn* conn = conn_.get();
  return {value(PQhost(conn)), value(PQhostaddr(conn)), value(PQport(conn))};
}

Result<Connection> Connection::attempt(const Secret& dsn, const Host& host, Mode mode,
                                       TimePoint deadline, const Wake& wake,
                                       const std::function<bool()>& interrupted) {
  if (!host.unknown.empty()) {
    return retry("could not connect: " + host.unknown, host.name + ":" + host.port);
  }
  // Later options win; empty options have no effect.
  std::array keys = {"fallback_application_name",
                     "keepalives",
                     "keepalives_idle",
                     "keepalives_interval",
                     "keepalives_count",
                     "tcp_user_timeout",
                     "dbname",
                     "host",
                     "hostaddr",
                     "port",
                     "target_session_attrs",
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
                       host.name.c_str(),
                       host.address.c_str(),
                       host.port.c_str(),
                       host.any_state ? "any" : "",
                       "UTF8",
                       mode == Mode::kReplication ? "database" : "false",
                       static_cast<const char*>(nullptr)};
  Connection connection(Handle(PQconnectStartParams(keys.data(), values.data(), 1)), wake,
                        interrupted);
  PGconn* conn = connection.conn_.get();
  if (!conn) return retry("could not connect: out of memory");
  PQsetNoticeReceiver(conn, ignore_notice, nullptr);

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
    std::string said = one_line(PQerrorMessage(conn));
    said = "could not connect: " + said + remedy(said);
    if (said.find(kNoReplication) != std::string::npos) {
      return misconfigured(std::move(said), connection.endpoint());
    }
    return retry(std::move(said), connection.endpoint());
  }
  if (PQsetnonblocking(conn, 1) != 0) return connection.lost("could not set up the connection");
  if (mode == Mode::kOrdinary) {
    connection.prefix_ = session_prefix(connection.server_version());
    connection.prefix_statements_ =
        static_cast<size_t>(std::count(connection.prefix_.begin(), connection.prefix_.end(), ';'));
    return connection;
  }
  Result<void> prepared = connection.set_up(mode, deadline);
  if (!prepared) return Failure(std::move(prepared.error()));
  return connection;
}

// Sets our settings for the whole session. A pooler that drops the replication parameter hands out
// an ordinary session that others share: nothing may be set there.
Result<void> Connection::set_up(Mode mode, TimePoint deadline) {
  const std::string kFirst = "IDENTIFY_SYSTEM";  // an ordinary session rejects it
  std::vector<std::string> statements = session_statements(server_version());
  if (mode == Mode::kReplication) statements.insert(statements.begin(), kFirst);
  for (const std::string& statement : statements) {
    auto set = query(statement, deadline);
    while (!set && set.error().sqlstate == kCanceled && Clock::now() < deadline) {
      set = query(statement, deadline);
    }
    if (set) continue;
    if (statement == kFirst && set.error().sqlstate == kSyntaxError) {
      return misconfigured("this is no replication connection" + remedy(kNoReplication),
                           endpoint());
    }
    return with_prefix("could not set up the session", std::move(set.error().error));
  }
  return {};
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
  while (true) {
    size_t done = 0;
    ServerResult<std::vector<Row>> rows = send(prefix_ + statement, deadline, done);
    // A very short timeout may fire before it is set to 0. Then the statement has not run.
    const bool again = !rows && rows.error().sqlstate == kCanceled && done < prefix_statements_;
    if (!again || Clock::now() >= deadline) return rows;
  }
}

ServerResult<std::vector<Row>> Connection::copy(const std::vector<std::string>& messages,
                                                TimePoint deadline, const Taker& take) {
  std::string all;
  for (const std::string& message : messages) all += prefix_ + message + "; ";
  size_t done = 0;
  return send(all, deadline, done, &take);
}

namespace {

constexpr std::pair<size_t, size_t> kNoValue = {SIZE_MAX, 0};

// The offset and size of a row's only value in the data of a binary COPY; size 0: no value, as at
// the end. Nothing: the data is malformed.
std::optional<std::pair<size_t, size_t>> only_value(std::string_view data) {
  constexpr std::string_view kSignature("PGCOPY\n\377\r\n\0", 11);
  const auto number = [&](size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | static_cast<uint8_t>(data[at + i]);
    return value;
  };
  constexpr uint32_t kEnd = 0xffff;
  size_t at = 0;
  if (data.starts_with(kSignature)) {
    at = kSignature.size() + 4;
    if (data.size() < at + 4) return std::nullopt;
    const size_t extension = number(at, 4);
    at += 4;
    if (extension > data.size() - at) return std::nullopt;
    at += extension;
  }
  if (at == data.size()) return std::pair{at, size_t{0}};
  if (data.size() < at + 2) return std::nullopt;
  const uint32_t columns = number(at, 2);
  if (columns == kEnd) return std::pair{at, size_t{0}};
  if (columns != 1 || data.size() < at + 6) return std::nullopt;
  const size_t size = number(at + 2, 4);
  if (size != data.size() - at - 6) return std::nullopt;
  return std::pair{at + 6, size};
}

}  // namespace

// Passes the data of a COPY to `take`, to its end.
Result<void> Connection::take_copy(size_t copy, TimePoint deadline, const Taker& take) {
  PGconn* conn = conn_.get();
  while (true) {
    char* buffer = nullptr;
    const int size = PQgetCopyData(conn, &buffer, 1);
    if (size > 0) {
      const auto value = only_value({buffer, static_cast<size_t>(size)}).value_or(kNoValue);
      Message message(buffer, value.first, value.second, PQfreemem);
      if (value == kNoValue) {
        return retry("the server sent a COPY that is not understood", endpoint());
      }
      if (value.second == 0) continue;
      Result<void> taken = take(copy, std::move(message));
      if (!taken) return taken;
      continue;
    }
    if (size == -1) return {};
    if (size < -1) return lost("the connection broke");
    if (interrupted_()) return retry("interrupted");
    if (Clock::now() >= deadline) return retry("the server did not answer in time", endpoint());
    wait(true, deadline);
    if (!PQconsumeInput(conn)) return lost("the connection broke");
  }
}

// Sends a message of one or several statements. Returns their rows, and sets `done` to the number
// of completed statements.
ServerResult<std::vector<Row>> Connection::send(const std::string& message, TimePoint deadline,
                                                size_t& done, const Taker* take) {
  PGconn* conn = conn_.get();
  if (!PQsendQuery(conn, message.c_str())) return tl::unexpected(broken());
  std::vector<Row> rows;
  std::optional<ServerError> error;
  size_t copies = 0;
  while (true) {
    Result<void> waited = wait_for_result(deadline);
    if (!waited) return tl::unexpected(ServerError{"", waited.error()});
    ResultHandle result(PQgetResult(conn), PQclear);
    if (!result) break;
    switch (PQresultStatus(result.get())) {
      case PGRES_TUPLES_OK:
        done++;
        append_rows(result.get(), rows);
        break;
      case PGRES_COMMAND_OK:
        done++;
        break;
      case PGRES_COPY_BOTH:
        return rows;
      case PGRES_COPY_OUT: {
        if (take == nullptr) return tl::unexpected(ServerError{"", fatal("a COPY").value()});
        Result<void> taken = take_copy(copies++, deadline, *take);
        if (!taken) return tl::unexpected(ServerError{"", std::move(taken.error())});
        break;
      }
      default:
        error = server_error(result.get(), conn, endpoint());
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

// OpenSSL decrypts whole records. If libpq's buffer cannot hold a record, the rest stays in
// OpenSSL, and the socket does not become readable. libpq's own waits check for that; newer
// releases leave nothing there.
bool Connection::holds_input() const {
  auto* tls = static_cast<SSL*>(PQsslStruct(conn_.get(), "OpenSSL"));
  return tls && SSL_pending(tls) > 0;
}

bool Connection::readable() const {
  if (holds_input()) return true;
  pollfd fd{PQsocket(conn_.get()), POLLIN, 0};
  return ::poll(&fd, 1, 0) > 0;
}

bool Connection::is_usable() const {
  return PQstatus(conn_.get()) == CONNECTION_OK &&
         PQtransactionStatus(conn_.get()) != PQTRANS_ACTIVE;
}

bool Connection::hung_up() const {
  pollfd fd{PQsocket(conn_.get()), POLLRDHUP, 0};
  return ::poll(&fd, 1, 0) > 0;
}

void Connection::wait(bool for_reading, TimePoint deadline, int other) {
  std::array<pollfd, 3> fds{};
  fds[2].fd = other;
  fds[2].events = POLLIN;
  fds[0].fd = PQsocket(conn_.get());
  fds[0].events = static_cast<short>((for_reading ? POLLIN : 0) | (unsent_ ? POLLOUT : 0));
  fds[1].fd = wake_->fd();
  fds[1].events = POLLIN;
  // Without a wish to read, a hangup would make poll() return at once, for ever.
  if (!fds[0].events) fds[0].fd = -1;
  poll_until(fds.data(), fds.size(), for_reading && holds_input() ? TimePoint{} : deadline);
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
  // 0: no memory now. An older update is still in flight, and the next will follow.
  if (put < 0) return lost("could not send a status update");
  int unsent = PQflush(conn_.get());
  if (unsent < 0) return lost("could not send a status update");
  unsent_ = unsent > 0;
  return {};
}

void Connection::finish_streaming(TimePoint deadline) {
  // Closing a socket with unread bytes may discard data that the server has not read yet.
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

int Connection::socket() const {
  return PQsocket(conn_.get());
}

int Connection::server_process() const {
  return PQbackendPID(conn_.get());
}

int Connection::server_version() const {
  return PQserverVersion(conn_.get());
}

std::string Connection::endpoint() const {
  auto text = [](const char* s) { return std::string(s ? s : ""); };
  PGconn* conn = conn_.get();
  return text(PQhost(conn)) + ":" + text(PQport(conn)) + "/" + text(PQdb(conn));
}

std::string Connection::database() const {
  const char* name = PQdb(conn_.get());
  return name != nullptr ? name : "";
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
  // A setting decides the meaning of a backslash, and is applied too late for its own message.
  const bool escapes = text.find('\\') != std::string_view::npos;
  std::string quoted = escapes ? "E'" : "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

std::string Connection::quote_option(std::string_view text) {
  std::string quoted = "'";
  for (char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += c;
  }
  return quoted + "'";
}

}  // namespace walspout
