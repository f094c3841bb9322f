// A real Redis for the tests of its sink, and sinks that deliver to it.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sink/redis/link.h"
#include "sink/redis/redis.h"
#include "test/sink/contract.h"
#include "test/sink/server_process.h"

namespace walspout::test {

inline constexpr const char* kStream = "walspout:shop:public.orders";

// A private Redis that writes every command to disk before it answers.
class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> options = {"--appendonly", "yes", "--appendfsync",
                                                           "always"})
      : options_(std::move(options)) {
    start();
  }

  void start() {
    launch();
    ASSERT_TRUE(wait_for(std::chrono::seconds(20), [this] { return ask({"PING"}) == "PONG"; }));
  }

  // Waits until the server listens, not until it is ready.
  void launch() {
    Process::Command command;
    command.argv = {"redis-server",
                    "--port",
                    std::to_string(port_),
                    "--bind",
                    "127.0.0.1",
                    "--unixsocket",
                    socket(),
                    "--dir",
                    directory_.path(),
                    "--save",
                    "",
                    "--logfile",
                    directory_.file("log"),
                    "--daemonize",
                    "no"};
    command.argv.insert(command.argv.end(), options_.begin(), options_.end());
    command.package = "redis-server";
    ASSERT_TRUE(process_.start(command));
    ASSERT_TRUE(wait_for(std::chrono::seconds(20), [this] { return accepts(socket()); }))
        << read_file(directory_.file("log"));
  }

  void stop() { process_.stop(SIGTERM); }
  void stop_hard() { process_.stop(SIGKILL); }
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  // Restarts without data.
  void lose_everything() {
    process_.stop(SIGKILL);
    std::error_code ignored;
    std::filesystem::remove_all(directory_.file("appendonlydir"), ignored);
    start();
  }

  std::string file(const std::string& name) const { return directory_.file(name); }
  std::string socket() const { return directory_.file("socket"); }
  std::string url() const { return "unix://" + socket(); }
  int port() const { return port_; }

  // The text of a reply or an error.
  std::string ask(const std::vector<std::string>& words) {
    const auto reply = query(words);
    if (reply == nullptr) return "";
    if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
    return reply->str != nullptr ? std::string(reply->str, reply->len) : "";
  }

  std::unique_ptr<redisReply, RedisLink::FreeReply> query(const std::vector<std::string>& words) {
    redisContext* context = redisConnectUnix(socket().c_str());
    std::vector<const char*> argv;
    std::vector<size_t> lengths;
    for (const std::string& word : words) {
      argv.push_back(word.data());
      lengths.push_back(word.size());
    }
    void* reply =
        redisCommandArgv(context, static_cast<int>(argv.size()), argv.data(), lengths.data());
    redisFree(context);
    return std::unique_ptr<redisReply, RedisLink::FreeReply>(static_cast<redisReply*>(reply));
  }

  // The stream's entries: id, and the field named.
  std::vector<std::pair<std::string, std::string>> entries(const std::string& stream,
                                                           const std::string& field = "data") {
    std::vector<std::pair<std::string, std::string>> found;
    const auto reply = query({"XRANGE", stream, "-", "+"});
    for (size_t i = 0; reply != nullptr && i < reply->elements; ++i) {
      const redisReply& entry = *reply->element[i];
      const redisReply& fields = *entry.element[1];
      for (size_t j = 0; j + 1 < fields.elements; j += 2) {
        if (fields.element[j]->str != field) continue;
        const redisReply& value = *fields.element[j + 1];
        found.emplace_back(entry.element[0]->str, std::string(value.str, value.len));
      }
    }
    return found;
  }

 private:
  TempDir directory_;
  int port_ = free_port();
  std::vector<std::string> options_;
  Process process_;
};

inline RedisConfig config_for(const std::string& url) {
  RedisConfig config;
  config.url = Secret(url);
  config.stream.origin = {"orders", "shop"};
  return config;
}

inline std::unique_ptr<Sink> sink_for(const RedisConfig& config) {
  auto made = RedisSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

inline const SourceState kSource{Lsn{}, false, "7000000000000000001 walspout_orders shop"};

// A sink that knows its source, like the forwarder's sinks.
inline std::unique_ptr<Sink> sourced_sink(const RedisConfig& config,
                                          const SourceState& source = kSource) {
  auto sink = sink_for(config);
  const auto checked = sink->check(source, in_seconds(5));
  EXPECT_TRUE(checked) << checked.error().message();
  return sink;
}

}  // namespace walspout::test
