// Errors as values. Every function that can fail returns a Result; our code does not throw.
//
// The kind of an error decides what happens next; its text does not. An error is logged once, where
// it is handled. A caller that passes it on may add where it happened, with with_prefix().
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace walspout {

enum class ErrorKind {
  kRetry,   // may succeed later, unchanged: repeat it after the backoff
  kReject,  // this one thing will never be accepted; others may be
  kFatal,   // will not succeed until an operator changes a configuration
};

// Whose fault an error is. An event is set aside only for a fault of its own.
enum class Scope {
  kEvent,          // this event: others of the batch may pass
  kBatch,          // at least one event of the batch: split the batch to find out
  kDestination,    // the receiver is down, full, read-only, busy, or rejects everything
  kConfiguration,  // ours or the receiver's: an operator has to change something
};

struct Error {
  ErrorKind kind = ErrorKind::kRetry;
  std::string what;               // what failed, why, and what to do about it. Never holds a secret
  std::string where;              // endpoint or file, without credentials; may be empty
  std::optional<Scope> blamed{};  // none: see scope()
  bool loss = false;  // the receiver lost what it had confirmed; an operator must know, even after
                      // deliveries resume

  // An outage is far more frequent than a bad event, so kRetry blames the destination.
  Scope scope() const {
    if (blamed) return *blamed;
    if (kind == ErrorKind::kReject) return Scope::kEvent;
    return kind == ErrorKind::kRetry ? Scope::kDestination : Scope::kConfiguration;
  }

  // "where: what"
  std::string message() const { return where.empty() ? what : where + ": " + what; }
};

template <typename T>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

// `return retry("could not connect: ...", endpoint);`
inline Failure retry(std::string what, std::string where = {}) {
  return Failure(Error{ErrorKind::kRetry, std::move(what), std::move(where)});
}

inline Failure reject(std::string what, std::string where = {}) {
  return Failure(Error{ErrorKind::kReject, std::move(what), std::move(where)});
}

inline Failure fatal(std::string what, std::string where = {}) {
  return Failure(Error{ErrorKind::kFatal, std::move(what), std::move(where)});
}

// Our configuration is wrong, and no attempt can succeed before somebody edits it.
inline Failure misconfigured(std::string what, std::string where = {}) {
  return Failure(
      Error{ErrorKind::kFatal, std::move(what), std::move(where), Scope::kConfiguration});
}

// The receiver is gone for good, like the closed reader of a pipe: no later attempt can succeed.
inline Failure gone(std::string what, std::string where = {}) {
  return Failure(Error{ErrorKind::kFatal, std::move(what), std::move(where), Scope::kDestination});
}

// The error for the caller, with `prefix` before its text.
inline Failure with_prefix(std::string_view prefix, Error error) {
  error.what.insert(0, std::string(prefix) + ": ");
  return Failure(std::move(error));
}

}  // namespace walspout
