#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/lsn.h"
#include "base/result.h"
#include "base/secret.h"
#include "stream/event.h"

namespace walspout {
namespace {

TEST(ErrorTest, InDoubtTheDestinationIsAtFault) {
  EXPECT_EQ(retry("down").value().scope(), Scope::kDestination);
  EXPECT_EQ(reject("too long").value().scope(), Scope::kEvent);
  EXPECT_EQ(fatal("no such exchange").value().scope(), Scope::kConfiguration);
  EXPECT_EQ(gone("closed").value().scope(), Scope::kDestination);
  EXPECT_EQ(gone("closed").value().kind, ErrorKind::kFatal);
}

TEST(Lsn, IsWrittenAsTheServerWritesIt) {
  EXPECT_EQ(to_string(Lsn{0}), "0/0");
  EXPECT_EQ(to_string(Lsn{0x16B374D848}), "16/B374D848");
  EXPECT_EQ(to_string(Lsn{UINT64_MAX}), "FFFFFFFF/FFFFFFFF");
  EXPECT_EQ(to_string(Lsn{0x100000001}), "1/1");
}

TEST(Lsn, IsReadBack) {
  for (uint64_t value : {uint64_t{0}, uint64_t{0x16B374D848}, UINT64_MAX}) {
    EXPECT_EQ(parse_lsn(to_string(Lsn{value})), Lsn{value});
  }
  for (const char* bad :
       {"", "/", "1/", "/1", "1", "1/1/1", "G/1", "123456789/1", "-1/1", " 1/1"}) {
    EXPECT_FALSE(parse_lsn(bad)) << bad;
  }
}

TEST(EventId, IsTwoDecimalNumbers) {
  Event event;
  event.lsn = Lsn{27439048};
  EXPECT_EQ(EventId(event).view(), "27439048-0");
  event.lsn = Lsn{UINT64_MAX};
  event.index = UINT64_MAX;
  EXPECT_EQ(EventId(event).view(), "18446744073709551615-18446744073709551615");
}

TEST(Backoff, GrowsToItsCapWithFullJitter) {
  Backoff backoff({Milliseconds(100), Milliseconds(1000)}, 1);
  int64_t most = 0;
  for (int round = 0; round < 2000; round++) {
    backoff.reset();
    for (int64_t cap : {100, 200, 400, 800, 1000, 1000}) {
      int64_t wait = backoff.next().count();
      EXPECT_GE(wait, 0);
      EXPECT_LE(wait, cap);
      most = std::max(most, wait);
    }
  }
  EXPECT_GT(most, 950);
}

TEST(Backoff, NeitherOverflowsNorLosesItsCap) {
  Backoff backoff({Milliseconds(1), Milliseconds::max()}, 1);
  for (int i = 0; i < 500; i++) EXPECT_GE(backoff.next().count(), 0);
  EXPECT_EQ(backoff.attempts(), 500u);
  Backoff zero({Milliseconds(0), Milliseconds(0)}, 1);
  for (int i = 0; i < 100; i++) EXPECT_EQ(zero.next().count(), 0);
}

TEST(Json, EscapesWhatMustBe) {
  std::string out;
  append_json(out, std::string_view("a\"b\\c\nd\te\0f", 11));
  EXPECT_EQ(out, R"("a\"b\\c\nd\u0009e\u0000f")");
}

TEST(Json, IsUtf8WhateverTheText) {
  auto json = [](std::string_view text) {
    std::string out;
    append_json(out, text);
    return out;
  };
  EXPECT_EQ(json("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
  const std::string other = "\xef\xbf\xbd";
  EXPECT_EQ(json("a\xff"
                 "b"),
            "\"a" + other + "b\"");
  EXPECT_EQ(json("cut \xe2\x82"), "\"cut " + other + other + "\"");
  EXPECT_EQ(json("\xc0\xaf"), "\"" + other + other + "\"");
  EXPECT_EQ(json("\xed\xa0\x80"), "\"" + other + other + other + "\"");
  EXPECT_EQ(json("\xc3\""), "\"" + other + "\\\"\"");
}

TEST(Secret, IsReadAgainFromItsFile) {
  const std::string path = testing::TempDir() + "secret.reread";
  const auto put = [&](const std::string& text) {
    std::ofstream(path, std::ios::trunc | std::ios::binary) << text;
  };
  EXPECT_FALSE(Secret::from_file(path + ".none"));
  put("s3cret\r\n");
  const Secret secret = Secret::from_file(path).value();
  EXPECT_EQ(secret.reveal(), "s3cret");
  EXPECT_EQ(secret.file(), path);
  EXPECT_FALSE(secret.reread().value()) << "it is the same";
  put("two\n");
  const std::optional<Secret> changed = secret.reread().value();
  ASSERT_TRUE(changed);
  EXPECT_EQ(changed->reveal(), "two");
  EXPECT_EQ(changed->file(), path);
  put("\n");
  EXPECT_FALSE(secret.reread()) << "it is being written";
  std::remove(path.c_str());
  const auto gone = secret.reread();
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().where, path);
  EXPECT_EQ(gone.error().what.find("s3cret"), std::string::npos);
  EXPECT_FALSE(Secret("not from a file").reread().value());
}

TEST(Secret, IsNotWaitedFor) {
  const std::string path = testing::TempDir() + "secret.pipe";
  std::remove(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path) << "piped\n"; });
  const Secret secret = Secret::from_file(path).value();
  writer.join();
  EXPECT_EQ(secret.reveal(), "piped");
  EXPECT_FALSE(secret.reread().value());
  std::remove(path.c_str());
}

TEST(Folder, ALinkThatLeadsNowhereIsFollowed) {
  const std::string folder = testing::TempDir() + "walspout_links_" + std::to_string(getpid());
  ASSERT_EQ(mkdir(folder.c_str(), 0700), 0);
  const std::string link = folder + "/link";
  for (const auto& [target, good] : {std::pair{"file", true}, {"none/file", false}}) {
    for (const std::string& to : {std::string(target), folder + "/" + target}) {
      ASSERT_EQ(symlink(to.c_str(), link.c_str()), 0);
      EXPECT_EQ(can_open_to_append(link), good) << to;
      const int fd = open_to_append(link, 0600);
      EXPECT_EQ(fd >= 0, good) << to;
      if (fd >= 0) close(fd);
      unlink((folder + "/file").c_str());
      unlink(link.c_str());
    }
  }
  rmdir(folder.c_str());
}

TEST(Result, SaysWhereOnItsWayUp) {
  Failure failure = with_prefix("sink", Error{ErrorKind::kReject, "no", "host:1"});
  EXPECT_EQ(failure.value().message(), "host:1: sink: no");
  EXPECT_EQ(failure.value().kind, ErrorKind::kReject);
}

}  // namespace
}  // namespace walspout
