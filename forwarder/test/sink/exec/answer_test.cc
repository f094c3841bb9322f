#include "sink/exec/answer.h"

#include <gtest/gtest.h>

#include "sink/exec/outbox.h"
#include "sink/exec/talk.h"

namespace walspout::test {
namespace {

std::string problem(std::string_view line) {
  const auto answer = parse_exec_answer(line);
  return answer ? "none" : answer.error();
}

TEST(ExecAnswer, SaysThatAnEventIsTaken) {
  for (const char* line : {R"({"id":"12-3"})", "  {  \"id\"\t: \"12-3\" }\r",
                           R"({"id":"12\u002d3"})", R"({"id":"12-3","error":null,"kind":null})"}) {
    const auto answer = parse_exec_answer(line);
    ASSERT_TRUE(answer) << line << answer.error();
    EXPECT_EQ(answer->id, "12-3");
    EXPECT_FALSE(answer->error);
    EXPECT_FALSE(answer->reject);
  }
}

TEST(ExecAnswer, SaysWhatIsWrongWithAnEvent) {
  auto answer = parse_exec_answer(R"({"error":"gr\u00fc\ud83d\ude00\n\"\/","id":"1-0"})");
  ASSERT_TRUE(answer);
  EXPECT_EQ(*answer->error, "gr\xc3\xbc\xf0\x9f\x98\x80\n\"/");
  EXPECT_FALSE(answer->reject);
  EXPECT_TRUE(parse_exec_answer(R"({"id":"1-0","error":"x","kind":"reject"})")->reject);
  EXPECT_FALSE(parse_exec_answer(R"({"id":"1-0","error":"x","kind":"retry"})")->reject);
}

TEST(ExecAnswer, IsRefusedIfItIsNotUnderstood) {
  EXPECT_EQ(problem(""), "it is no JSON object");
  EXPECT_EQ(problem("ok"), "it is no JSON object");
  EXPECT_EQ(problem("[1]"), "it is no JSON object");
  EXPECT_EQ(problem("{}"), "it has no \"id\"");
  EXPECT_EQ(problem(R"({"id":"1-0")"), "the JSON object does not end");
  EXPECT_EQ(problem(R"({"id":"1-0"}{"id":"1-1"})"), "text follows the JSON object");
  EXPECT_EQ(problem(R"({"id":1})"), "a string is missing");
  EXPECT_EQ(problem(R"({"id":null})"), "a string is missing");
  EXPECT_EQ(problem(R"({"id":"1-0","id":"1-0"})"), "\"id\" is there twice");
  EXPECT_EQ(problem(R"({"id":"1-0","error":null,"error":"x"})"), "\"error\" is there twice");
  EXPECT_EQ(problem(R"({"id":"1-0","error":""})"),
            "\"error\" is empty: leave it out if the event is taken");
  EXPECT_EQ(problem(R"({"id":"1-0","kind":"reject"})"), "\"kind\" needs an \"error\"");
  EXPECT_EQ(problem(R"({"id":"1-0","error":"x","kind":"fatal"})"),
            "\"kind\" must be retry or reject");
  // A key that means no to the program must not mean yes to us.
  EXPECT_EQ(problem(R"({"id":"1-0","err":"x"})"),
            "it has the unknown key \"err\": an answer is {\"id\":\"...\"}, or "
            "{\"id\":\"...\",\"error\":\"...\"}");
  EXPECT_EQ(problem("{\"id\":\"\xff\"}"), "it is not UTF-8");
  EXPECT_EQ(problem("{\"id\":\"\x01\"}"), "a string has a control character");
  EXPECT_EQ(problem(R"({"id":"\ud83d"})"), "a string has half of a surrogate pair");
  EXPECT_EQ(problem(R"({"id":"\ude00"})"), "a string has half of a surrogate pair");
  EXPECT_EQ(problem(R"({"id":"\x"})"), "a string has a wrong escape");
  EXPECT_EQ(problem(R"({"id":"1-0)"), "a string does not end");
}

TEST(ExecAnswer, AnyTextCanBePrinted) {
  EXPECT_EQ(printable("gr\xc3\xbc\xc3\x9f", 100), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(printable("\x1b[31m\t\xc2\x9b\xff\x7f", 100), "\\x1b[31m\\x09\\xc2\\x9b\\xff\\x7f");
  EXPECT_EQ(printable("0123456789", 4), "0123...");
  EXPECT_EQ(printable("012\xc3\xbc", 4), "012...");
  EXPECT_EQ(printable(std::string_view("\0", 1), 4), "\\x00");
}

TEST(ExecLines, ComeInPieces) {
  ExecLines lines(5);
  lines.add("ab");
  EXPECT_FALSE(lines.next());
  EXPECT_EQ(lines.rest(), "ab");
  lines.add("c\n\n12345\nx");
  EXPECT_EQ(lines.next(), "abc");
  EXPECT_EQ(lines.next(), "");
  EXPECT_EQ(lines.next(), "12345");
  EXPECT_FALSE(lines.next());
  EXPECT_FALSE(lines.is_too_long());
  lines.add("23456");
  EXPECT_FALSE(lines.next());
  EXPECT_TRUE(lines.is_too_long());
  lines.clear();
  lines.add("a\n");
  EXPECT_EQ(lines.next(), "a");
}

TEST(ExecOutbox, GivesLinesInTheirOrder) {
  ExecOutbox outbox;
  const std::string large(100'000, 'x');
  outbox.add(1, "a");
  outbox.add(2, "b");
  outbox.add(3, large);
  EXPECT_FALSE(outbox.has_room());
  EXPECT_EQ(outbox.front(), "a\nb\n");
  outbox.wrote(1);
  EXPECT_FALSE(outbox.is_written(1));
  outbox.wrote(1);
  EXPECT_TRUE(outbox.is_written(1));
  EXPECT_FALSE(outbox.is_written(2));
  outbox.wrote(2);
  EXPECT_EQ(outbox.front().data(), large.data());
  outbox.wrote(40'000);
  outbox.keep_bytes();
  EXPECT_NE(outbox.front().data(), large.data() + 40'000);
  EXPECT_EQ(outbox.front(), std::string(60'000, 'x'));
  outbox.wrote(60'000);
  EXPECT_EQ(outbox.front(), "\n");
  EXPECT_FALSE(outbox.is_written(3));
  outbox.add(4, "c");
  outbox.wrote(1);
  EXPECT_TRUE(outbox.is_written(3));
  EXPECT_EQ(outbox.front(), "c\n");
}

TEST(ExecOutbox, TakesBackWhatWasNotBegun) {
  ExecOutbox outbox;
  const std::string large(100'000, 'x');
  outbox.add(1, "abc");
  outbox.add(2, "def");
  outbox.add(3, large);
  outbox.wrote(1);
  EXPECT_EQ(outbox.take_back(), (std::vector<uint64_t>{3, 2}));
  EXPECT_EQ(outbox.front(), "bc\n");
  outbox.add(4, "g");
  EXPECT_EQ(outbox.front(), "bc\ng\n");
  outbox.wrote(5);
  EXPECT_TRUE(outbox.is_written(4));
  EXPECT_TRUE(outbox.empty());
  outbox.add(5, large);
  outbox.wrote(1);
  EXPECT_TRUE(outbox.take_back().empty());
  outbox.clear();
  EXPECT_TRUE(outbox.empty());
}

TEST(ExecTalk, TellsLinesAndCountsTheRest) {
  ExecTalk talk;
  std::vector<std::string> told;
  talk.listen([&](std::string_view line) { told.emplace_back(line); });
  TimePoint now = Clock::now();
  talk.add("one\r\ntw", now);
  talk.add("o\x1b\n" + std::string(5000, 'x') + "\n", now);
  EXPECT_EQ(told, (std::vector<std::string>{"one", "two\\x1b", std::string(2000, 'x') + "..."}));
  for (int i = 0; i < 1000; ++i) talk.add("again\n", now);
  EXPECT_EQ(told.size(), 100u);
  talk.add("later\n", now + std::chrono::seconds(2));
  EXPECT_EQ(told.at(100), "(903 more lines)");
  EXPECT_EQ(told.at(101), "later");
  talk.add("half a line", now + std::chrono::seconds(2));
  talk.end(now + std::chrono::seconds(2));
  EXPECT_EQ(told.back(), "half a line");
  EXPECT_EQ(talk.last_lines(), "; it said last: \"again\", \"later\", \"half a line\"");
}

}  // namespace
}  // namespace walspout::test
