// A connection to the server that can be aborted at any moment: libpq without its blocking calls.
//
// Every function that waits takes a deadline. It returns early with kRetry once `interrupted` is
// true, which it checks whenever the Wake is called. Not synchronized.
//
// With TLS, data that libpq has not read yet may be in the socket or, decrypted, in OpenSSL. Both
// count as arrived.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/lsn.h"
#include "base/message.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/wake.h"

struct pg_conn;

namespace walspout {

using Row = std::vector<std::optional<std::string>>;

// A column of a row; "" if it is NULL or missing.
std::string text(const Row& row, size_t i);

// An error that the server reported, with its SQLSTATE; without SQLSTATE: the connection broke.
struct ServerError {
  std::string sqlstate;
  Error error;
};

template <typename T>
using ServerResult = tl::expected<T, ServerError>;

// What the server sends while it streams.
struct StreamMessage {
  enum class Kind { kNone, kData, kKeepalive } kind = Kind::kNone;
  Message data;    // kData: the plugin's bytes
  Lsn server_lsn;  // how far the server has sent
  bool reply_requested = false;
};

// The result of a statement in a pipeline, or of a sync.
struct Outcome {
  enum class Kind {
    kDone,
    kSkipped,  // an earlier statement failed: all is skipped up to the next sync
    kSync,
  } kind = Kind::kDone;
  std::vector<Row> rows;
  uint64_t affected = 0;  // rows, by INSERT, UPDATE or DELETE
};

// One of the servers that a DSN names, as libpq reports it.
struct ServerAddress {
  std::string host;
  std::string address;
  std::string port;
};

class Connection {
 public:
  enum class Mode {
    kOrdinary,
    kReplication,
    kSession,  // ordinary, with a session of our own: settings and prepared statements stay
  };

  // Whether `dsn` can be parsed. Error: what is wrong with it.
  static Result<void> check_dsn(const Secret& dsn);

  // The same DSN with one more session setting, in addition to those of the DSN or the environment.
  // A DSN that check_dsn() rejects is returned unchanged.
  static Secret with_setting(const Secret& dsn, const std::string& name, const Secret& value);

  // Connects to the first server of the DSN that accepts us. The servers share the time up to the
  // deadline. Settings of the DSN win over the defaults: keepalives, tcp_user_timeout,
  // application_name. The error is misconfigured() if all servers are poolers, which do not support
  // kReplication.
  static Result<Connection> open(const Secret& dsn, Mode mode, TimePoint deadline, const Wake& wake,
                                 std::function<bool()> interrupted);

  // Opens another connection to the same server, whatever servers the DSN names now. The new
  // connection uses this `interrupted`.
  Result<Connection> beside(const Secret& dsn, Mode mode, TimePoint deadline,
                            std::function<bool()> interrupted) const;

  // The same from any thread: `server` is the address() of the other connection.
  static Result<Connection> open_at(const ServerAddress& server, const Secret& dsn, Mode mode,
                                    TimePoint deadline, const Wake& wake,
                                    std::function<bool()> interrupted);
  ServerAddress address() const;

  // Runs statements of SQL or of the replication protocol, and returns their rows. They run with
  // the settings of postgres/session.h, whatever the database or role sets. On an ordinary
  // connection the statements are one transaction, because there may be a pooler.
  ServerResult<std::vector<Row>> query(const std::string& statement, TimePoint deadline);

  // Runs several such messages in one round trip, each with those settings. `take` gets the values
  // of each COPY of one column TO STDOUT (FORMAT binary), with the number of the COPY. After an
  // error the caller must close the connection, because unread data may be left.
  using Taker = std::function<Result<void>(size_t copy, Message value)>;
  ServerResult<std::vector<Row>> copy(const std::vector<std::string>& messages, TimePoint deadline,
                                      const Taker& take);

  // Statements sent without waiting (mode kSession). Between begin_pipeline() and end_pipeline()
  // only the functions declared between them may be used. Each statement and each sync has an
  // outcome, in order. After an error all is skipped up to the next sync. An error without SQLSTATE
  // means that the connection is broken. Errors do not repeat values of rows.
  using Parameters = std::vector<const char*>;  // as text, null for NULL; copied
  Result<void> begin_pipeline();
  Result<void> prepare(const std::string& name, const std::string& sql);
  Result<void> execute(const std::string& name, const Parameters& parameters);
  Result<void> run(const std::string& sql, const Parameters& parameters = {});
  Result<void> sync();
  // Sends all queued statements. Returns when the socket has taken them.
  Result<void> flush(TimePoint deadline);
  ServerResult<Outcome> outcome(TimePoint deadline);
  // Call it when all outcomes were taken.
  Result<void> end_pipeline();

  // Runs START_REPLICATION on a connection of mode kReplication. Afterwards only the functions
  // below may be used.
  ServerResult<void> start_streaming(const std::string& statement, TimePoint deadline);

  // The next message if it has arrived; otherwise kNone. Does not wait.
  Result<StreamMessage> next();

  // Reads arrived data for next(), without waiting.
  Result<void> read();

  // Whether read() would find more data.
  bool readable() const;

  // Whether another query can be sent: the connection has not broken, and the server has answered
  // the last one.
  bool is_usable() const;

  // Whether the server has ended the connection. There may still be data to read.
  bool hung_up() const;

  // Waits until one of these: there is data to read (if `for_reading`), unsent data can be sent,
  // the Wake is called, the socket `other` is readable (-1: none), or the deadline.
  void wait(bool for_reading, TimePoint deadline, int other = -1);

  // Reports the received and the confirmed position to the server. `want_reply`: requests a reply.
  // Does not wait.
  Result<void> send_status(Lsn received, Lsn confirmed, bool want_reply = false);

  // Ends the stream after the server has read all that we sent.
  void finish_streaming(TimePoint deadline);

  int server_version() const;    // 150020
  int socket() const;            // changes when the connection is lost
  int server_process() const;    // the backend's PID
  std::string endpoint() const;  // "host:port/database"
  std::string database() const;
  static std::string quote_name(std::string_view name);
  static std::string quote_literal(std::string_view text);  // in SQL
  static std::string quote_option(std::string_view text);   // in the replication protocol

 private:
  struct Finish {
    void operator()(pg_conn* conn) const;
  };
  using Handle = std::unique_ptr<pg_conn, Finish>;
  struct Host;

  Connection(Handle conn, const Wake& wake, std::function<bool()> interrupted)
      : conn_(std::move(conn)), wake_(&wake), interrupted_(std::move(interrupted)) {}

  static std::vector<Host> hosts_of(const Secret& dsn, TimePoint deadline);
  static std::vector<Host> spread(const std::vector<Host>& hosts, TimePoint deadline);
  static Result<Connection> attempt(const Secret& dsn, const Host& host, Mode mode,
                                    TimePoint deadline, const Wake& wake,
                                    const std::function<bool()>& interrupted);
  Result<void> set_up(Mode mode, TimePoint deadline);
  ServerResult<std::vector<Row>> send(const std::string& message, TimePoint deadline, size_t& done,
                                      const Taker* take = nullptr);
  Result<void> take_copy(size_t copy, TimePoint deadline, const Taker& take);
  Result<void> wait_for_result(TimePoint deadline);
  bool holds_input() const;
  ServerError broken() const;
  Failure lost(std::string_view doing) const;

  Handle conn_;
  const Wake* wake_;
  std::function<bool()> interrupted_;
  std::string prefix_;            // put before each message
  size_t prefix_statements_ = 0;  // statements in prefix_
  bool unsent_ = false;
};

}  // namespace walspout
