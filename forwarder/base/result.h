// Errors as values. Every function that can fail returns a Result; nothing of ours throws.
//
// The kind of an error decides what happens next, its text does not. An error is logged once, where
// it is handled; whoever passes it on may say more about where it happened, by in().
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace walspout {

enum class ErrorKind {
  kRetry,   // may succeed later, unchanged: do it again after the backoff
  kReject,  // this one thing will never be accepted; others may be
  kFatal,   // will not succeed until somebody changes a configuration: stop
};

struct Error {
  ErrorKind kind = ErrorKind::kRetry;
  std::string what;   // what failed, why, and what to do about it. Never holds a secret
  std::string where;  // endpoint or file, without credentials; may be empty

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

// The error on its way up, with `prefix` before its text.
inline Failure in(std::string_view prefix, Error error) {
  error.what.insert(0, std::string(prefix) + ": ");
  return Failure(std::move(error));
}

}  // namespace walspout
