#include "status/server.h"

#include <httplib.h>

#include <exception>

#include "base/clock.h"
#include "base/log.h"
#include "status/report.h"

namespace walspout {

namespace {

constexpr size_t kThreads = 2;

// The library's own options let a second process listen at the same port, and take half of the
// requests.
void only_listener(int socket) {
  int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

}  // namespace

struct StatusServer::Impl {
  httplib::Server server;
  std::vector<const Pipeline*> pipelines;
  std::thread thread;
};

StatusServer::StatusServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusServer::~StatusServer() {
  stop();
}

Result<std::unique_ptr<StatusServer>> StatusServer::start(const StatusConfig& config,
                                                          std::vector<const Pipeline*> pipelines) {
  auto impl = std::make_unique<Impl>();
  impl->pipelines = std::move(pipelines);
  httplib::Server& server = impl->server;
  const std::vector<const Pipeline*>& all = impl->pipelines;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_keep_alive_max_count(1);  // a client that stays would hold a thread
  server.set_socket_options(only_listener);
  // Refused before the library would read a body, however long, into memory.
  server.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    if (request.method == "GET" || request.method == "HEAD") {
      return httplib::Server::HandlerResponse::Unhandled;
    }
    response.status = 405;
    response.set_header("Allow", "GET, HEAD");
    return httplib::Server::HandlerResponse::Handled;
  });
  server.set_read_timeout(5);
  server.set_write_timeout(5);
  server.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  server.Get("/readyz", [&all](const httplib::Request&, httplib::Response& response) {
    Readiness state = readiness(all, wall_micros());
    response.status = state.ready ? 200 : 503;
    response.set_content(state.ready ? "ready\n" : state.why, "text/plain; charset=utf-8");
  });
  server.Get("/status", [&all](const httplib::Request&, httplib::Response& response) {
    response.set_content(status_json(all, wall_micros()), "application/json");
  });
  server.Get("/metrics", [&all](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics_text(all, wall_micros()), "text/plain; version=0.0.4");
  });
  std::string where = config.host + ":" + std::to_string(config.port);
  int port = config.port;
  if (port == 0) {
    port = server.bind_to_any_port(config.host);
    if (port < 0) return fatal("could not listen", where);
  } else if (!server.bind_to_port(config.host, port)) {
    return fatal("could not listen: is the port in use, or the address another machine's?", where);
  }
  log(LogLevel::kInfo, "status server listens", {{"host", config.host}, {"port", port}});
  Impl* raw = impl.get();
  impl->thread = std::thread([raw] {
    try {
      raw->server.listen_after_bind();
    } catch (const std::exception& error) {  // of its threads, that cannot be created
      log(LogLevel::kError, "status server ends", {{"error", error.what()}});
    }
  });
  return std::unique_ptr<StatusServer>(new StatusServer(std::move(impl)));
}

void StatusServer::stop() {
  if (!impl_ || !impl_->thread.joinable()) return;
  // A stop before the thread has begun to listen would be lost.
  for (int i = 0; i < 1000 && !impl_->server.is_running(); i++) {
    std::this_thread::sleep_for(Milliseconds(1));
  }
  impl_->server.stop();
  impl_->thread.join();
}

}  // namespace walspout
