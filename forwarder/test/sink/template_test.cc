#include "sink/template.h"

#include <gtest/gtest.h>

namespace walspout {
namespace {

Event event_of(const Table* table, char op = 'u') {
  Event event;
  event.table = table;
  event.op = op;
  return event;
}

std::string expand(std::string_view text, const Event& event) {
  const auto made = Template::parse(text);
  EXPECT_TRUE(made) << made.error().what;
  std::string name;
  if (made) made->append(event, name);
  return name;
}

const Table kOrders{"shop", "orders"};

TEST(TemplateTest, ReplacesNames) {
  EXPECT_EQ(expand("walspout:{schema}.{table}", event_of(&kOrders)), "walspout:shop.orders");
  EXPECT_EQ(expand("{op}{op}-{table}", event_of(&kOrders, 'd')), "dd-orders");
  EXPECT_EQ(expand("plain", event_of(&kOrders)), "plain");
  EXPECT_EQ(expand("", event_of(&kOrders)), "");
}

TEST(TemplateTest, NamesOfMessagesAreEmpty) {
  EXPECT_EQ(expand("x{schema}.{table}.{op}", event_of(nullptr, 'm')), "x..m");
}

TEST(TemplateTest, DoubledBracesAreBraces) {
  EXPECT_EQ(expand("{{{table}}}{{op}}", event_of(&kOrders)), "{orders}{op}");
}

TEST(TemplateTest, RefusesWhatItCannotReplace) {
  for (const char* bad : {"{tabel}", "{}", "{table", "table}", "{Table}"}) {
    const auto made = Template::parse(bad);
    ASSERT_FALSE(made) << bad;
    EXPECT_EQ(made.error().kind, ErrorKind::kFatal);
    EXPECT_NE(made.error().what.find(bad), std::string::npos);
  }
  EXPECT_NE(Template::parse("{tabel}").error().what.find("{schema}, {table} and {op}"),
            std::string::npos);
}

TEST(RouterTest, TakesTheTablesEntryBeforeTheFallback) {
  const auto router = Router::create({{{"shop.orders", "o-{op}"}}, "f-{table}", Unmapped::kError});
  ASSERT_TRUE(router);
  std::string name;
  EXPECT_TRUE(*router->route(event_of(&kOrders), name));
  EXPECT_EQ(name, "o-u");
  const Table other{"shop", "items"};
  EXPECT_TRUE(*router->route(event_of(&other), name));
  EXPECT_EQ(name, "f-items");
}

TEST(RouterTest, MessagesHaveAnEntryOfTheirOwn) {
  const auto router = Router::create({{{"message", "notes"}}, std::nullopt, Unmapped::kError});
  ASSERT_TRUE(router);
  std::string name;
  EXPECT_TRUE(*router->route(event_of(nullptr, 'm'), name));
  EXPECT_EQ(name, "notes");
}

TEST(RouterTest, UnmappedIsAnErrorThatSaysWhatToAdd) {
  const auto router = Router::create({{{"a.b", "c"}}, std::nullopt, Unmapped::kError});
  ASSERT_TRUE(router);
  std::string name;
  const auto routed = router->route(event_of(&kOrders), name);
  ASSERT_FALSE(routed);
  EXPECT_EQ(routed.error().kind, ErrorKind::kReject);
  EXPECT_NE(routed.error().what.find("\"shop.orders\""), std::string::npos);
  EXPECT_NE(routed.error().what.find("unmapped: drop"), std::string::npos);
}

TEST(RouterTest, UnmappedIsDroppedByChoice) {
  const auto router = Router::create({{{"a.b", "c"}}, std::nullopt, Unmapped::kDrop});
  ASSERT_TRUE(router);
  std::string name;
  EXPECT_FALSE(*router->route(event_of(&kOrders), name));
}

TEST(RouterTest, KnowsTheNamesThatDoNotDependOnTheEvent) {
  const auto router =
      Router::create({{{"a.b", "fixed"}, {"a.c", "x-{op}"}}, "all", Unmapped::kError});
  ASSERT_TRUE(router);
  EXPECT_EQ(router->fixed_names(), (std::vector<std::string>{"fixed", "all"}));
}

TEST(RouterTest, RefusesBadTemplates) {
  EXPECT_FALSE(Router::create({{{"a.b", "{x}"}}, std::nullopt, Unmapped::kError}));
  EXPECT_FALSE(Router::create({{}, "{x}", Unmapped::kError}));
}

}  // namespace
}  // namespace walspout
