#include "sink/file/file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "test/sink/contract.h"
#include "test/sink/server_process.h"

namespace walspout::test {
namespace {

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class FileHarness final : public Harness {
 public:
  std::unique_ptr<Sink> make_sink() override {
    return std::make_unique<FileSink>(FileConfig{path(), true});
  }
  std::vector<std::string> received() override { return lines_of(path()); }
  bool has_server() const override { return false; }

 private:
  std::string path() const { return directory_.file("events"); }

  TempDir directory_;
};

std::unique_ptr<Harness> make_file_harness() {
  return std::make_unique<FileHarness>();
}

INSTANTIATE_TEST_SUITE_P(File, SinkContract, testing::Values(&make_file_harness));

class FileSinkTest : public testing::Test {
 protected:
  FileSinkTest() {
    for (int i = 0; i < 4; ++i) events_.add(i);
  }

  Delivery deliver(FileSink& sink, size_t first, size_t count) {
    Progress progress(count);
    return sink.deliver(events_.span().subspan(first, count), in_seconds(5), progress);
  }

  TempDir directory_;
  std::string path_ = directory_.file("events");
  Events events_;
};

TEST_F(FileSinkTest, CutsOffWhatACrashLeft) {
  write_file(path_, "{\"whole\":1}\n{\"torn\":" + std::string(10'000, 'x'));
  FileSink sink(FileConfig{path_, true});
  ASSERT_TRUE(deliver(sink, 0, 1));
  EXPECT_EQ(lines_of(path_), (std::vector<std::string>{"{\"whole\":1}", events_.documents()[0]}));
}

TEST_F(FileSinkTest, ReopensAfterRotation) {
  FileSink sink(FileConfig{path_, true});
  ASSERT_TRUE(deliver(sink, 0, 1));
  std::filesystem::rename(path_, path_ + ".1");
  ASSERT_TRUE(sink.reopen());
  ASSERT_TRUE(deliver(sink, 1, 1));
  std::filesystem::rename(path_, path_ + ".2");
  // Also without the signal: the program that renamed the file may compress it before the signal.
  ASSERT_TRUE(deliver(sink, 2, 1));
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(lines_of(i < 2 ? path_ + "." + std::to_string(i + 1) : path_),
              (std::vector<std::string>{events_.documents()[i]}));
  }
}

// Acts like logrotate and gzip: renames the file, creates another, reads the old file to its end,
// and removes it. Returns the content.
std::string rotate(const std::string& path) {
  std::filesystem::rename(path, path + ".1");
  std::ofstream(path, std::ios::app).close();
  std::string content = read_file(path + ".1");
  std::this_thread::sleep_for(std::chrono::milliseconds(3));
  std::filesystem::remove(path + ".1");
  return content;
}

TEST_F(FileSinkTest, LosesNothingToACompressorThatDoesNotWait) {
  constexpr int kEvents = 4'000;
  Events events;
  for (int i = 0; i < kEvents; i++) events.add(i);
  FileSink sink(FileConfig{path_, false});
  Progress none(1);
  ASSERT_TRUE(sink.deliver(events.span().first(1), in_seconds(5), none));
  std::atomic<bool> done = false;
  std::string content;
  std::thread rotator([&] {
    while (!done) {
      content += rotate(path_);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  for (int i = 1; i < kEvents; i++) {
    while (true) {
      Progress progress(1);
      if (sink.deliver(events.span().subspan(static_cast<size_t>(i), 1), in_seconds(5), progress)) {
        break;
      }
    }
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  done = true;
  rotator.join();
  content += read_file(path_);
  std::set<std::string> found;
  std::istringstream in(content);
  for (std::string line; std::getline(in, line);) found.insert(line);
  int lost = 0;
  for (const std::string& document : events.documents()) lost += found.contains(document) ? 0 : 1;
  EXPECT_EQ(lost, 0);
}

TEST_F(FileSinkTest, WaitsIfTheNewFileCannotBeOpened) {
  const std::string folder = directory_.file("folder");
  std::filesystem::create_directory(folder);
  FileSink sink(FileConfig{folder + "/events", true});
  ASSERT_TRUE(deliver(sink, 0, 1));
  std::filesystem::rename(folder, folder + ".moved");
  const auto reopened = sink.reopen();
  ASSERT_FALSE(reopened);
  EXPECT_EQ(reopened.error().kind, ErrorKind::kFatal);
  // The program that moved the old file may compress or remove it, so nothing in it is confirmed.
  ASSERT_FALSE(deliver(sink, 1, 1));
  EXPECT_EQ(lines_of(folder + ".moved/events").size(), 1u);
  std::filesystem::rename(folder + ".moved", folder);
  ASSERT_TRUE(deliver(sink, 1, 1));
  EXPECT_EQ(lines_of(folder + "/events").size(), 2u);
}

TEST_F(FileSinkTest, HasOneWriterAtATime) {
  auto first = std::make_unique<FileSink>(FileConfig{path_, true});
  FileSink second(FileConfig{path_, true});
  ASSERT_TRUE(deliver(*first, 0, 1));
  EXPECT_TRUE(second.check(SourceState{}, in_seconds(5)));
  EXPECT_EQ(second.warnings().size(), 1u);
  const auto refused = deliver(second, 1, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.kind, ErrorKind::kRetry);
  ASSERT_TRUE(first->reopen());  // the same file
  ASSERT_TRUE(deliver(*first, 1, 1));
  first.reset();
  ASSERT_TRUE(deliver(second, 2, 1));
  EXPECT_EQ(lines_of(path_).size(), 3u);
}

TEST_F(FileSinkTest, WaitsIfTheNewFileIsOfNoUse) {
  FileSink sink(FileConfig{path_, true});
  ASSERT_TRUE(deliver(sink, 0, 1));
  std::filesystem::rename(path_, path_ + ".1");
  std::filesystem::create_symlink("/dev/full", path_);
  ASSERT_FALSE(sink.reopen());
  ASSERT_FALSE(deliver(sink, 1, 1));
  EXPECT_EQ(lines_of(path_ + ".1").size(), 1u);
  std::filesystem::remove(path_);
  ASSERT_TRUE(deliver(sink, 1, 1));
  EXPECT_EQ(lines_of(path_).size(), 1u);
}

TEST_F(FileSinkTest, WhoeverIsIdleLetsTheFileGo) {
  FileSink idle(FileConfig{path_, true});
  FileSink busy(FileConfig{path_, true});
  ASSERT_TRUE(deliver(idle, 0, 1));
  idle.idle();
  ASSERT_FALSE(deliver(busy, 1, 1));
  for (int i = 0; i < 10; ++i) idle.idle();
  ASSERT_TRUE(deliver(busy, 1, 1));
  ASSERT_FALSE(deliver(idle, 2, 1));
  EXPECT_EQ(lines_of(path_).size(), 2u);
}

TEST_F(FileSinkTest, LeavesNoHalfLineWhenTheDiskIsFull) {
  FileSink sink(FileConfig{path_, true});
  ASSERT_TRUE(deliver(sink, 0, 1));
  const auto whole = static_cast<rlim_t>(std::filesystem::file_size(path_));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{whole + 20, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto delivery = deliver(sink, 1, 2);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry);
  EXPECT_EQ(lines_of(path_).size(), 1u);
  EXPECT_EQ(std::filesystem::file_size(path_), whole);
  ASSERT_TRUE(deliver(sink, 1, 2));
  EXPECT_EQ(lines_of(path_).size(), 3u);
}

TEST_F(FileSinkTest, RefusesWhatIsNoRegularFile) {
  FileSink sink(FileConfig{"/dev/full", true});
  const auto delivery = deliver(sink, 0, 1);
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kFatal);
}

TEST_F(FileSinkTest, NamesTheRemedyForBadPaths) {
  FileSink missing(FileConfig{directory_.file("no/such/folder"), true});
  const auto no_folder = missing.check({}, in_seconds(1));
  ASSERT_FALSE(no_folder);
  EXPECT_EQ(no_folder.error().kind, ErrorKind::kFatal);
  EXPECT_NE(no_folder.error().what.find("Create the directory"), std::string::npos);
  FileSink folder(FileConfig{directory_.path(), true});
  EXPECT_EQ(folder.check({}, in_seconds(1)).error().kind, ErrorKind::kFatal);
}

TEST_F(FileSinkTest, ConfirmsNothingInAFileThatWasRemoved) {
  for (const bool fsync : {true, false}) {
    std::filesystem::remove(path_);
    FileSink sink(FileConfig{path_, fsync});
    ASSERT_TRUE(deliver(sink, 0, 1));
    std::filesystem::remove(path_);
    const auto removed = deliver(sink, 1, 2);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().error.kind, ErrorKind::kRetry);
    EXPECT_NE(removed.error().error.what.find("was removed"), std::string::npos);
    ASSERT_TRUE(deliver(sink, 1, 2));
    EXPECT_EQ(lines_of(path_).size(), 2u);
  }
}

TEST_F(FileSinkTest, WritesWithoutFsyncByChoice) {
  FileSink sink(FileConfig{path_, false});
  ASSERT_TRUE(deliver(sink, 0, 4));
  EXPECT_EQ(lines_of(path_), events_.documents());
}

}  // namespace
}  // namespace walspout::test
