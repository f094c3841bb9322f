#include "sink/exec/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "sink/exec/spawn.h"

namespace walspout {
namespace {

constexpr int kPipe = 256 * 1024;   // bytes; a larger pipe wakes both sides less often
constexpr Milliseconds kLook{100};  // without a pidfd, how often to look for the end
constexpr std::chrono::seconds kKilled{5};
constexpr size_t kMostTalk = 256 * 1024;  // bytes per call, so that other work goes on

// Systemd's variables for walspout are not for the program.
constexpr std::array<std::string_view, 6> kOurs = {
    "NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=",
    "LISTEN_PID=",    "LISTEN_FDS=",   "LISTEN_FDNAMES="};

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

std::vector<std::string> environment(const ExecConfig& config) {
  std::vector<std::string> env;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const bool is_ours = std::any_of(kOurs.begin(), kOurs.end(),
                                     [&](std::string_view name) { return text.starts_with(name); });
    const bool is_replaced =
        std::any_of(config.env.begin(), config.env.end(),
                    [&](const auto& given) { return text.starts_with(given.first + "="); });
    if (!is_ours && !is_replaced) env.emplace_back(text);
  }
  for (const auto& [name, value] : config.env) env.push_back(name + "=" + value.reveal());
  return env;
}

std::string search_path(const ExecConfig& config) {
  for (const auto& [name, value] : config.env) {
    if (name == "PATH") return value.reveal();
  }
  const char* path = std::getenv("PATH");
  return path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
}

// Whether the path is a file that may be executed. False: errno has the reason.
bool is_executable(const std::string& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) return false;
  if (!S_ISREG(status.st_mode)) {
    errno = EISDIR;
    return false;
  }
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

Failure not_executable(const std::string& program, int why) {
  const std::string what = "could not start the program: ";
  switch (why) {
    case EACCES:
    case EPERM:
      return misconfigured(what +
                               "it may not be executed. See chmod +x, the rights of the folders "
                               "above it, and noexec of the file system",
                           program);
    case ENOENT:
      return misconfigured(what + "there is no such file. Correct command, or install the program",
                           program);
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return misconfigured(what + std::strerror(why) + ". Correct command", program);
    case ENOEXEC:
      return misconfigured(what +
                               "the system cannot execute the file. A script begins with #! and "
                               "the path of its interpreter",
                           program);
    case E2BIG:
      return misconfigured(what + "arguments and environment are too long", program);
    default:
      return retry(what + std::strerror(why), program);
  }
}

// If a script's interpreter is missing, the kernel reports the script as missing.
Failure not_started(const ExecConfig& config, const std::string& program, const Spawned& spawned) {
  if (spawned.in_directory) {
    return misconfigured("could not start the program: could not change to directory \"" +
                             config.directory + "\": " + std::strerror(spawned.error),
                         program);
  }
  if (spawned.error == ENOENT && is_executable(program)) {
    return misconfigured(
        "could not start the program: its interpreter is missing. Look at the line "
        "that begins with #!",
        program);
  }
  return not_executable(program, spawned.error);
}

// Makes a pipe; our end does not block.
bool make_pipe(int& ours, int& theirs, bool we_write) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
  ours = ends[we_write ? 1 : 0];
  theirs = ends[we_write ? 0 : 1];
  fcntl(ours, F_SETFL, O_NONBLOCK | (we_write ? O_WRONLY : O_RDONLY));
  fcntl(ours, F_SETPIPE_SZ, kPipe);
  return true;
}

}  // namespace

Result<std::string> find_exec_program(const ExecConfig& config) {
  namespace fs = std::filesystem;
  const std::string& name = config.command.front();
  std::error_code ignored;
  struct stat status = {};
  if (!config.directory.empty() && ::stat(config.directory.c_str(), &status) != 0) {
    return misconfigured(std::string("directory cannot be used: ") + std::strerror(errno),
                         config.directory);
  }
  if (name.find('/') != std::string::npos) {
    const std::string path =
        fs::absolute(fs::path(config.directory) / name, ignored).lexically_normal().string();
    if (!is_executable(path)) return not_executable(path, errno);
    return path;
  }
  const std::string path = search_path(config);
  std::optional<Failure> found;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const std::string folder = path.substr(begin, end - begin);
    const std::string file = fs::absolute(fs::path(folder) / name, ignored).string();
    if (is_executable(file)) return file;
    if (errno == EACCES && !found) found = not_executable(file, errno);
    begin = end + 1;
  }
  if (found) return std::move(*found);
  return misconfigured("could not start the program: no folder of PATH (" + path +
                           ") has it. Write its path in command, or set PATH under env",
                       name);
}

Result<std::unique_ptr<ExecProcess>> ExecProcess::start(const ExecConfig& config, ExecTalk& talk) {
  auto program = find_exec_program(config);
  if (!program) return Failure(std::move(program.error()));
  std::unique_ptr<ExecProcess> process(new ExecProcess(talk));
  SpawnPlan plan;
  plan.program = *program;
  plan.argv = config.command;
  plan.env = environment(config);
  plan.directory = config.directory;
  Spawned spawned;
  if (make_pipe(process->in_, plan.in, true) && make_pipe(process->out_, plan.out, false) &&
      make_pipe(process->err_, plan.err, false)) {
    spawned = spawn(plan);
  } else {
    spawned.error = errno;
  }
  for (int* fd : {&plan.in, &plan.out, &plan.err}) close_fd(*fd);
  if (spawned.pid < 0) {
    process->ended_ = true;
    return not_started(config, *program, spawned);
  }
  process->pid_ = spawned.pid;
  process->watch_ = static_cast<int>(syscall(SYS_pidfd_open, spawned.pid, 0));
  return process;
}

ExecProcess::~ExecProcess() {
  if (!ended_) {
    // A process that hangs in the kernel survives even SIGKILL.
    const TimePoint until = Clock::now() + kKilled;
    signal_all(SIGKILL);
    while (!has_ended() && Clock::now() < until) wait(false, until);
  }
  for (int* fd : {&in_, &out_, &err_, &watch_}) close_fd(*fd);
}

size_t ExecProcess::write(std::string_view bytes) {
  if (in_ < 0 || bytes.empty()) return 0;
  const ssize_t written = ::write(in_, bytes.data(), bytes.size());
  if (written >= 0) return static_cast<size_t>(written);
  if (errno != EAGAIN && errno != EINTR) close_fd(in_);
  return 0;
}

size_t ExecProcess::read(char* buffer, size_t size) {
  if (out_ < 0) return 0;
  const ssize_t got = ::read(out_, buffer, size);
  if (got > 0) return static_cast<size_t>(got);
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) close_fd(out_);
  return 0;
}

void ExecProcess::narrow() const {
  fcntl(out_, F_SETPIPE_SZ, 1);
}

void ExecProcess::listen() {
  std::array<char, 16 * 1024> buffer;
  for (size_t all = 0; err_ >= 0 && all < kMostTalk;) {
    const ssize_t got = ::read(err_, buffer.data(), buffer.size());
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close_fd(err_);
    if (got <= 0) break;
    talk_.add({buffer.data(), static_cast<size_t>(got)}, Clock::now());
    all += static_cast<size_t>(got);
  }
}

void ExecProcess::signal_all(int signal) const {
  if (pid_ > 0) ::kill(-pid_, signal);
}

// Kills the rest of the process group before the zombie is reaped, while the group's id cannot be
// reused.
bool ExecProcess::has_ended() {
  if (ended_) return true;
  siginfo_t info{};
  const int looked = waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT);
  if (looked == 0 && info.si_pid == 0) return false;
  if (looked != 0 && errno == EINTR) return false;
  signal_all(SIGKILL);
  while (waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
  }
  ended_ = true;
  listen();
  talk_.end(Clock::now());
  close_fd(in_);
  close_fd(err_);
  return true;
}

std::string ExecProcess::how_it_ended() const {
  if (WIFEXITED(status_)) return "ended with exit status " + std::to_string(WEXITSTATUS(status_));
  const int signal = WTERMSIG(status_);
  const char* name = sigabbrev_np(signal);
  std::string how = "was ended by signal " + std::to_string(signal);
  if (name != nullptr) how += std::string(" (SIG") + name + ")";
  return how;
}

void ExecProcess::wait(bool or_write, TimePoint until) {
  TimePoint now = Clock::now();
  if (ended_ || now >= until) return;
  if (watch_ < 0) until = std::min(until, now + kLook);
  std::array<pollfd, 4> fds = {{{watch_, POLLIN, 0},
                                {out_, POLLIN, 0},
                                {err_, POLLIN, 0},
                                {or_write ? in_ : -1, POLLOUT, 0}}};
  const auto left =
      until == TimePoint::max() ? 60'000 : std::chrono::ceil<Milliseconds>(until - now).count();
  ::poll(fds.data(), fds.size(), static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
}

void ExecProcess::close_input() {
  close_fd(in_);
}

void ExecProcess::close_output() {
  close_fd(out_);
}

bool ExecProcess::end(Milliseconds grace, TimePoint until) {
  close_input();
  if (!ending_since_) ending_since_ = Clock::now();
  std::array<char, 16 * 1024> buffer;
  for (;;) {
    if (has_ended()) return true;
    read(buffer.data(), buffer.size());
    listen();
    const TimePoint now = Clock::now();
    TimePoint next = *ending_since_ + grace * (signals_ + 1);
    if (now >= next && signals_ < 2) {
      signal_all(signals_ == 0 ? SIGTERM : SIGKILL);
      if (signals_ == 0) signal_all(SIGCONT);
      ++signals_;
      next += grace;
    }
    if (now >= until) return false;
    wait(false, std::min(until, signals_ < 2 ? next : TimePoint::max()));
  }
}

}  // namespace walspout
