#include "test/sink/server_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace walspout::test {

TempDir::TempDir() {
  const char* parent = getenv("TMPDIR");
  std::string name = std::string(parent != nullptr ? parent : "/tmp") + "/walspout-test-XXXXXX";
  const char* made = mkdtemp(name.data());
  path_ = made != nullptr ? made : "/nonexistent";
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::file(std::string_view name) const {
  return path_ + "/" + std::string(name);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_file(const std::string& path, std::string_view text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool connects(int family, const void* address, socklen_t length) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected = connect(fd, static_cast<const sockaddr*>(address), length) == 0;
  close(fd);
  return connected;
}

}  // namespace

int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

bool wait_for(std::chrono::milliseconds limit, const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool accepts(int port) {
  const sockaddr_in address = loopback(port);
  return connects(AF_INET, &address, sizeof address);
}

bool accepts(const std::string& unix_socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (unix_socket.size() >= sizeof address.sun_path) return false;
  memcpy(address.sun_path, unix_socket.c_str(), unix_socket.size() + 1);
  return connects(AF_UNIX, &address, sizeof address);
}

namespace {

// The program's file, found like execvp does; empty: none.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
  const char* path = getenv("PATH");
  std::stringstream folders(std::string(path != nullptr ? path : "") + ":/usr/sbin:/sbin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = folder + "/" + name;
    if (access(file.c_str(), X_OK) == 0) return file;
  }
  return "";
}

[[noreturn]] void become(const std::string& program, const Process::Command& command) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  const int output = open(command.output.empty() ? "/dev/null" : command.output.c_str(),
                          O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(output, 1);
  dup2(output, 2);
  std::vector<char*> argv;
  for (const std::string& argument : command.argv)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  for (const std::string& setting : command.env) putenv(const_cast<char*>(setting.c_str()));
  execv(program.c_str(), argv.data());
  _exit(127);
}

}  // namespace

bool Process::start(const Command& command) {
  const std::string program = find_program(command.argv.front());
  if (program.empty()) {
    ADD_FAILURE() << command.argv.front() << " is not installed: apt-get install "
                  << command.package;
    return false;
  }
  status_ = -1;
  pid_ = fork();
  if (pid_ == 0) become(program, command);
  return pid_ > 0;
}

namespace {

// A thread that has ended does not run either.
bool is_frozen(pid_t pid) {
  std::error_code gone;
  const std::filesystem::directory_iterator tasks("/proc/" + std::to_string(pid) + "/task", gone);
  return std::all_of(begin(tasks), end(tasks), [](const auto& task) {
    const std::string stat = read_file(task.path().string() + "/stat");
    const size_t name_end = stat.rfind(')');  // the state follows the name, which may be anything
    return name_end == std::string::npos ||
           std::string_view("TtZX").find(stat[name_end + 2]) != std::string_view::npos;
  });
}

}  // namespace

void freeze(pid_t pid) {
  if (pid <= 0) return;
  kill(pid, SIGSTOP);
  EXPECT_TRUE(wait_for(std::chrono::seconds(30), [pid] { return is_frozen(pid); }));
}

void thaw(pid_t pid) {
  if (pid > 0) kill(pid, SIGCONT);
}

void Process::signal(int signal) const {
  if (pid_ > 0) kill(pid_, signal);
}

void Process::stop(int signal) {
  if (pid_ <= 0) return;
  kill(pid_, signal);
  kill(pid_, SIGCONT);
  if (!wait_for(std::chrono::seconds(10), [this] { return !running(); })) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_ = -1;
}

bool Process::running() {
  return pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == 0;
}

}  // namespace walspout::test
