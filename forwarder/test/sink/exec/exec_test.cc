#include "sink/exec/exec.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>

#include "sink/sinks.h"
#include "test/sink/contract.h"
#include "test/sink/server_process.h"
#include "test/sink/shows.h"

namespace walspout::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kPython = "/usr/bin/python3";

// The begin of the tests' programs. take() returns the next id and line, or nothing at the end;
// done() and say() answer.
constexpr const char* kBegin = R"(
import json, os, signal, sys, time
here = os.path.dirname(os.path.abspath(__file__))
def note(name, text):
    with open(os.path.join(here, name), "a") as f:
        f.write(text)
note("pids", f"{os.getpid()}\n")
def take():
    line = sys.stdin.buffer.readline()
    return (json.loads(line)["id"], line) if line.endswith(b"\n") else None
def say(text):
    os.write(1, text.encode())
def done(id, **more):
    say(json.dumps({"id": id, **more}) + "\n")
)";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A program in its own directory.
class Program {
 public:
  explicit Program(const std::string& text) {
    ::signal(SIGPIPE, SIG_IGN);
    write_file(path(), kBegin + text);
  }

  std::string path() const { return directory_.file("program.py"); }
  std::string file(const std::string& name) const { return directory_.file(name); }
  std::string folder() const { return directory_.path(); }
  ExecConfig config() const {
    ExecConfig config;
    config.command = {kPython, "-B", path()};
    config.grace = Milliseconds(500);
    return config;
  }
  // The output of all starts.
  std::vector<pid_t> pids() const {
    std::vector<pid_t> pids;
    for (const std::string& line : lines_of(read_file(file("pids")))) pids.push_back(stoi(line));
    return pids;
  }
  void signal(int signal) const {
    if (!pids().empty()) kill(pids().back(), signal);
  }
  std::vector<std::string> written() const { return lines_of(read_file(file("written"))); }

 private:
  TempDir directory_;
};

bool is_alive(pid_t pid) {
  return kill(pid, 0) == 0;
}

std::unique_ptr<Sink> sink_for(const ExecConfig& config) {
  auto made = ExecSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

// Appends its input to a file, and answers.
constexpr const char* kAppend = R"(
if os.path.exists(os.path.join(here, "down")):
    sys.exit(1)
f = open(os.path.join(here, "written"), "ab")
while got := take():
    f.write(got[1])
    f.flush()
    done(got[0])
)";

class ExecHarness final : public Harness {
 public:
  std::unique_ptr<Sink> make_sink() override { return sink_for(program_.config()); }
  std::vector<std::string> received() override { return program_.written(); }
  bool checks_server() const override { return false; }
  void start_server() override { unlink(program_.file("down").c_str()); }
  void stop_server() override {
    write_file(program_.file("down"), "");
    program_.signal(SIGKILL);
  }
  void freeze_server() override { freeze(program_.pids().back()); }
  void thaw_server() override { thaw(program_.pids().back()); }

 private:
  Program program_{kAppend};
};

std::unique_ptr<Harness> make_exec_harness() {
  return std::make_unique<ExecHarness>();
}

INSTANTIATE_TEST_SUITE_P(Exec, SinkContract, testing::Values(&make_exec_harness));

class ExecSinkTest : public testing::Test {
 protected:
  ExecSinkTest() {
    for (int i = 0; i < 10; ++i) events_.add(i);
  }

  DeliveryError failure(Sink& sink, std::span<const Event> events, double seconds = 20) {
    progress_ = Progress(events.size());
    const auto delivery = sink.deliver(events, in_seconds(seconds), progress_);
    if (!delivery) return delivery.error();
    ADD_FAILURE() << "delivered";
    return {};
  }
  DeliveryError failure(Sink& sink, double seconds = 20) {
    return failure(sink, events_.span(), seconds);
  }
  // The error about a program that breaks the contract. Its scope is destination, and the program
  // is started again.
  std::string complaint(const std::string& text) {
    const Program program(text);
    auto sink = sink_for(program.config());
    const DeliveryError error = failure(*sink);
    EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
    EXPECT_EQ(error.error.scope(), Scope::kDestination);
    EXPECT_EQ(error.error.where, kPython);
    failure(*sink);
    EXPECT_EQ(program.pids().size(), 2u);
    return error.error.what;
  }

  Events events_;
  Progress progress_{0};
};

TEST_F(ExecSinkTest, TheProgramGetsLinesAndAnswers) {
  SHOWS("exec.command");
  const Program program(R"(
note("argv", repr(sys.argv[1:]))
while got := take():
    note("written", got[1].decode())
    done(got[0])
)");
  ExecConfig config = program.config();
  config.command.insert(config.command.end(), {"a b", "$HOME", "*", ""});
  auto sink = sink_for(config);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(program.written(), events_.documents());
  EXPECT_EQ(read_file(program.file("argv")), "['a b', '$HOME', '*', '']");
  EXPECT_EQ(sink->endpoint(), kPython);
}

TEST_F(ExecSinkTest, RefusalsSayWhoseFaultTheyAre) {
  const Program program(R"(
while got := take():
    n = int(got[0].split("-")[1])
    if n == 3 and os.path.exists(os.path.join(here, "reject")):
        done(got[0], error="no \x1b[31mgood", kind="reject")
    elif n == 3:
        done(got[0], error="busy")
    else:
        done(got[0])
)");
  auto sink = sink_for(program.config());
  DeliveryError error = failure(*sink);
  EXPECT_EQ(error.error.kind, ErrorKind::kRetry);
  EXPECT_EQ(error.error.scope(), Scope::kDestination);
  EXPECT_EQ(error.event, 3u);
  EXPECT_EQ(error.error.what, "the program says of event 1000-3: busy");
  EXPECT_EQ(progress_.durable_count(), 3u);
  write_file(program.file("reject"), "");
  error = failure(*sink, events_.span().subspan(3));
  EXPECT_EQ(error.error.kind, ErrorKind::kReject);
  EXPECT_EQ(error.error.scope(), Scope::kEvent);
  EXPECT_EQ(error.event, 0u);
  EXPECT_EQ(error.error.what, "the program says of event 1000-3: no \\x1b[31mgood");
  // The program goes on.
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(4)));
  EXPECT_EQ(program.pids().size(), 1u);
}

TEST_F(ExecSinkTest, AnswersMayComeInAnyOrderAndMoreThanOnce) {
  const Program program(R"(
ids = [take()[0] for i in range(10)]
for id in reversed(ids):
    done(id)
    done(id)
while got := take():
    done(ids[0])
    done(got[0])
)");
  auto sink = sink_for(program.config());
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  events_.add(11);
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(10)));
  EXPECT_EQ(program.pids().size(), 1u);
}

// Event 0 fails. The configuration decides which later events are repeated.
TEST_F(ExecSinkTest, OrderSaysWhatComesAgainBehindAFailure) {
  SHOWS("exec.order");
  Events events;
  for (const int key : {1, 1, 2}) events.add(key);
  for (const auto& [order, durable] :
       std::map<Order, size_t>{{Order::kAll, 0}, {Order::kKey, 1}, {Order::kNone, 2}}) {
    const Program program(R"(
ids = [take()[0] for i in range(3)]
done(ids[1])
done(ids[2])
done(ids[0], error="busy")
while got := take():
    note("written", got[1].decode())
    done(got[0])
)");
    ExecConfig config = program.config();
    config.order = order;
    auto sink = sink_for(config);
    const DeliveryError error = failure(*sink, events.span());
    EXPECT_EQ(error.event, 0u);
    EXPECT_EQ(progress_.durable_count(), durable);
    std::vector<Event> left;
    for (size_t i = 0; i < events.size(); ++i) {
      if (!progress_.is_done(i)) left.push_back(events.span()[i]);
    }
    ASSERT_TRUE(deliver_all(*sink, left));
    EXPECT_EQ(program.written().size(), 3 - durable);
  }
}

TEST_F(ExecSinkTest, UnansweredBoundsWhatTheProgramHas) {
  SHOWS("exec.unanswered");
  const Program program(R"(
import select
while True:
    ids = []
    while len(ids) < 3 and (not ids or select.select([0], [], [], 0.3)[0]):
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(0, 1)
            if not byte:
                sys.exit(0)
            line += byte
        ids.append(json.loads(line)["id"])
    note("written", f"{len(ids)}\n")
    for id in ids:
        done(id)
)");
  ExecConfig config = program.config();
  config.unanswered = 2;
  ASSERT_TRUE(deliver_all(*sink_for(config), events_.span()));
  EXPECT_THAT(program.written(), Not(Contains("3")));
  EXPECT_THAT(program.written(), Contains("2"));
}

TEST_F(ExecSinkTest, VariablesAndDirectoryAreAsConfigured) {
  SHOWS("exec.env");
  SHOWS("exec.directory");
  setenv("WALSPOUT_TEST_INHERITED", "ours", 1);
  setenv("WALSPOUT_TEST_REPLACED", "ours", 1);
  setenv("NOTIFY_SOCKET", "/run/x", 1);
  const Program program(R"(
note("written", "\n".join([os.getcwd(), os.environ["WALSPOUT_TEST_INHERITED"],
                          os.environ["WALSPOUT_TEST_REPLACED"],
                          os.environ["WALSPOUT_TEST_NEW"], str("NOTIFY_SOCKET" in os.environ)]))
while got := take():
    done(got[0])
)");
  const TempDir directory;
  ExecConfig config = program.config();
  config.directory = directory.path();
  config.env = {{"WALSPOUT_TEST_REPLACED", Secret("theirs")},
                {"WALSPOUT_TEST_NEW", Secret("a=b c")}};
  ASSERT_TRUE(deliver_all(*sink_for(config), events_.span()));
  unsetenv("NOTIFY_SOCKET");
  EXPECT_THAT(program.written(), ElementsAre(std::filesystem::canonical(directory.path()).string(),
                                             "ours", "theirs", "a=b c", "False"));
}

TEST_F(ExecSinkTest, ASecretThatChangesIsReadAgain) {
  const Program program(R"(
print("begin", file=sys.stderr)
while got := take():
    if os.environ["PASSWORD"] == "old":
        done(got[0], error="wrong password")
    else:
        done(got[0])
)");
  write_file(program.file("secret"), "old\n");
  SinkConfig sink_config = walspout::sink_config("exec");
  ExecConfig config = program.config();
  config.env = {{"PASSWORD", *Secret::from_file(program.file("secret"))}};
  sink_config.options = config;
  std::vector<std::string> told;
  auto sink = make_sink(sink_config);
  ASSERT_TRUE(sink);
  (*sink)->listen([&](std::string_view line) { told.emplace_back(line); });
  EXPECT_THAT(failure(**sink).error.what, HasSubstr("wrong password"));
  write_file(program.file("secret"), "new\n");
  EXPECT_THAT(failure(**sink).error.what, HasSubstr("Its secret has changed"));
  EXPECT_TRUE(deliver_all(**sink, events_.span()));
  sink->reset();
  EXPECT_THAT(told, ElementsAre("begin", "begin"));
}

TEST_F(ExecSinkTest, SecretsAreHiddenInWhatTheProgramSays) {
  const Program program(R"(
print("logging in with", os.environ["PASSWORD"], os.environ["SHORT"], file=sys.stderr)
id = take()[0]
if os.path.exists(os.path.join(here, "again")):
    say("I am " + os.environ["PASSWORD"] + "\n")
done(id, error="not with " + os.environ["PASSWORD"])
while take():
    pass
)");
  ExecConfig config = program.config();
  config.env = {{"PASSWORD", Secret("correct horse")}, {"SHORT", Secret("in")}};
  std::vector<std::string> told;
  auto sink = sink_for(config);
  sink->listen([&](std::string_view line) { told.emplace_back(line); });
  EXPECT_EQ(failure(*sink, events_.span().first(1)).error.what,
            "the program says of event 1000-0: not with ***");
  sink.reset();
  write_file(program.file("again"), "");
  EXPECT_THAT(failure(*sink_for(config)).error.what,
              AllOf(HasSubstr("\"I am ***\""), HasSubstr("\"logging in with *** in\"")));
  EXPECT_THAT(told, ElementsAre("logging in with *** in"));
}

// Files and signals ///////////////////////////////////////////////////////////////////////////////

TEST_F(ExecSinkTest, TheProgramGetsNothingOfOurs) {
  const int open_file = open("/dev/null", O_RDONLY);  // not closed on exec, as of some libraries
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, &mask, &before);
  const Program program(R"(
with open("/proc/self/status") as f:
    status = dict(line.split(":", 1) for line in f.read().splitlines())
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
note("written", f"{[fd for fd in fds if fd < 3 or os.path.exists(f'/proc/self/fd/{fd}')]}\n"
     f"{int(status['SigBlk'], 16)}\n{int(status['SigIgn'], 16) & ~0x181001000}\n"
     f"{os.getpgid(0) == os.getpid()}\n")
while got := take():
    done(got[0])
)");
  ASSERT_TRUE(deliver_all(*sink_for(program.config()), events_.span()));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(open_file);
  // Python itself ignores SIGPIPE and SIGXFSZ. The C library lets no program set signals 32 and 33,
  // and the parent of the tests may ignore these.
  EXPECT_THAT(program.written(), ElementsAre("[0, 1, 2]", "0", "0", "True"));
}

TEST_F(ExecSinkTest, WhatAProgramStartedEndsWithIt) {
  const Program program(R"(
import subprocess
child = subprocess.Popen(["sleep", "1000"], stdout=1)
note("child", str(child.pid))
while got := take():
    done(got[0])
)");
  auto sink = sink_for(program.config());
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  const pid_t child = stoi(read_file(program.file("child")));
  ASSERT_TRUE(is_alive(child));
  sink.reset();
  EXPECT_FALSE(is_alive(program.pids().back()));
  const auto is_gone = [&] {
    const std::string status = read_file("/proc/" + std::to_string(child) + "/stat");
    return !is_alive(child) || status.find(") Z ") != std::string::npos;
  };
  EXPECT_TRUE(wait_for(std::chrono::seconds(10), is_gone));
}

// The thread that delivers first may end before the program does.
TEST_F(ExecSinkTest, AProgramOutlivesTheThreadThatStartedIt) {
  const Program program(kAppend);
  auto sink = sink_for(program.config());
  std::thread([&] { ASSERT_TRUE(deliver_all(*sink, events_.span().first(5))); }).join();
  std::this_thread::sleep_for(Milliseconds(100));
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(5)));
  EXPECT_EQ(program.pids().size(), 1u);
}

TEST_F(ExecSinkTest, EndOfFileComesFirstThenSignals) {
  SHOWS("exec.grace");
  const Program good(std::string(kAppend) + "note('end', 'end of file')\n");
  auto sink = sink_for(good.config());
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  sink.reset();
  EXPECT_EQ(read_file(good.file("end")), "end of file");

  const Program stubborn(std::string("def stop(*_):\n    note('end', 'SIGTERM')\n"
                                     "signal.signal(signal.SIGTERM, stop)\n") +
                         kAppend + "while True:\n    time.sleep(1)\n");
  ExecConfig config = stubborn.config();
  config.grace = Milliseconds(300);
  sink = sink_for(config);
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  const TimePoint begin = Clock::now();
  sink.reset();
  EXPECT_GE(Clock::now() - begin, Milliseconds(600));
  EXPECT_EQ(read_file(stubborn.file("end")), "SIGTERM");
  EXPECT_FALSE(is_alive(stubborn.pids().back()));
}

// Ends ////////////////////////////////////////////////////////////////////////////////////////////

TEST_F(ExecSinkTest, ACrashIsSaidWithTheLastWords) {
  const std::string said = complaint(R"(
print("setting up", file=sys.stderr)
done(take()[0])
take()
print("Traceback: \x1b[1mboom", file=sys.stderr)
say('{"id":"100')
sys.exit(3)
)");
  EXPECT_EQ(progress_.durable_count(), 1u);
  EXPECT_EQ(
      said,
      "the program ended with exit status 3, and owed answers for 9 events, the first of them "
      "1000-1; its last line of output has no end: \"{\"id\":\"100\"; it said last: \"setting "
      "up\", \"Traceback: \\x1b[1mboom\"");
  EXPECT_THAT(complaint("take()\nos.kill(os.getpid(), signal.SIGSEGV)\n"),
              HasSubstr("was ended by signal 11 (SIGSEGV)"));
  EXPECT_THAT(complaint("sys.exit(0)\n"), HasSubstr("ended with exit status 0, and owed"));
}

TEST_F(ExecSinkTest, AProgramThatEndsWhileItIsIdleIsStartedAgain) {
  const Program program(R"(
while got := take():
    done(got[0])
    if got[0].endswith("-4"):
        sys.exit(int(open(os.path.join(here, "status")).read()))
)");
  write_file(program.file("status"), "0");
  auto sink = sink_for(program.config());
  const auto has_ended = [&] {
    sink->idle();
    return !is_alive(program.pids().back());
  };
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  ASSERT_TRUE(wait_for(std::chrono::seconds(10), has_ended));
  Progress progress(5);
  const auto delivery = sink->deliver(events_.span().subspan(5), in_seconds(20), progress);
  EXPECT_TRUE(delivery) << delivery.error().error.message();
  // A failed exit is reported, although no event was lost.
  write_file(program.file("status"), "7");
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(5)));
  ASSERT_TRUE(wait_for(std::chrono::seconds(10), has_ended));
  EXPECT_EQ(failure(*sink, events_.span().subspan(5)).error.what,
            "the program ended with exit status 7");
  EXPECT_TRUE(deliver_all(*sink, events_.span().subspan(5)));
}

// The end may be seen together with the last answer, or after it.
TEST_F(ExecSinkTest, AProgramThatEndsWithItsLastAnswerHasDelivered) {
  const Program program(R"(
while got := take():
    done(got[0])
    if got[0].endswith("-9"):
        sys.exit(0)
)");
  auto sink = sink_for(program.config());
  for (int i = 0; i < 30; ++i) {
    Progress progress(10);
    const auto delivery = sink->deliver(events_.span(), in_seconds(20), progress);
    ASSERT_TRUE(delivery) << delivery.error().error.message();
    ASSERT_TRUE(wait_for(std::chrono::seconds(10), [&] {
      sink->idle();
      return !is_alive(program.pids().back());
    }));
  }
}

TEST_F(ExecSinkTest, TheNextProgramStartsWhenTheLastOneHasEnded) {
  const Program program(R"(
note("written", "begin\n")
take()
say("nonsense\n")
time.sleep(0.3)
while take():
    pass
note("written", "end\n")
)");
  auto sink = sink_for(program.config());
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(failure(*sink).error.what, HasSubstr("is no answer"));
  }
  sink.reset();
  EXPECT_THAT(program.written(), ElementsAre("begin", "end", "begin", "end", "begin", "end"));
}

// What is no answer ///////////////////////////////////////////////////////////////////////////////

TEST_F(ExecSinkTest, WhatIsNoAnswerIsShown) {
  EXPECT_EQ(complaint("take()\nsay('Hello, \\x1b[1mworld\\n')\ntake()\ntime.sleep(100)\n"),
            "the program wrote a line to its standard output that is no answer: \"Hello, "
            "\\x1b[1mworld\" (it is no JSON object). Other output belongs on standard error. It is "
            "started again");
  EXPECT_THAT(complaint("take()\nsay('x' * 50000 + '\\n')\ntime.sleep(100)\n"),
              AllOf(HasSubstr("\"xxxx"), HasSubstr("xxx...\"")));
}

TEST_F(ExecSinkTest, UnknownIdsAreNamed) {
  for (const char* id : {"999-0", "1000-10", "1000-01", "", "x", "1000", "1000-1 ",
                         "99999999999999999999999-1", "1000--1", "1000-18446744073709551616"}) {
    EXPECT_THAT(
        complaint(std::string("take()\ndone('") + id + "')\ntime.sleep(100)\n"),
        HasSubstr(std::string("answered for an event that it was not given: id \"") + id + "\""));
  }
}

TEST_F(ExecSinkTest, AnAnswerBeforeTheEventIsGivenIsNone) {
  const Program program("done('1000-0')\ndone('1000-1')\ntime.sleep(100)\n");
  Events events;
  events.add(1, 8u << 20);  // more than the pipe takes
  events.add(1);
  auto sink = sink_for(program.config());
  const DeliveryError error = failure(*sink, events.span());
  EXPECT_THAT(error.error.what, HasSubstr("answered for event 1000-0 before it was given all of"));
  EXPECT_EQ(progress_.durable_count(), 0u);
}

TEST_F(ExecSinkTest, ALineWithoutEndIsCutOff) {
  EXPECT_THAT(complaint("take()\nwhile True:\n    say('x' * 65536)\n"),
              HasSubstr("wrote a line of more than 64 KiB to its standard output"));
}

TEST_F(ExecSinkTest, AProgramMayTalkWithoutEnd) {
  const Program program(R"(
import threading
def talk():
    while True:
        os.write(2, b"something\n" * 1000 + b"x" * 100000)
threading.Thread(target=talk, daemon=True).start()
while got := take():
    done(got[0])
)");
  size_t told = 0;  // the sink listens until its end
  auto sink = sink_for(program.config());
  sink->listen([&](std::string_view) { ++told; });
  ASSERT_TRUE(deliver_all(*sink, events_.span().first(1), 60));
  const TimePoint begin = Clock::now();
  EXPECT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    sink->idle();
    return told > 99;
  }));
  ASSERT_TRUE(deliver_all(*sink, events_.span().subspan(1), 60));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  EXPECT_LT(static_cast<double>(told), 101 * (seconds + 2));
}

TEST_F(ExecSinkTest, LinesOfStandardErrorAreTold) {
  const Program program(R"(
print("hello\x1b[1m", file=sys.stderr)
while got := take():
    done(got[0])
print("bye", end="", file=sys.stderr)
)");
  std::vector<std::string> told;
  auto sink = sink_for(program.config());
  sink->listen([&](std::string_view line) { told.emplace_back(line); });
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  sink.reset();
  EXPECT_THAT(told, ElementsAre("hello\\x1b[1m", "bye"));
}

TEST_F(ExecSinkTest, RepeatedAnswersWithoutEndDoNotHoldUsUp) {
  const Program program(
      "id = take()[0]\nwhile True:\n    say(('{\"id\":\"' + id + '\"}\\n') * 1000)\n");
  auto sink = sink_for(program.config());
  const TimePoint begin = Clock::now();
  const DeliveryError error = failure(*sink, 1);
  EXPECT_THAT(error.error.what, HasSubstr("(deliver_timeout)"));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(10));
  EXPECT_EQ(progress_.durable_count(), 1u);
}

// Silence /////////////////////////////////////////////////////////////////////////////////////////

TEST_F(ExecSinkTest, AProgramThatDoesNotReadIsNotWaitedFor) {
  const Program program("time.sleep(1000)\n");
  Events events;
  for (int i = 0; i < 20; ++i) events.add(i, 100'000);
  auto sink = sink_for(program.config());
  DeliveryError error = failure(*sink, events.span(), 0.5);
  EXPECT_THAT(
      error.error.what,
      AllOf(HasSubstr("the program does not read its standard input. It goes on, and owes "),
            HasSubstr(" events, the first of them 1000-0")));
}

// Another process may have delivered newer events meanwhile.
TEST_F(ExecSinkTest, WhatIsLetGoIsNotSentLater) {
  const Program program(R"(
while not os.path.exists(os.path.join(here, "go")):
    time.sleep(0.01)
while got := take():
    note("written", got[0] + "\n")
    done(got[0])
)");
  ExecConfig config = program.config();
  config.grace = Milliseconds(10'000);
  auto sink = sink_for(config);
  Events large;
  for (int i = 0; i < 10; ++i) large.add(i, 90'000);
  expect_halt(*sink, large.span());
  sink->let_go();
  write_file(program.file("go"), "");
  ASSERT_TRUE(wait_for(std::chrono::seconds(20), [&] {
    sink->let_go();
    return !is_alive(program.pids().back());
  }));
  const auto first = program.written();
  EXPECT_LT(first.size(), large.size());
  ASSERT_TRUE(deliver_all(*sink, large.span()));
  EXPECT_EQ(program.written().size(), first.size() + large.size());
}

// All of it is in the pipe, so it is the program's.
TEST_F(ExecSinkTest, WhatTheProgramHasIsNotTakenAway) {
  const Program program(R"(
while not os.path.exists(os.path.join(here, "go")):
    time.sleep(0.01)
while got := take():
    done(got[0])
)");
  auto sink = sink_for(program.config());
  failure(*sink, 0.3);
  sink->let_go();
  write_file(program.file("go"), "");
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(program.pids().size(), 1u);
}

TEST_F(ExecSinkTest, AProgramThatIsLateKeepsWhatItHas) {
  const Program program(R"(
ids = [take()[0] for i in range(10)]
while not os.path.exists(os.path.join(here, "go")):
    time.sleep(0.01)
for id in ids:
    done(id)
assert take() is None
)");
  auto sink = sink_for(program.config());
  const DeliveryError error = failure(*sink, 0.5);
  EXPECT_EQ(
      error.error.what,
      "the program did not answer in time (deliver_timeout). It goes on, and owes answers for "
      "10 events, the first of them 1000-0");
  write_file(program.file("go"), "");
  ASSERT_TRUE(deliver_all(*sink, events_.span()));
  EXPECT_EQ(program.pids().size(), 1u);
}

TEST_F(ExecSinkTest, AProgramThatIsSilentForTooLongIsStartedAgain) {
  SHOWS("exec.answer_timeout");
  const Program program(R"(
done(take()[0])
time.sleep(1000)
)");
  ExecConfig config = program.config();
  config.answer_timeout = Milliseconds(1000);
  auto sink = sink_for(config);
  const DeliveryError error = failure(*sink, 30);
  EXPECT_THAT(error.error.what,
              HasSubstr("has answered for nothing within answer_timeout, and owes answers for 9 "
                        "events, the first of them 1000-1"));
  EXPECT_EQ(progress_.durable_count(), 1u);
  failure(*sink, events_.span().subspan(1), 30);
  EXPECT_EQ(program.pids().size(), 2u);
}

TEST_F(ExecSinkTest, AProgramThatClosesAPipeIsStartedAgain) {
  EXPECT_THAT(complaint("done(take()[0])\nos.close(1)\ntime.sleep(1000)\n"),
              HasSubstr("closed its standard output, where answers belong, and goes on"));
  const Program program("os.close(0)\ntime.sleep(1000)\n");
  Events events;
  events.add(1, 8u << 20);
  auto sink = sink_for(program.config());
  EXPECT_THAT(failure(*sink, events.span()).error.what,
              HasSubstr("closed its standard input, and goes on"));
}

// What cannot be started //////////////////////////////////////////////////////////////////////////

TEST_F(ExecSinkTest, AProgramThatCannotBeStartedIsNamed) {
  const Program program(kAppend);
  write_file(program.file("text"), "no program");
  write_file(program.file("script"), "#!/nonexistent/interpreter\n");
  write_file(program.file("binary"), std::string("\0\1\2\3", 4));
  chmod(program.file("script").c_str(), 0755);
  chmod(program.file("binary").c_str(), 0755);
  struct Case {
    std::string command;
    std::string directory;
    const char* says;
    bool by_check = true;
  };
  for (const Case& test : {
           Case{"/nonexistent/program", "",
                "/nonexistent/program: could not start the program: "
                "there is no such file. Correct command"},
           Case{"walspout-nonexistent", "",
                "walspout-nonexistent: could not start the program: no folder of PATH ("},
           Case{program.file("text"), "", "it may not be executed. See chmod +x"},
           Case{program.folder(), "", "Is a directory. Correct command"},
           Case{program.file("text") + "/x", "", "Not a directory. Correct command"},
           Case{program.file("script"), "", "its interpreter is missing", false},
           Case{program.file("binary"), "", "the system cannot execute the file", false},
           Case{"./program", "/nonexistent/folder", "directory cannot be used: No such file"},
           Case{"true", program.file("text"), "could not change to directory", false},
           Case{"./nothing", program.folder(), "/nothing: could not start the program: there is"},
       }) {
    ExecConfig config;
    config.command = {test.command};
    config.directory = test.directory;
    auto sink = sink_for(config);
    const DeliveryError error = failure(*sink);
    EXPECT_EQ(error.error.kind, ErrorKind::kFatal) << test.command;
    EXPECT_EQ(error.error.scope(), Scope::kConfiguration);
    EXPECT_THAT(error.error.message(), HasSubstr(test.says));
    const auto checked = sink->check({}, in_seconds(5));
    EXPECT_EQ(!checked, test.by_check) << test.command;
    if (!checked) {
      EXPECT_EQ(checked.error().message(), error.error.message());
    }
  }
}

TEST_F(ExecSinkTest, AProgramIsFoundInThePath) {
  const Program program(kAppend);
  write_file(program.file("my-sink"),
             std::string("#!/bin/sh\nexec ") + kPython + " -B " + program.path() + "\n");
  chmod(program.file("my-sink").c_str(), 0755);
  ExecConfig config = program.config();
  config.command = {"my-sink"};
  config.env = {{"PATH", Secret("/nonexistent:" + program.folder() + ":/usr/bin:/bin")}};
  ASSERT_TRUE(deliver_all(*sink_for(config), events_.span()));
  config.env = {};
  config.command = {"./my-sink"};
  config.directory = program.folder();
  ASSERT_TRUE(deliver_all(*sink_for(config), events_.span()));
  EXPECT_EQ(program.written().size(), 20u);
}

TEST_F(ExecSinkTest, CheckStartsNothing) {
  const Program program(kAppend);
  EXPECT_TRUE(sink_for(program.config())->check({}, in_seconds(5)));
  EXPECT_TRUE(program.pids().empty());
}

TEST_F(ExecSinkTest, DocumentsNeedTheirIds) {
  const Program program(kAppend);
  Events events;
  Event event = events_.span()[0];
  events.add(event, "{\"op\":\"c\"}");
  const DeliveryError error = failure(*sink_for(program.config()), events.span());
  EXPECT_EQ(error.error.scope(), Scope::kConfiguration);
  EXPECT_THAT(error.error.what, HasSubstr("leave id out of `omit`"));
}

}  // namespace
}  // namespace walspout::test
