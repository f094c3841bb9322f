// Servers that tests start for themselves: private directories, free ports, children that die
// with the test. Nothing here is part of the program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace walspout::test {

// A directory under $TMPDIR, readable by its owner only, and removed with its contents.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path() const { return path_; }
  std::string file(std::string_view name) const;

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view text);

// A TCP port of 127.0.0.1 that is free at the moment.
int free_port();

// Polls until the condition is true; false: the time is over.
[[nodiscard]] bool wait_for(std::chrono::milliseconds limit,
                            const std::function<bool()>& condition);

// Whether a server accepts connections there.
bool accepts(int port);
bool accepts(const std::string& unix_socket);

// Stops a process with SIGSTOP. On return none of its threads runs: the kernel stops threads one by
// one, and on a busy machine that takes a moment.
void freeze(pid_t pid);
void thaw(pid_t pid);

// A child process. Killed by the destructor, and by the kernel if the thread that started it ends.
class Process {
 public:
  struct Command {
    std::vector<std::string> argv;
    std::vector<std::string> env;  // NAME=value, added to ours
    std::string output;            // file to which stdout and stderr are appended
    std::string package;           // what to install if argv[0] is missing
  };

  Process() = default;
  ~Process() { stop(SIGKILL_); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Fails the test, naming the package, if the program is not installed.
  [[nodiscard]] bool start(const Command& command);

  // Sends the signal, waits for the end, and kills after ten seconds. Does nothing if it does not
  // run.
  void stop(int signal);
  void signal(int signal) const;
  void freeze() const { test::freeze(pid_); }
  void thaw() const { test::thaw(pid_); }
  bool running();
  // Whether it has ended by itself, with status 0. Only after running() was false.
  bool succeeded() const { return pid_ > 0 && status_ == 0; }
  pid_t pid() const { return pid_; }

 private:
  static constexpr int SIGKILL_ = 9;

  pid_t pid_ = -1;
  int status_ = -1;  // of waitpid, once the process has ended
};

}  // namespace walspout::test
