#include "stream/only.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "test/source/messages.h"

namespace walspout {
namespace {

using test::MessageBuilder;

Event event_of(const Table& table, char op = 'c') {
  Event event;
  event.table = &table;
  event.op = op;
  return event;
}

bool wants(const std::vector<std::string>& patterns, const std::string& schema,
           const std::string& name) {
  const Table table{schema, name};
  return Only({patterns, {}}).wants(event_of(table));
}

TEST(Only, APatternIsASchemaAndATable) {
  EXPECT_TRUE(wants({"public.orders"}, "public", "orders"));
  EXPECT_FALSE(wants({"public.orders"}, "public", "orders_2"));
  EXPECT_FALSE(wants({"public.orders"}, "Public", "orders"));
  EXPECT_FALSE(wants({"public.orders"}, "other", "orders"));
  EXPECT_TRUE(wants({"public.*"}, "public", "orders"));
  EXPECT_FALSE(wants({"public.*"}, "public2", "orders"));
  EXPECT_TRUE(wants({"*.orders"}, "any", "orders"));
  EXPECT_TRUE(wants({"*.*"}, "any", "table"));
  EXPECT_TRUE(wants({"a*c.*_log*"}, "abcbc", "my_log_2"));
  EXPECT_FALSE(wants({"a*c.*_log*"}, "abcb", "my_log_2"));
  EXPECT_FALSE(wants({"public.*_"}, "public", "a_b"));
  EXPECT_TRUE(wants({"public.**"}, "public", ""));
}

TEST(Only, DotsInNamesAreOnesOfThePattern) {
  EXPECT_TRUE(wants({"a.b.c"}, "a", "b.c"));
  EXPECT_TRUE(wants({"a.b.c"}, "a.b", "c"));
  EXPECT_FALSE(wants({"a.*"}, "a.b", "c")) << "a schema is no part of another one";
  EXPECT_TRUE(wants({"a.*"}, "a", "b.c"));
}

TEST(Only, AQuestionMarkIsOneCharacter) {
  EXPECT_TRUE(wants({"public.t?"}, "public", "t1"));
  EXPECT_TRUE(wants({"public.t?"}, "public", "t\u00e4")) << "of two bytes";
  EXPECT_FALSE(wants({"public.t?"}, "public", "t"));
  EXPECT_FALSE(wants({"public.t?"}, "public", "t12"));
  EXPECT_TRUE(wants({"?.*?x"}, "a", "abx"));
}

TEST(Only, WhatIsInQuotesStandsForItself) {
  EXPECT_TRUE(wants({"public.\"a*\""}, "public", "a*"));
  EXPECT_FALSE(wants({"public.\"a*\""}, "public", "ab"));
  EXPECT_TRUE(wants({"\"a.b\".c"}, "a.b", "c"));
  EXPECT_FALSE(wants({"\"a.b\".c"}, "a", "b.c"));
  EXPECT_TRUE(wants({"public.\"say \"\"x\"\"\""}, "public", "say \"x\""));
  EXPECT_TRUE(wants({"public.\"a?\"*"}, "public", "a?bc"));
}

TEST(Only, PatternsAreLikeInSql) {
  const auto like = [](const char* pattern) {
    std::string all;
    for (const auto& each : TablePattern(pattern).likes())
      all += each.schema + "|" + each.table + " ";
    return all;
  };
  EXPECT_EQ(like("!public.a_b*"), "public|a\\_b% ");
  EXPECT_EQ(like("a.b?.\"%*.\""), "a|b_.\\%*. a.b_|\\%*. ");
}

TEST(Only, TheLastPatternThatMatchesDecides) {
  const std::vector<std::string> all_but{"public.*", "!public.audit_*", "public.audit_money"};
  EXPECT_TRUE(wants(all_but, "public", "orders"));
  EXPECT_FALSE(wants(all_but, "public", "audit_orders"));
  EXPECT_TRUE(wants(all_but, "public", "audit_money"));
  EXPECT_FALSE(wants(all_but, "other", "orders"));
  EXPECT_FALSE(wants({"!public.audit_*", "public.*"}, "other", "t") &&
               !wants({"!public.audit_*", "public.*"}, "public", "audit_1"));
}

TEST(Only, AnExclusionInFrontLeavesAllOthersIn) {
  EXPECT_TRUE(wants({"!public.audit_*"}, "public", "orders"));
  EXPECT_TRUE(wants({"!public.audit_*"}, "other", "audit_orders"));
  EXPECT_FALSE(wants({"!public.audit_*"}, "public", "audit_orders"));
}

TEST(Only, OpsAndTablesMustBothFit) {
  const Table orders{"public", "orders"}, other{"public", "other"};
  Only only({{"public.orders"}, {"c", "d"}});
  EXPECT_TRUE(only.wants(event_of(orders, 'c')));
  EXPECT_TRUE(only.wants(event_of(orders, 'd')));
  EXPECT_FALSE(only.wants(event_of(orders, 'u')));
  EXPECT_FALSE(only.wants(event_of(other, 'c')));
}

TEST(Only, TablesLeaveLogicalMessagesIn) {
  Event message;
  message.op = 'm';
  Chunk chunk;
  EXPECT_TRUE(Only({{"public.orders"}, {}}).wants(message));
  EXPECT_TRUE(Only({{"public.orders"}, {}}).wants(message, chunk));
  EXPECT_TRUE(Only({{}, {"c", "m"}}).wants(message));
  EXPECT_FALSE(Only({{"public.orders"}, {"c"}}).wants(message));
}

// The decision for a freed table must not apply to a new table at its address.
TEST(Only, RemembersTablesAndNotAddresses) {
  Only only({{"public.t1*"}, {}});
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 6000; i++) {
      const std::string name = "t" + std::to_string(i);
      Chunk chunk;
      chunk.tables.push_back(std::make_shared<const Table>(Table{"public", name}));
      for (int again = 0; again < 2; again++) {
        ASSERT_EQ(only.wants(event_of(*chunk.tables.back()), chunk), name.starts_with("t1"))
            << name;
      }
    }
  }
}

TEST(Only, SaysWhatIsWrongWithAPattern) {
  for (const char* good : {"a.b", "*.*", "!a.b", "a.b.c", "public.*", ".a.b", "!*.b"}) {
    EXPECT_EQ(TablePattern::problem(good), "") << good;
  }
  const auto has = [](const char* pattern, const char* text) {
    EXPECT_NE(TablePattern::problem(pattern).find(text), std::string::npos)
        << TablePattern::problem(pattern);
  };
  has("orders", "the schema and a dot are missing");
  has("orders", "not \"orders\"");
  has("!orders", "the schema and a dot are missing");
  has("", "empty");
  has("public.", "the table is missing");
  has(".orders", "the schema is missing");
  has("!.orders", "the schema is missing");
  has(".", "the schema is missing");
  has("public.\"a", "a double quote has no second one");
  has("\"public.a\"", "the schema and a dot are missing");
}

}  // namespace
}  // namespace walspout
