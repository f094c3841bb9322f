#include "sink/redis/errors.h"

#include <array>
#include <string>

namespace walspout {
namespace {

struct Meaning {
  std::string_view sign;  // what the reply begins with, or contains if it starts with '*'
  ErrorKind kind;
  std::string_view remedy;
};

// The first match counts.
constexpr std::array kMeanings = {
    Meaning{"OOM", ErrorKind::kRetry,
            "Redis has reached maxmemory: raise it (CONFIG SET maxmemory), set maxlen for the "
            "stream, or delete what is not needed"},
    Meaning{"READONLY", ErrorKind::kRetry,
            "this Redis is a replica: let url name the primary (if a failover is under way, this "
            "passes)"},
    Meaning{"LOADING", ErrorKind::kRetry, "Redis is reading its data set from disk: this passes"},
    Meaning{"MASTERDOWN", ErrorKind::kRetry,
            "this Redis is a replica that has lost its primary: let url name the primary"},
    Meaning{"MISCONF", ErrorKind::kRetry,
            "Redis cannot save to its disk and refuses writes: look for the cause in its log, a "
            "full disk as a rule"},
    Meaning{"NOREPLICAS", ErrorKind::kRetry,
            "fewer replicas are attached than min-replicas-to-write asks for"},
    Meaning{"BUSY ", ErrorKind::kRetry, "a script keeps Redis busy: SCRIPT KILL ends it"},
    Meaning{"TRYAGAIN", ErrorKind::kRetry, "slots are moving between nodes: this passes"},
    Meaning{"CLUSTERDOWN", ErrorKind::kRetry, "the cluster is down: see CLUSTER INFO"},
    Meaning{"MOVED", ErrorKind::kFatal,
            "this is a node of a Redis Cluster and the stream lives on another: clusters are not "
            "supported; let url name a server that is not in one"},
    Meaning{"ASK", ErrorKind::kFatal,
            "this is a node of a Redis Cluster: clusters are not supported"},
    Meaning{"CROSSSLOT", ErrorKind::kFatal,
            "this is a node of a Redis Cluster: clusters are not supported"},
    Meaning{"NOAUTH", ErrorKind::kFatal,
            "Redis asks for a password: set password, and username if it is not the default user"},
    Meaning{
        "WRONGPASS", ErrorKind::kFatal,
        "Redis does not accept user or password: correct username and password, or change them on "
        "the server with ACL SETUSER"},
    Meaning{"*wrong number of arguments for 'auth'", ErrorKind::kFatal,
            "users have names from Redis 6.0 on: take username out of the configuration"},
    Meaning{"*without any password configured", ErrorKind::kFatal,
            "Redis asks for no password: take it out of the configuration, or set requirepass"},
    Meaning{"*invalid password", ErrorKind::kFatal, "correct password"},
    Meaning{"NOPERM", ErrorKind::kFatal,
            "the user lacks a permission: on the server, ACL SETUSER USER +multi +exec +xadd "
            "+xrange +xinfo +hset +hsetnx +hmget +select ~walspout:positions ~PATTERN, with a "
            "pattern that covers the streams; +wait +hdel, too, if wait is configured"},
    Meaning{"WRONGTYPE", ErrorKind::kFatal,
            "the key exists and is not a stream: RENAME or DEL it, or choose another name for "
            "the stream"},
    Meaning{"DENIED", ErrorKind::kFatal,
            "Redis is in protected mode and takes connections from its own machine only: set a "
            "password, or protected-mode no"},
    Meaning{"*DB index is out of range", ErrorKind::kFatal,
            "there is no such database: correct the number at the end of url, or raise databases "
            "in redis.conf"},
    Meaning{"*invalid DB index", ErrorKind::kFatal, "correct the number at the end of url"},
    Meaning{"*unknown command", ErrorKind::kFatal,
            "streams need Redis 5.0 or later, with the commands XADD, XINFO, XRANGE, HSET, HSETNX, "
            "HMGET, MULTI and EXEC under their own names"},
    Meaning{"*max number of clients", ErrorKind::kRetry,
            "Redis has no connection left: raise maxclients"},
    Meaning{"*invalid bulk length", ErrorKind::kReject,
            "the event is longer than proto-max-bulk-len: raise it, or set max_value_bytes in the "
            "source"},
    Meaning{"*too large to be stored", ErrorKind::kReject,
            "the event is longer than a stream can hold: set max_value_bytes in the source"},
};

bool fits(const Meaning& meaning, std::string_view reply) {
  if (meaning.sign.front() != '*') return reply.starts_with(meaning.sign);
  return reply.find(meaning.sign.substr(1)) != std::string_view::npos;
}

// Removes the wrapper that EXEC's refusal may put around the cause.
std::string_view cause(std::string_view reply) {
  constexpr std::string_view kWrapper = "EXECABORT Transaction discarded because of: ";
  if (reply.starts_with(kWrapper)) reply.remove_prefix(kWrapper.size());
  // Redis repeats an unknown command with its arguments. Those of AUTH must not get into a log.
  return reply.substr(0, reply.find(", with args beginning with"));
}

}  // namespace

Error redis_error(std::string_view reply, std::string_view stream, std::string_view where) {
  reply = cause(reply);
  std::string what = "Redis refused ";
  what += stream.empty() ? "a command" : "to add to stream \"" + std::string(stream) + "\"";
  what += ": " + std::string(reply);
  for (const Meaning& meaning : kMeanings) {
    if (!fits(meaning, reply)) continue;
    return {meaning.kind, what + ". " + std::string(meaning.remedy), std::string(where)};
  }
  return {ErrorKind::kRetry, what, std::string(where)};
}

Error redis_position_error(std::string_view reply, std::string_view where) {
  if (!reply.starts_with("WRONGTYPE")) return redis_error(reply, "", where);
  return {
      ErrorKind::kFatal,
      "key \"" + std::string(kRedisPositions) +
          "\" is not a hash, and it is where walspout notes how far it filled each stream: RENAME "
          "or DEL it",
      std::string(where)};
}

bool redis_says_not_larger(std::string_view reply) {
  return reply.starts_with("ERR The ID specified in XADD is equal or smaller");
}

}  // namespace walspout
