#include "sink/exec/spawn.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>

namespace walspout {
namespace {

constexpr int kReport = 3;        // the file that reports a failure; a successful exec closes it
constexpr int kOutOfTheWay = 10;  // above the program's files
constexpr int kMostFiles = 65'536;

// The arguments of execve(), made before the fork, because the child must not allocate.
class Vector {
 public:
  explicit Vector(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) pointers_.push_back(const_cast<char*>(text.c_str()));
    pointers_.push_back(nullptr);
  }
  char* const* data() const { return pointers_.data(); }

 private:
  std::vector<char*> pointers_;
};

struct Report {
  int error;
  bool in_directory;
};

[[noreturn]] void fail(int report, bool in_directory) {
  const Report failure{errno, in_directory};
  static_cast<void>(!::write(report, &failure, sizeof failure));
  _exit(127);
}

void close_all_from(int first) {
  if (syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) return;
  for (int fd = first; fd < kMostFiles; ++fd) close(fd);
}

// In the child, between fork and exec, call only functions that are safe in a signal handler.
[[noreturn]] void become(const SpawnPlan& plan, char* const* argv, char* const* env, int report,
                         pid_t parent) {
  report = fcntl(report, F_DUPFD_CLOEXEC, kOutOfTheWay);
  const std::array<int, 3> files = {fcntl(plan.in, F_DUPFD_CLOEXEC, kOutOfTheWay),
                                    fcntl(plan.out, F_DUPFD_CLOEXEC, kOutOfTheWay),
                                    fcntl(plan.err, F_DUPFD_CLOEXEC, kOutOfTheWay)};
  for (int fd = 0; fd < 3; ++fd) {
    if (dup2(files[static_cast<size_t>(fd)], fd) < 0) fail(report, false);
  }
  if (dup3(report, kReport, O_CLOEXEC) < 0) fail(report, false);
  close_all_from(kReport + 1);
  setpgid(0, 0);
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // our process ended before the child could watch it
  if (!plan.directory.empty() && chdir(plan.directory.c_str()) != 0) fail(kReport, true);
  execve(plan.program.c_str(), argv, env);
  fail(kReport, false);
}

Spawned start(const SpawnPlan& plan) {
  const Vector argv(plan.argv);
  const Vector env(plan.env);
  std::array<int, 2> report{};
  if (pipe2(report.data(), O_CLOEXEC) != 0) return {-1, errno, false};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  const int error = errno;
  if (pid == 0) become(plan, argv.data(), env.data(), report[1], parent);
  close(report[1]);
  Spawned spawned{pid, pid < 0 ? error : 0, false};
  Report failure{};
  ssize_t got = 0;
  if (pid > 0) {
    setpgid(pid, pid);  // the child does so, too, in case it is first
    do {
      got = read(report[0], &failure, sizeof failure);
    } while (got < 0 && errno == EINTR);
  }
  close(report[0]);
  if (got == sizeof failure) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    spawned = {-1, failure.error, failure.in_directory};
  }
  return spawned;
}

class Starter {
 public:
  Starter() {
    // While SIGCHLD is ignored, the kernel keeps no exit status.
    struct sigaction child = {};
    sigaction(SIGCHLD, nullptr, &child);
    if (child.sa_handler == SIG_IGN) ::signal(SIGCHLD, SIG_DFL);
    // Other threads handle signals.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      std::thread([this] { work(); }).detach();
      runs_ = true;
    } catch (const std::system_error&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  bool runs() const { return runs_; }

  Spawned start(const SpawnPlan& plan) {
    std::packaged_task<Spawned()> task([&plan] { return walspout::start(plan); });
    std::future<Spawned> result = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
    return result.get();
  }

 private:
  [[noreturn]] void work() {
    pthread_setname_np(pthread_self(), "starter");
    for (;;) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return !tasks_.empty(); });
      std::packaged_task<Spawned()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::packaged_task<Spawned()>> tasks_;
  bool runs_ = false;
};

}  // namespace

Spawned spawn(const SpawnPlan& plan) {
  static std::mutex mutex;
  static Starter* starter = nullptr;  // never deleted: its thread ends with the process
  Starter* now = nullptr;
  {
    const std::lock_guard lock(mutex);
    if (starter == nullptr || !starter->runs()) {
      delete starter;
      starter = new Starter();
    }
    now = starter->runs() ? starter : nullptr;
  }
  return now == nullptr ? Spawned{-1, EAGAIN, false} : now->start(plan);
}

}  // namespace walspout
