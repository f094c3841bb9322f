// A running program, started without a shell. Three pipes connect it. It is ended together with its
// process group. SIGPIPE must be ignored.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "sink/exec/config.h"
#include "sink/exec/talk.h"
#include "stream/sink.h"

namespace walspout {

// The file of the program to start. Error: kFatal, the file is missing or may not be executed;
// names the file.
[[nodiscard]] Result<std::string> find_exec_program(const ExecConfig& config);

class ExecProcess {
 public:
  // Starts the program in its own process group, with only the three pipes as open files, and with
  // default signals. The kernel kills it when our process ends. `talk` gets its standard error, and
  // must outlive it. Error: kFatal if the program cannot be executed, kRetry if resources are
  // missing.
  [[nodiscard]] static Result<std::unique_ptr<ExecProcess>> start(const ExecConfig& config,
                                                                  ExecTalk& talk);
  // Kills the program if it still runs.
  ~ExecProcess();
  ExecProcess(const ExecProcess&) = delete;
  ExecProcess& operator=(const ExecProcess&) = delete;

  // Writes what fits into the pipe, and returns how many bytes. 0 after the program has closed its
  // standard input.
  size_t write(std::string_view bytes);
  bool is_input_closed() const { return in_ < 0; }

  // Reads available standard output, and returns how many bytes. 0: nothing now, or the end.
  size_t read(char* buffer, size_t size);
  bool is_output_closed() const { return out_ < 0; }

  // Makes the pipe of its standard output as small as possible.
  void narrow() const;

  // Reads its standard error.
  void listen();

  // Whether the program has ended. If so, kills the rest of its process group; the pipes can still
  // be read.
  bool has_ended();
  // "ended with exit status 1"
  std::string how_it_ended() const;
  bool has_failed() const { return status_ != 0; }

  // Waits until an output pipe (with `or_write`: also standard input) is ready, or the program has
  // ended, at most until `until`.
  void wait(bool or_write, TimePoint until);

  // end(): end of file at once, SIGTERM after `grace`, SIGKILL after another `grace`. Drops
  // answers. Returns at `until`; call it again until it returns true.
  void close_input();
  void close_output();
  [[nodiscard]] bool end(Milliseconds grace, TimePoint until);

  pid_t pid() const { return pid_; }

 private:
  explicit ExecProcess(ExecTalk& talk) : talk_(talk) {}
  void signal_all(int signal) const;

  ExecTalk& talk_;
  pid_t pid_ = -1;  // also the id of its process group
  int watch_ = -1;  // pidfd; -1: the kernel has none
  int in_ = -1;     // its standard input; the next two are its output and error
  int out_ = -1;
  int err_ = -1;
  bool ended_ = false;
  int status_ = 0;  // as waitpid() says
  std::optional<TimePoint> ending_since_;
  int signals_ = 0;  // sent to end it
};

}  // namespace walspout
