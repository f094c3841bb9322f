// libFuzzer: the input is all that a Redis server ever sends, on every connection, whatever the
// requests. The sink must return in time. It may report an event as delivered only if the server
// said so.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "sink/redis/config.h"
#include "sink/redis/redis.h"
#include "sink/sinks.h"

namespace {

using namespace walspout;

// Sends its bytes to each client, and reads until the client leaves.
class Server {
 public:
  Server() {
    path_ = "/tmp/walspout_redis_fuzz." + std::to_string(getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    unlink(path_.c_str());
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener_, 8) != 0) {
      std::abort();
    }
    std::thread([this] { serve(); }).detach();
    std::atexit([] { unlink(("/tmp/walspout_redis_fuzz." + std::to_string(getpid())).c_str()); });
  }

  void say(std::string piece) {
    std::lock_guard lock(mutex_);
    piece_ = std::move(piece);
  }

  const std::string& path() const { return path_; }

 private:
  void serve() {
    for (;;) {
      int client = accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      std::string piece;
      {
        std::lock_guard lock(mutex_);
        piece = piece_;
      }
      if (send(client, piece.data(), piece.size(), MSG_NOSIGNAL) >= 0) {
        shutdown(client, SHUT_WR);
        char buffer[4096];
        while (recv(client, buffer, sizeof(buffer), 0) > 0) {
        }
      }
      close(client);
    }
  }

  std::string path_;
  int listener_;
  std::mutex mutex_;
  std::string piece_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Server server;
  static const Table table{"public", "orders"};
  server.say(std::string(reinterpret_cast<const char*>(data), size));

  SinkConfig config = sink_config("redis");
  RedisConfig redis;
  redis.url = Secret("unix://" + server.path());
  redis.pipeline = 2;
  config.options = redis;
  auto sink = make_sink(config);
  if (!sink) std::abort();

  const std::string document = R"({"id":"1000-0","op":"c"})";
  Event events[3];
  for (uint64_t i = 0; i < 3; i++) {
    events[i].lsn = Lsn{1000};
    events[i].index = i;
    events[i].document = document;
    events[i].table = &table;
    events[i].op = 'c';
  }
  const TimePoint deadline = Clock::now() + std::chrono::milliseconds(500);
  // The sink's own connection gets the same bytes; with an identity, it reads positions.
  if (size % 2 == 0) {
    static_cast<void>((*sink)->check(SourceState{Lsn{5000}, false, "1 slot db"}, deadline));
  }
  Progress progress(3);
  const Delivery delivered = (*sink)->deliver(events, deadline, progress);
  if (Clock::now() > deadline + std::chrono::seconds(5)) std::abort();
  const std::string_view said(reinterpret_cast<const char*>(data), size);
  // An entry's id, or an error that it exists: EXEC answers with an array in any case.
  if (progress.durable_count() > 0 && said.find('*') == std::string_view::npos) std::abort();
  if (delivered && progress.durable_count() != 3) std::abort();
  return 0;
}
