// Parses the head of an HTTP/1 request, as far as a server of a few short pages needs it. Pure:
// gets bytes and does no I/O.
#pragma once

#include <cstddef>
#include <string_view>

namespace walspout {

enum class Head {
  kIncomplete,  // more bytes are needed
  kBad,         // this is no HTTP/1 request
  kComplete,
};

struct Request {
  std::string_view method;
  std::string_view path;   // without scheme, host and query
  std::string_view query;  // behind the "?"
  std::string_view authorization;
  std::string_view origin;  // of the requesting page, from browsers
  std::string_view host;    // the Host header, with its port; empty: missing
  bool keep_alive = false;  // whether another request may follow on the connection
  size_t length = 0;        // of the head, in bytes
};

// Looks for a head at the start of `bytes`. Sets the request if the head is complete; its views
// point into `bytes`. A request with a body is never kept alive, because the body is not read.
Head parse_head(std::string_view bytes, Request& request);

}  // namespace walspout
