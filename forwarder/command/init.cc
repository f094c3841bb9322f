// `walspout init`: a configuration to begin with.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "command/commands.h"

namespace walspout {
namespace {

// Commented, and valid as it is if a database and Redis run on this machine.
constexpr std::string_view kStart =
    R"(# Configuration of walspout. `walspout check FILE` says whether it would work, `walspout keys` lists
# all keys, and `walspout schema` prints a JSON Schema for editors.

pipelines:
  - name: orders                              # in the log and in metrics
    source:
      dsn: postgresql:///postgres             # a connection string of libpq; or file:PATH, a file with it
      slot: walspout_orders                   # created if it is missing. It keeps WAL until that is read
      # publications: [orders]                # default: every table
      # backfill: {tables: all}               # when the slot is created, also send existing rows
    sinks:
      - type: redis                           # `walspout sinks` lists the types
        url: redis://127.0.0.1:6379
      # - type: http                          # a webhook
      #   url: https://example.com/hooks/orders
    # dead_letter: {path: orders.dead}        # set aside events that a receiver rejects

# status: {listen: "127.0.0.1:8470"}          # /healthz, /readyz, /metrics and /status
# state: /var/lib/walspout                    # memory of `run`: detects re-created slots and restored servers
)";

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

int init_command(const std::string& path) {
  if (path == "-") return write_all(STDOUT_FILENO, kStart) ? kClean : kFailed;
  // Readable for its owner only, because people put passwords into it.
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) {
    std::fprintf(stderr, "walspout: %s is there already, and is left as it is\n", path.c_str());
    return kFailed;
  }
  const bool good = file >= 0 && write_all(file, kStart);
  if (!good || close(file) != 0) {
    std::fprintf(stderr, "walspout: cannot write %s: %s\n", path.c_str(), std::strerror(errno));
    return kFailed;
  }
  std::printf(
      "wrote %s\nNext: name your database in it (dsn), then\n"
      "  walspout check %s\n  walspout run %s\n",
      path.c_str(), path.c_str(), path.c_str());
  return kClean;
}

}  // namespace walspout
