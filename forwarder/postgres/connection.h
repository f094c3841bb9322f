// A connection to the server that can be given up at any moment: libpq without its blocking calls.
//
// Every function that waits takes a deadline and returns early, with kRetry, once `interrupted`
// says so (asked whenever the Wake was called). Not synchronized.
//
// With TLS, as the DSN's sslmode and sslrootcert say, what libpq has not read yet may be in the
// socket or, decrypted, with OpenSSL; both count as arrived.
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

// A column of a row; "" for NULL, and where there is none.
std::string text(const Row& row, size_t i);

// An error the server reported, with its SQLSTATE; without one if the connection broke.
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

// What became of a statement that was sent without waiting; or the sync behind some of them.
struct Outcome {
  enum class Kind {
    kDone,
    kSkipped,  // a statement before it failed: nothing is done up to the next sync
    kSync,
  } kind = Kind::kDone;
  std::vector<Row> rows;
  uint64_t affected = 0;  // rows, by INSERT, UPDATE or DELETE
};

// Which of the servers that a DSN names, as libpq says it.
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
    kSession,  // ordinary, and the session is ours alone: it keeps what is set and prepared
  };

  // Whether `dsn` can be understood at all; what is wrong with it if not.
  static Result<void> check_dsn(const Secret& dsn);

  // A DSN that says the same, and sets a setting of the session as it begins, beside those that the
  // DSN or the environment name. What check_dsn() does not understand comes back as it is.
  static Secret with_setting(const Secret& dsn, const std::string& name, const Secret& value);

  // Connects, to the first of the servers in the DSN that lets us in; they share the time up to the
  // deadline. Settings of the DSN win over the defaults chosen here: keepalives, tcp_user_timeout,
  // application_name. An error is misconfigured() if the DSN leads to poolers, which do not pass on
  // what a connection of mode kReplication is for.
  static Result<Connection> open(const Secret& dsn, Mode mode, TimePoint deadline, const Wake& wake,
                                 std::function<bool()> interrupted);

  // Another connection to the same server, whatever other servers the DSN names by now. It is
  // `interrupted` by what is given here.
  Result<Connection> beside(const Secret& dsn, Mode mode, TimePoint deadline,
                            std::function<bool()> interrupted) const;

  // The same from any thread: `server` is the address() of the other connection.
  static Result<Connection> open_at(const ServerAddress& server, const Secret& dsn, Mode mode,
                                    TimePoint deadline, const Wake& wake,
                                    std::function<bool()> interrupted);
  ServerAddress address() const;

  // Runs statements, of SQL or of the replication protocol; their rows. Whatever the database or
  // the role sets for its sessions, they run with what postgres/session.h lists. Those of an
  // ordinary connection are one transaction, as that may go through a pooler.
  ServerResult<std::vector<Row>> query(const std::string& statement, TimePoint deadline);

  // Runs such messages one after the other, in one round trip, each behind those settings. What
  // each COPY of one column TO STDOUT (FORMAT binary) sends goes to `take`, with the number of the
  // COPY. After an error the connection may have data left in it: it is to be closed.
  using Taker = std::function<Result<void>(size_t copy, Message value)>;
  ServerResult<std::vector<Row>> copy(const std::vector<std::string>& messages, TimePoint deadline,
                                      const Taker& take);

  // Statements that are sent without waiting (mode kSession). Between begin_pipeline() and
  // end_pipeline() only the functions up to there may be used. Each statement and each sync has an
  // outcome, in order. An error skips what follows up to the next sync. An error without an
  // SQLSTATE means that the connection is of no more use. Errors do not repeat values of rows.
  using Parameters = std::vector<const char*>;  // as text, null for NULL; copied
  Result<void> begin_pipeline();
  Result<void> prepare(const std::string& name, const std::string& sql);
  Result<void> execute(const std::string& name, const Parameters& parameters);
  Result<void> run(const std::string& sql, const Parameters& parameters = {});
  Result<void> sync();
  // Sends what was queued, until the socket has taken all of it.
  Result<void> flush(TimePoint deadline);
  ServerResult<Outcome> outcome(TimePoint deadline);
  // All outcomes were taken.
  Result<void> end_pipeline();

  // Runs START_REPLICATION, on a connection of its mode; from then on only the functions below may
  // be used.
  ServerResult<void> start_streaming(const std::string& statement, TimePoint deadline);

  // The next message, if it is there already; kNone if not. Does not wait.
  Result<StreamMessage> next();

  // Reads some of what has arrived, without waiting, for next() to find.
  Result<void> read();

  // Whether there is more to read().
  bool readable() const;

  // Whether another query can be sent: the connection has not broken, and the server has answered
  // the last one.
  bool is_usable() const;

  // Whether the server has ended the connection; there may be something to read nevertheless.
  bool hung_up() const;

  // Waits until there is something to read (if that is wanted), what could not be sent can be sent
  // on, the Wake was called, `other`, a socket, can be read (-1: none), or the deadline has come.
  void wait(bool for_reading, TimePoint deadline, int other = -1);

  // Tells the server what was received and what it may forget, and asks it for a sign of life if
  // that is wanted. Does not wait.
  Result<void> send_status(Lsn received, Lsn confirmed, bool want_reply = false);

  // Ends the stream so that the server has read all that it was sent.
  void finish_streaming(TimePoint deadline);

  int server_version() const;    // 150020
  int socket() const;            // changes when the connection is lost
  int server_process() const;    // that serves this connection
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
  std::string prefix_;            // of each message
  size_t prefix_statements_ = 0;  // in it
  bool unsent_ = false;
};

}  // namespace walspout
