// A webhook that misbehaves on demand, and sinks that deliver to it.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "sink/http/http.h"
#include "test/sink/server_process.h"

namespace walspout::test {

// Reads the decoded value of a member in the lines that http_server.py writes.
inline std::string member(const std::string& line, const std::string& name) {
  const std::string sign = "\"" + name + "\": ";
  size_t at = line.find(sign);
  if (at == std::string::npos) return "";
  at += sign.size();
  if (line[at] != '"') return line.substr(at, line.find_first_of(",}", at) - at);
  std::string text;
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\') {
      text += line[at];
      continue;
    }
    ++at;
    if (line[at] == 'u') {
      const int code = std::stoi(line.substr(at + 1, 4), nullptr, 16);
      at += 4;
      if (code < 0x80) {
        text += static_cast<char>(code);
      } else {
        text += static_cast<char>(0xc0 | (code >> 6));
        text += static_cast<char>(0x80 | (code & 0x3f));
      }
    } else {
      text += line[at] == 'n' ? '\n' : line[at];
    }
  }
  return text;
}

// The misbehaving receiver; see http_server.py.
class HttpServer {
 public:
  HttpServer() { start(); }

  void start() {
    Process::Command command;
    command.argv = {"/usr/bin/python3",
                    std::string(WALSPOUT_TEST_SOURCES) + "/sink/http/http_server.py",
                    directory_.path(), std::to_string(port_)};
    command.output = directory_.file("log");
    command.package = "python3";
    ASSERT_TRUE(process_.start(command));
    ASSERT_TRUE(wait_for(std::chrono::seconds(20), [this] { return accepts(port_); }))
        << read_file(directory_.file("log"));
  }
  void stop() { process_.stop(SIGTERM); }
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  // Sets the answers from now on, as JSON.
  void behave(const std::string& control) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port_));
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = "POST /_control HTTP/1.1\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(control.size()) + "\r\n\r\n" + control;
    ASSERT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    char answer[256];
    while (read(fd, answer, sizeof answer) > 0) continue;
    close(fd);
  }

  // Each request, as a line of JSON.
  std::vector<std::string> requests() const {
    std::vector<std::string> lines;
    std::istringstream in(read_file(directory_.file("requests")));
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  }
  // The requests that were answered with 200.
  std::vector<std::string> bodies() const {
    std::vector<std::string> found;
    for (const std::string& request : requests()) {
      if (member(request, "status") == "200") found.push_back(member(request, "body"));
    }
    return found;
  }

  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/hook"; }

 private:
  TempDir directory_;
  int port_ = free_port();
  Process process_;
};

inline std::unique_ptr<Sink> sink_for(const HttpConfig& config) {
  auto made = HttpSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

}  // namespace walspout::test
