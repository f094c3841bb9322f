#include "sink/stdout/stdout.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <thread>

#include "test/sink/contract.h"
#include "test/sink/server_process.h"

namespace walspout::test {
namespace {

std::vector<std::string> lines_in(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Standard output redirected to a file.
class StdoutHarness final : public Harness {
 public:
  StdoutHarness() : fd_(open(path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~StdoutHarness() override { close(fd_); }

  std::unique_ptr<Sink> make_sink() override {
    return std::make_unique<StdoutSink>(StdoutConfig(), fd_);
  }
  std::vector<std::string> received() override { return lines_in(read_file(path())); }
  bool has_server() const override { return false; }

 private:
  std::string path() const { return directory_.file("output"); }

  TempDir directory_;
  int fd_;
};

std::unique_ptr<Harness> make_stdout_harness() {
  return std::make_unique<StdoutHarness>();
}

INSTANTIATE_TEST_SUITE_P(Stdout, SinkContract, testing::Values(&make_stdout_harness));

class StdoutPipeTest : public testing::Test {
 protected:
  StdoutPipeTest() {
    std::signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
  }
  ~StdoutPipeTest() override {
    close_reader();
    close(ends_[1]);
  }
  void close_reader() {
    if (ends_[0] >= 0) close(std::exchange(ends_[0], -1));
  }
  // Everything in the pipe now, but at least that many lines.
  std::string read_lines(size_t lines) {
    std::string text;
    std::string block(65536, '\0');
    while (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) < lines) {
      const ssize_t length = read(ends_[0], block.data(), block.size());
      if (length <= 0) break;
      text.append(block.data(), static_cast<size_t>(length));
    }
    return text;
  }

  int ends_[2] = {-1, -1};
};

TEST_F(StdoutPipeTest, WaitsForASlowReaderUpToTheDeadline) {
  StdoutSink sink({}, ends_[1]);
  Events events;
  for (int i = 0; i < 50; ++i) events.add(i, 10'000);
  Progress progress(events.size());
  const TimePoint begin = Clock::now();
  const auto delivery = sink.deliver(events.span(), in_seconds(0.3), progress);
  EXPECT_LE(Clock::now() - begin, Milliseconds(800));
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry);
  const size_t done = progress.durable_count();
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, events.size());

  // The truncated line is completed first; then the same event is sent once more.
  std::string text;
  std::thread reader([&] { text = read_lines(events.size() + 1); });
  ASSERT_TRUE(deliver_all(sink, events.span().subspan(done)));
  reader.join();
  auto expected = events.documents();
  const auto lines = lines_in(text);
  if (lines.size() == expected.size() + 1) {
    expected.insert(expected.begin() + static_cast<ptrdiff_t>(done), expected[done]);
  }
  EXPECT_TRUE(lines == expected);
}

TEST_F(StdoutPipeTest, IsFatalWhenTheReaderIsGone) {
  StdoutSink sink({}, ends_[1]);
  close_reader();
  Events events;
  events.add(1);
  Progress progress(1);
  const auto delivery = sink.deliver(events.span(), in_seconds(5), progress);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kFatal);
}

TEST(StdoutSinkTest, SaysThatItIsClosed) {
  StdoutSink sink({}, 1'000'000);
  const auto checked = sink.check({}, in_seconds(1));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
}

}  // namespace
}  // namespace walspout::test
