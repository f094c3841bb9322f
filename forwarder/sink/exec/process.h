// A program that runs beside us: started without a shell, spoken to by three pipes, and ended with
// all that it has started. SIGPIPE must be ignored.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "sink/exec/config.h"
#include "sink/exec/talk.h"
#include "stream/sink.h"

namespace walspout {

// The file of the program, as it will be started. Error: kFatal, it is not there, or may not be
// executed; names the file.
[[nodiscard]] Result<std::string> find_exec_program(const ExecConfig& config);

class ExecProcess {
 public:
  // Starts the program: in a process group of its own, with no file of ours but the three pipes,
  // with signals as by default. The kernel kills it when our process ends. `talk` gets its standard
  // error, and must outlive it. Error: kFatal if the program cannot be executed, kRetry if the
  // machine lacks something.
  [[nodiscard]] static Result<std::unique_ptr<ExecProcess>> start(const ExecConfig& config,
                                                                  ExecTalk& talk);
  // Kills what still runs.
  ~ExecProcess();
  ExecProcess(const ExecProcess&) = delete;
  ExecProcess& operator=(const ExecProcess&) = delete;

  // Writes what fits into the pipe; how many bytes. When the program has closed its standard
  // input: nothing fits any more.
  size_t write(std::string_view bytes);
  bool is_input_closed() const { return in_ < 0; }

  // Reads what there is of its standard output; how many bytes. 0: nothing now, or the end.
  size_t read(char* buffer, size_t size);
  bool is_output_closed() const { return out_ < 0; }

  // Makes the pipe of its standard output as small as can be.
  void narrow() const;

  // Takes in what it says on standard error.
  void listen();

  // Whether it has ended. Then all that it started in its process group is killed, and what is in
  // the pipes can still be read.
  bool has_ended();
  // "ended with exit status 1"
  std::string how_it_ended() const;
  bool has_failed() const { return status_ != 0; }

  // Until one of the pipes can be used (`or_write`: that of its standard input, too), it has ended,
  // or the time has come.
  void wait(bool or_write, TimePoint until);

  // Ends it: end of file at once, SIGTERM after `grace`, SIGKILL after as long again. Its answers
  // are dropped. Call it again until it is true; returns at `until`.
  void close_input();
  void close_output();
  [[nodiscard]] bool end(Milliseconds grace, TimePoint until);

  pid_t pid() const { return pid_; }

 private:
  explicit ExecProcess(ExecTalk& talk) : talk_(talk) {}
  void signal_all(int signal) const;

  ExecTalk& talk_;
  pid_t pid_ = -1;  // and its process group
  int watch_ = -1;  // pidfd; -1: the kernel has none
  int in_ = -1;     // its standard input, ...
  int out_ = -1;
  int err_ = -1;
  bool ended_ = false;
  int status_ = 0;  // as waitpid() says
  std::optional<TimePoint> ending_since_;
  int signals_ = 0;  // sent to end it
};

}  // namespace walspout
