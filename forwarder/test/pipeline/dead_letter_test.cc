#include "pipeline/dead_letter.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "pipeline/dead_letter_file.h"
#include "test/source/messages.h"

namespace walspout {
namespace {

using test::MessageBuilder;
using test::transaction;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

Chunk one_event(std::string_view document, uint64_t lsn = 10) {
  MessageBuilder builder;
  builder.begin(lsn).relation(1, "public", "a\"b");
  builder.raw_event('u', 3, document, 1, 0xfedcba9876543210u, 2,
                    MessageBuilder::packed(5) + MessageBuilder::packed(2));
  builder.commit(lsn, lsn + 8, 1);
  FrameDecoder decoder;
  return std::move(decoder.decode(builder.message()).value());
}

std::string line_of(std::string_view document) {
  Chunk chunk = one_event(document);
  std::string line = dead_letter_line(chunk.events[0], "p", "hook",
                                      Error{ErrorKind::kReject, "a \"b\"\n\\\x01", "x"});
  line.pop_back();
  return line;
}

TEST(DeadLetter, ALineSaysWhatAndWhy) {
  Chunk chunk = transaction(10, 1);
  std::string line =
      dead_letter_line(chunk.events[0], "p", "hook", Error{ErrorKind::kReject, "a \"b\"", "x"});
  EXPECT_EQ(line,
            R"({"sent":0,"id":"10-0","pipeline":"p","sink":"hook","reason":"x: a \"b\"","op":"c",)"
            R"("schema":"public","table":"t","commit_time":1000000,"key_hash":0,"key_begin":0,)"
            R"("key_size":0,"barrier":0,"document":xxxxxxxxxx})"
            "\n");
  EXPECT_EQ(line[kSentDigit], '0');
}

TEST(DeadLetter, ALineIsReadAsItWasWritten) {
  const std::string document = R"({"a":{},"b":["}","\"",{"c":"\\"}]})";
  const std::string line = line_of(document);
  const auto letter = parse_dead_letter(line);
  ASSERT_TRUE(letter) << letter.error().what;
  EXPECT_FALSE(letter->sent);
  EXPECT_EQ(letter->id, "10-3");
  EXPECT_EQ(letter->pipeline, "p");
  EXPECT_EQ(letter->sink, "hook");
  EXPECT_EQ(letter->reason, "x: a \"b\"\n\\\x01");
  const Event event = letter->view();
  EXPECT_EQ(EventId(event).view(), "10-3");
  EXPECT_EQ(event.op, 'u');
  EXPECT_EQ(event.commit_time, 1'000'000);
  EXPECT_EQ(event.key_hash, 0xfedcba9876543210u);
  EXPECT_EQ(event.key(), "{}");
  EXPECT_EQ(event.document, document);
  EXPECT_EQ(event.schema(), "public");
  EXPECT_EQ(event.table_name(), "a\"b");
  EXPECT_FALSE(event.barrier);
}

TEST(DeadLetter, MessagesHaveNoTable) {
  std::string line = line_of(R"({"a":{}})");
  line.replace(line.find(R"("op":"u")"), 8, R"("op":"m")");
  const auto letter = parse_dead_letter(line);
  ASSERT_TRUE(letter);
  EXPECT_EQ(letter->view().table, nullptr);
  EXPECT_EQ(letter->view().prefix(), "");
}

TEST(DeadLetter, MessagesKeepTheirPrefix) {
  MessageBuilder builder;
  builder.begin(10).frame('P', "out\"box\n").event('m', 0, "{}").commit(10, 18, 1);
  FrameDecoder decoder;
  const Chunk chunk = std::move(decoder.decode(builder.message()).value());
  std::string line =
      dead_letter_line(chunk.events[0], "p", "q", Error{ErrorKind::kReject, "no", "x"});
  line.pop_back();
  const auto letter = parse_dead_letter(line);
  ASSERT_TRUE(letter) << letter.error().what;
  EXPECT_EQ(letter->view().prefix(), "out\"box\n");
  EXPECT_EQ(letter->view().document, "{}");
}

// The ids of schemas, begins and ends do not have the index, by which sinks place these events.
TEST(DeadLetter, EventsThatAreNoChangesKeepTheirIndex) {
  MessageBuilder builder;
  builder.begin(10).event('b', 0, "{}").relation(7, "public", "t");
  builder.event('c', 0, "{}", 7).event('s', 4, "{}", 7, 0xab).event('c', 4, "{}", 7);
  builder.event('e', 6, "{}").commit(10, 18, 2);
  FrameDecoder decoder;
  const Chunk chunk = std::move(decoder.decode(builder.message()).value());
  ASSERT_EQ(chunk.events.size(), 5u);
  for (const Event& event : chunk.events) {
    std::string line = dead_letter_line(event, "p", "q", Error{ErrorKind::kReject, "no", "x"});
    line.pop_back();
    const auto letter = parse_dead_letter(line);
    ASSERT_TRUE(letter) << letter.error().what;
    EXPECT_EQ(letter->view().index, event.index) << line;
    EXPECT_EQ(letter->view().op, event.op);
    EXPECT_EQ(EventId(letter->view()).view(), EventId(event).view());
  }
}

// Lines of earlier versions have no index.
TEST(DeadLetter, ASchemaWithoutAnIndexIsRead) {
  const auto letter = parse_dead_letter(
      R"({"sent":0,"id":"10-s00000000000000ab","pipeline":"p","sink":"q","reason":"x","op":"s",)"
      R"("schema":"public","table":"t","commit_time":1,"key_hash":171,"key_begin":0,"key_size":0,)"
      R"("barrier":1,"document":{}})");
  ASSERT_TRUE(letter) << letter.error().what;
  EXPECT_EQ(letter->view().index, 0u);
}

// In dialects other than the default, the document does not contain the key.
TEST(DeadLetter, AKeyBehindTheDocumentIsFoundAgain) {
  const std::string document = R"({"action":"I","columns":[{"key":{"id":7}}]})";
  const std::string key = R"({"id":7})";
  MessageBuilder builder;
  builder.begin(10).raw_event(
      'c', 0, document + key, 0, 42, 0x82,
      MessageBuilder::packed(document.size()) + MessageBuilder::packed(key.size()));
  builder.commit(10, 18, 1);
  FrameDecoder decoder;
  const Chunk chunk = std::move(decoder.decode(builder.message()).value());
  ASSERT_EQ(chunk.events[0].document, document);
  ASSERT_EQ(chunk.events[0].key(), key);
  EXPECT_TRUE(chunk.events[0].key_is_aside());
  std::string line =
      dead_letter_line(chunk.events[0], "p", "q", Error{ErrorKind::kReject, "no", "x"});
  line.pop_back();
  EXPECT_THAT(line, EndsWith(R"(,"document":)" + document + R"(,"key":)" + key + "}"));
  const auto letter = parse_dead_letter(line);
  ASSERT_TRUE(letter) << letter.error().what;
  EXPECT_EQ(letter->view().document, document);
  EXPECT_EQ(letter->view().key(), key);
}

// Lines do not have the places of the rows: the rows are the document's members of these names.
TEST(DeadLetter, RowsAreFoundAgain) {
  const std::string document =
      R"({"x":"before","key":{"after":{"a":0}},"before":{"a":{"before":{}},"b":"}\""},)"
      R"("l":[{"after":{}}],"after":{"after":{"z":1}},"elided":{"after":{}}})";
  MessageBuilder builder;
  builder.begin(10).event('u', 0, document).event('d', 1, R"({"before":{}})");
  builder.event('m', 2, R"({"content":{"after":{}},"after":{}})").commit(10, 18, 3);
  FrameDecoder decoder;
  const Chunk chunk = std::move(decoder.decode(builder.message()).value());
  std::vector<std::string> lines;
  for (const Event& event : chunk.events) {
    lines.push_back(dead_letter_line(event, "p", "q", Error{ErrorKind::kReject, "no", "x"}));
    lines.back().pop_back();
  }
  const auto update = parse_dead_letter(lines[0]);
  ASSERT_TRUE(update) << update.error().what;
  EXPECT_EQ(update->view().before(), R"({"a":{"before":{}},"b":"}\""})");
  EXPECT_EQ(update->view().after(), R"({"after":{"z":1}})");
  const auto deleted = parse_dead_letter(lines[1]);
  ASSERT_TRUE(deleted) << deleted.error().what;
  EXPECT_EQ(deleted->view().before(), "{}");
  EXPECT_EQ(deleted->view().after(), "");
  const auto message = parse_dead_letter(lines[2]);
  ASSERT_TRUE(message) << message.error().what;
  EXPECT_EQ(message->view().after(), "");
  EXPECT_EQ(message->view().prefix(), "");
}

// A line may be truncated anywhere, also at the end of an inner object, and anything may follow.
TEST(DeadLetter, NoPartOfALineIsTakenForAWholeOne) {
  const std::string line = line_of(R"({"a":{},"b":{"c":{"d":1}}})");
  ASSERT_TRUE(parse_dead_letter(line));
  for (size_t size = 0; size < line.size(); size++) {
    EXPECT_FALSE(parse_dead_letter(line.substr(0, size))) << size;
    EXPECT_FALSE(parse_dead_letter(line.substr(0, size) + line) && size) << size;
    EXPECT_FALSE(parse_dead_letter(line.substr(size + 1))) << size;
  }
}

TEST(DeadLetter, WhatDoesNotFitTogetherIsRefused) {
  const std::string line = line_of(R"({"a":{}})");
  const auto changed = [&](std::string_view from, std::string_view to) {
    std::string text = line;
    text.replace(text.find(from), from.size(), to);
    return parse_dead_letter(text);
  };
  EXPECT_FALSE(changed("\"key_size\":2", "\"key_size\":4"));
  EXPECT_FALSE(changed("\"key_begin\":5", "\"key_begin\":70000"));
  EXPECT_FALSE(changed("\"op\":\"u\"", "\"op\":\"\""));
  EXPECT_FALSE(changed("\"sent\":0", "\"sent\":2"));
  EXPECT_FALSE(changed("10-3", "10"));
  EXPECT_FALSE(changed("10-3", "10-03"));
  EXPECT_THAT(changed("\"sink\"", "\"sank\"").error().what, HasSubstr("\"sink\""));
}

class DeadLetterFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "dead.XXXXXX";
    ASSERT_TRUE(mkdtemp(pattern.data()));
    folder_ = pattern;
    path_ = folder_ + "/dead";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void put(DeadLetterFile& file, uint64_t lsn) {
    Chunk chunk = one_event(R"({"a":{}})", lsn);
    ASSERT_TRUE(file.put(chunk.events[0], "s", Error{ErrorKind::kReject, "no", ""}));
  }

  std::unique_ptr<DeadLetterFile> appending() {
    auto file = DeadLetterFile::open(path_, "p");
    EXPECT_TRUE(file);
    return std::move(*file);
  }

  std::unique_ptr<DeadLetterReplay> replaying() {
    auto file = DeadLetterReplay::open(path_);
    EXPECT_TRUE(file);
    return std::move(*file);
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> found;
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      const auto letter = parse_dead_letter(line);
      found.push_back(letter ? letter->id + (letter->sent ? " sent" : "") : line);
    }
    return found;
  }

  std::string folder_, path_;
};

TEST_F(DeadLetterFileTest, IsPrivateAndMendsAHalfLine) {
  auto file = appending();
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  std::ofstream(path_, std::ios::trunc) << "half";
  put(*file, 10);
  EXPECT_THAT(ids(), ElementsAre("half", "10-3"));
  EXPECT_THAT(DeadLetterFile::open("/nonexistent/x", "p").error().what,
              HasSubstr("could not open"));
}

TEST_F(DeadLetterFileTest, IsMadeAgainWhenItWasMovedAway) {
  auto file = appending();
  put(*file, 10);
  std::filesystem::rename(path_, path_ + ".1");
  put(*file, 20);
  EXPECT_THAT(ids(), ElementsAre("20-3"));
}

TEST_F(DeadLetterFileTest, WhatWasSentIsMarkedAndGoesAtTheEnd) {
  auto file = appending();
  for (uint64_t lsn : {10, 20, 30}) put(*file, lsn);
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  {
    auto replay = replaying();
    DeadLetterReplay::Line line;
    ASSERT_EQ(replay->next(line), true);
    ASSERT_EQ(replay->next(line), true);
    EXPECT_EQ(line.number, 2u);
    ASSERT_TRUE(replay->mark_sent());
    EXPECT_THAT(ids(), ElementsAre("10-3", "20-3 sent", "30-3"));  // killed here
  }
  auto replay = replaying();
  DeadLetterReplay::Line line;
  ASSERT_EQ(replay->next(line), true);
  ASSERT_TRUE(replay->mark_sent());
  ASSERT_EQ(replay->next(line), true);
  EXPECT_TRUE(parse_dead_letter(line.text)->sent);
  ASSERT_EQ(replay->next(line), true);
  put(*file, 40);  // was not in the file at open()
  EXPECT_EQ(replay->next(line), false);
  ASSERT_TRUE(replay->remove_sent());
  EXPECT_THAT(ids(), ElementsAre("30-3", "40-3"));
  put(*file, 50);  // goes to the new file
  EXPECT_THAT(ids(), ElementsAre("30-3", "40-3", "50-3"));
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".replay"));
}

TEST_F(DeadLetterFileTest, ReplaysExcludeEachOther) {
  put(*appending(), 10);
  auto replay = replaying();
  const auto other = DeadLetterReplay::open(path_);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kRetry);
  replay.reset();
  EXPECT_TRUE(DeadLetterReplay::open(path_));
  EXPECT_EQ(DeadLetterReplay::open(folder_ + "/none").error().kind, ErrorKind::kFatal);
}

TEST_F(DeadLetterFileTest, AFileThatWasMovedMeanwhileIsLeftAsItIs) {
  put(*appending(), 10);
  auto replay = replaying();
  DeadLetterReplay::Line line;
  ASSERT_EQ(replay->next(line), true);
  ASSERT_TRUE(replay->mark_sent());
  std::filesystem::rename(path_, path_ + ".1");
  std::ofstream(path_) << "other\n";
  EXPECT_FALSE(replay->remove_sent());
  EXPECT_THAT(ids(), ElementsAre("other"));
}

// Lines longer than a block, and a prefix across the end of a block.
TEST_F(DeadLetterFileTest, LinesOfAnyLengthSurvive) {
  for (size_t filler : {65'520, 65'526, 65'530, 65'535, 65'536, 200'000}) {
    std::string kept = std::string(filler, 'x') + "\n";
    std::string last = "{\"sent\":0,tail";
    std::ofstream(path_, std::ios::trunc) << kept << "{\"sent\":1,gone}\n" << last;
    auto replay = replaying();
    DeadLetterReplay::Line line;
    while (*replay->next(line)) {
    }
    ASSERT_TRUE(replay->remove_sent());
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    EXPECT_EQ(text.str(), kept + last) << filler;
  }
}

// One thread appends while others replay, again and again: no line is lost or doubled.
TEST_F(DeadLetterFileTest, NothingIsLostWhileSomebodyAppends) {
  constexpr uint64_t kLines = 300;
  auto file = appending();
  std::atomic<bool> done{false};
  std::thread writer([&] {
    for (uint64_t lsn = 1; lsn <= kLines; lsn++) put(*file, lsn);
    done = true;
  });
  std::vector<uint64_t> sent;
  for (bool last = false; !last;) {
    last = done;
    auto replay = replaying();
    DeadLetterReplay::Line line;
    while (*replay->next(line)) {
      const auto letter = parse_dead_letter(line.text);
      if (!letter) {
        ADD_FAILURE() << line.text;
        continue;
      }
      sent.push_back(letter->view().lsn.value);
      EXPECT_TRUE(replay->mark_sent());
    }
    EXPECT_TRUE(replay->remove_sent());
  }
  writer.join();
  ASSERT_EQ(sent.size(), kLines);
  for (uint64_t i = 0; i < kLines; i++) EXPECT_EQ(sent[i], i + 1);
  EXPECT_THAT(ids(), IsEmpty());
}

}  // namespace
}  // namespace walspout
