// A private nats-server with JetStream, and a client of libnats for setup and checks.
#pragma once

#include <gtest/gtest.h>
#include <nats/nats.h>

#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "test/sink/server_process.h"

namespace walspout::test {

class NatsProcess {
 public:
  // `more`: more lines of the configuration. `jetstream`: more lines of its jetstream block.
  explicit NatsProcess(std::string more = "", std::string jetstream = "",
                       bool with_jetstream = true)
      : jetstream_(with_jetstream ? "jetstream {\n  store_dir: \"" + directory_.file("store") +
                                        "\"\n  max_file_store: 1GB\n  max_memory_store: 256MB\n" +
                                        jetstream + "\n}\n"
                                  : "") {
    configure(std::move(more));
    start();
  }

  // Takes effect with the next start, or reload().
  void configure(const std::string& more) {
    write_file(directory_.file("conf"),
               "listen: \"127.0.0.1:" + std::to_string(port_) + "\"\nserver_name: test" +
                   std::to_string(port_) + "\n" + jetstream_ +
                   (more.find("max_payload") == std::string::npos ? "max_payload: 32MB\n" : "") +
                   more);
  }
  void start() {
    if (process_.running()) return;
    write_file(directory_.file("log"), "");
    ASSERT_TRUE(process_.start({{"/usr/sbin/nats-server", "-c", directory_.file("conf")},
                                {},
                                directory_.file("log"),
                                "nats-server"}));
    const bool up = wait_for(std::chrono::seconds(60), [this] {
      return !process_.running() || log().find("Server is ready") != std::string::npos;
    });
    ASSERT_TRUE(up && process_.running()) << log();
  }
  void stop() { process_.stop(SIGKILL); }
  void signal(int number) { process_.signal(number); }
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  std::string log() const { return read_file(directory_.file("log")); }
  std::string file(const std::string& name) const { return directory_.file(name); }
  int port() const { return port_; }
  std::string url(const std::string& who = "") const {
    return "nats://" + who + "127.0.0.1:" + std::to_string(port_);
  }

 private:
  TempDir directory_;
  const int port_ = free_port();
  const std::string jetstream_;
  Process process_;
};

// The test's own connection.
class NatsClient {
 public:
  struct Message {
    std::string subject;
    std::map<std::string, std::string> headers;
    std::string body;
  };

  explicit NatsClient(const std::string& url) {
    natsOptions* options = nullptr;
    natsOptions_Create(&options);
    natsOptions_SetURL(options, url.c_str());
    natsOptions_SetTimeout(options, 20'000);
    natsConnection* made = nullptr;
    EXPECT_EQ(natsConnection_Connect(&made, options), NATS_OK) << nats_GetLastError(nullptr);
    connection_.reset(made);
    natsOptions_Destroy(options);
    jsOptions js_options;
    jsOptions_Init(&js_options);
    js_options.Wait = 20'000;
    jsCtx* js = nullptr;
    EXPECT_EQ(natsConnection_JetStream(&js, made, &js_options), NATS_OK);
    js_.reset(js);
  }

  natsConnection* connection() { return connection_.get(); }

  // `change` may change the stream's configuration.
  template <typename Change>
  void add_stream(const std::string& name, const std::string& subject, Change change) {
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* subjects[] = {subject.c_str()};
    config.Name = name.c_str();
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    change(config);
    EXPECT_EQ(js_AddStream(nullptr, js_.get(), &config, nullptr, nullptr), NATS_OK)
        << nats_GetLastError(nullptr);
  }
  void add_stream(const std::string& name, const std::string& subject) {
    add_stream(name, subject, [](jsStreamConfig&) {});
  }
  void delete_stream(const std::string& name) {
    EXPECT_EQ(js_DeleteStream(js_.get(), name.c_str(), nullptr, nullptr), NATS_OK);
  }
  void purge(const std::string& name) {
    EXPECT_EQ(js_PurgeStream(js_.get(), name.c_str(), nullptr, nullptr), NATS_OK);
  }

  // A cluster does not answer while it chooses a leader.
  template <typename Ask>
  static natsStatus patiently(Ask ask) {
    natsStatus status = NATS_OK;
    EXPECT_TRUE(wait_for(std::chrono::seconds(60), [&] {
      status = ask();
      return status != NATS_TIMEOUT && status != NATS_NO_RESPONDERS;
    }));
    return status;
  }

  // `look` gets the jsStreamInfo.
  template <typename Look>
  void with_stream(const std::string& name, Look look) {
    jsStreamInfo* info = nullptr;
    const natsStatus status = patiently(
        [&] { return js_GetStreamInfo(&info, js_.get(), name.c_str(), nullptr, nullptr); });
    ASSERT_EQ(status, NATS_OK) << nats_GetLastError(nullptr);
    look(*info);
    jsStreamInfo_Destroy(info);
  }

  // All messages of the stream; they stay there.
  std::vector<Message> messages(const std::string& stream) {
    uint64_t first = 0;
    uint64_t last = 0;
    with_stream(stream, [&](const jsStreamInfo& info) {
      first = info.State.FirstSeq;
      last = info.State.Msgs == 0 ? 0 : info.State.LastSeq;
    });
    std::vector<Message> found;
    for (uint64_t number = first; last > 0 && number <= last; ++number) {
      natsMsg* made = nullptr;
      const natsStatus status = patiently(
          [&] { return js_GetMsg(&made, js_.get(), stream.c_str(), number, nullptr, nullptr); });
      EXPECT_EQ(status, NATS_OK) << nats_GetLastError(nullptr);
      if (status != NATS_OK) break;
      Message message;
      message.subject = natsMsg_GetSubject(made);
      message.body.assign(natsMsg_GetData(made), static_cast<size_t>(natsMsg_GetDataLength(made)));
      const char** keys = nullptr;
      int count = 0;
      if (natsMsgHeader_Keys(made, &keys, &count) == NATS_OK) {
        for (int i = 0; i < count; ++i) {
          const char* value = nullptr;
          natsMsgHeader_Get(made, keys[i], &value);
          message.headers[keys[i]] = value;
        }
        free(static_cast<void*>(keys));
      }
      natsMsg_Destroy(made);
      found.push_back(std::move(message));
    }
    return found;
  }
  std::vector<std::string> bodies(const std::string& stream) {
    std::vector<std::string> all;
    for (Message& message : messages(stream)) all.push_back(std::move(message.body));
    return all;
  }

 private:
  struct Free {
    void operator()(natsConnection* connection) const { natsConnection_Destroy(connection); }
    void operator()(jsCtx* js) const { jsCtx_Destroy(js); }
  };

  std::unique_ptr<natsConnection, Free> connection_;
  std::unique_ptr<jsCtx, Free> js_;
};

}  // namespace walspout::test
