#include "sink/common/template.h"

#include <gtest/gtest.h>

#include <set>

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

TEST(TemplateTest, TheKeyIsItsJson) {
  Event event = event_of(&kOrders);
  event.document = R"({"op":"u","key":{"id":7,"a":"x.y%"},"after":{}})";
  event.key_span = {16, 19};
  EXPECT_EQ(expand("{table}/{key}", event), R"(orders/{"id":7,"a":"x.y%"})");
  const auto escaped = Template::parse("{table}:{key}", {}, "%:.")->of_table("shop", "orders");
  std::string name;
  escaped.append(event, name);
  EXPECT_EQ(name, R"(orders:{"id"%3A7,"a"%3A"x%2Ey%25"})");
  EXPECT_FALSE(escaped.fixed());
  EXPECT_EQ(escaped.key(event), R"({"id"%3A7,"a"%3A"x%2Ey%25"})") << "as it stands in the name";
  EXPECT_EQ(Template::parse("{table}")->key(event), "");
  event.key_span = {};
  EXPECT_EQ(expand("{table}/{key}", event), "orders/") << "no key";
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
  EXPECT_NE(Template::parse("{tabel}").error().what.find(
                "{schema}, {table}, {op}, {key}, {database} and {pipeline}"),
            std::string::npos);
}

std::string expand_of(const Origin& origin, std::string_view text, const Event& event,
                      std::string_view escape = "%:.") {
  const auto made = Template::parse(text, origin, escape);
  EXPECT_TRUE(made) << made.error().what;
  std::string name;
  if (made) made->append(event, name);
  return name;
}

constexpr std::string_view kDefault = "walspout:{database}:{schema}.{table}";

TEST(TemplateTest, KnowsTheOrigin) {
  const Origin origin{"pipe", "base"};
  EXPECT_EQ(expand_of(origin, "{pipeline}/{database}/{table}", event_of(&kOrders)),
            "pipe/base/orders");
  EXPECT_EQ(expand_of(origin, kDefault, event_of(nullptr, 'm')), "walspout:base:.");
  EXPECT_TRUE(Template::parse("x{pipeline}y{database}", origin)->fixed());
  EXPECT_FALSE(Template::parse("{pipeline}{op}", origin)->fixed());
}

TEST(TemplateTest, OddNamesMakeDifferentDestinations) {
  const std::vector<std::string> odd = {"a", "a.b", "b", "a:b", "a%2Eb", ".", ":", "%", "a.", ".a"};
  std::set<std::string> names;
  size_t made = 0;
  for (const std::string& database : odd) {
    for (const std::string& schema : odd) {
      for (const std::string& table : odd) {
        const Table named{schema, table};
        names.insert(expand_of({"p", database}, kDefault, event_of(&named)));
        ++made;
      }
    }
  }
  EXPECT_EQ(names.size(), made);
  const Table named{"a.b", "c:d%"};
  EXPECT_EQ(expand_of({"p", "x:y"}, kDefault, event_of(&named)), "walspout:x%3Ay:a%2Eb.c%3Ad%25");
  EXPECT_EQ(expand_of({"p", "x:y"}, kDefault, event_of(&named), ""), "walspout:x:y:a.b.c:d%");
  const Table spaces{" a\t", "*>\x7f"};
  EXPECT_EQ(expand_of({}, "{schema}.{table}", event_of(&spaces), " \t*>\x7f"), "%20a%09.%2A%3E%7F");
}

TEST(TemplateTest, PatternsHaveOneTextForAllThatIsUnknown) {
  const Origin origin{"p.q", "base"};
  EXPECT_EQ(Template::parse("x.{pipeline}.{schema}-{table}.{op}", origin, ".")->pattern("*"),
            "x.p%2Eq.*-*.*");
  Route route{{{"public.orders", "o.{table}.{op}"}, {"message", "m"}}, "{schema}.{table}"};
  EXPECT_EQ(Router::create(route)->patterns("*"),
            (std::vector<std::string>{"m", "o.orders.*", "*.*"}));
}

std::optional<std::string> common(std::string_view one, std::string_view other,
                                  const Origin& here = {"p", "a"},
                                  const Origin& there = {"q", "b"}) {
  return Template::common_name(*Template::parse(one, here, "%:."),
                               *Template::parse(other, there, "%:."));
}

TEST(TemplateTest, FindsANameThatTwoCanMake) {
  EXPECT_EQ(common("events", "events"), "events");
  EXPECT_EQ(common("{schema}.orders", "public.{table}"), "public.orders");
  EXPECT_EQ(common("x{op}", "{schema}u"), "xu");
  EXPECT_EQ(common("x{key}", "xany"), "xany");
  EXPECT_EQ(common("x{op}y", "xdy"), "xdy");
  EXPECT_EQ(common("{op}", "{op}"), "c");
  EXPECT_TRUE(common("{table}", "{schema}{table}"));
  EXPECT_TRUE(common("a{table}c{schema}", "{table}b{schema}d"));
  EXPECT_TRUE(common("walspout:{schema}.{table}", "walspout:{schema}.{table}"));
  EXPECT_TRUE(common(kDefault, kDefault, {"p", "a"}, {"q", "a"}));
}

TEST(TemplateTest, FindsNoNameWhereThereIsNone) {
  EXPECT_EQ(common("events", "event"), std::nullopt);
  EXPECT_EQ(common(kDefault, kDefault), std::nullopt);
  EXPECT_EQ(common("{pipeline}:{table}", "{pipeline}:{table}"), std::nullopt);
  EXPECT_EQ(common("walspout:{schema}.{table}", kDefault), std::nullopt);
  EXPECT_EQ(common("x{op}", "xy"), std::nullopt);
  EXPECT_EQ(common("a{table}", "{table}:b"), std::nullopt);
  EXPECT_EQ(common("", "x"), std::nullopt);
}

TEST(RouterTest, FindsANameThatTwoCanMake) {
  const auto route = [](std::map<std::string, std::string> tables,
                        std::optional<std::string> fallback) {
    return *Router::create({std::move(tables), std::move(fallback), Unmapped::kError, {}, "%:."});
  };
  const auto one = route({{"public.a", "s-{table}"}}, std::nullopt);
  EXPECT_EQ(Router::common_name(one, route({{"public.b", "s-{table}"}}, std::nullopt)),
            std::nullopt);
  EXPECT_EQ(Router::common_name(one, route({{"x.a", "s-{table}"}}, std::nullopt)), "s-a");
  EXPECT_EQ(Router::common_name(one, route({}, "{schema}-{table}")), "s-a");
  EXPECT_EQ(Router::common_name(one, route({{"message", "s-{table}"}}, "x")), std::nullopt);
  EXPECT_EQ(Router::common_name(route({{"message", "m{schema}"}}, "x"), route({}, "m")), "m");
}

TEST(RouterTest, TakesTheTablesEntryBeforeTheFallback) {
  const auto router =
      Router::create({{{"shop.orders", "o-{op}"}}, "f-{table}", Unmapped::kError, {}, {}});
  ASSERT_TRUE(router);
  std::string name;
  EXPECT_TRUE(*router->route(event_of(&kOrders), name));
  EXPECT_EQ(name, "o-u");
  const Table other{"shop", "items"};
  EXPECT_TRUE(*router->route(event_of(&other), name));
  EXPECT_EQ(name, "f-items");
}

TEST(RouterTest, MessagesHaveAnEntryOfTheirOwn) {
  const auto router =
      Router::create({{{"message", "notes"}}, std::nullopt, Unmapped::kError, {}, {}});
  ASSERT_TRUE(router);
  std::string name;
  EXPECT_TRUE(*router->route(event_of(nullptr, 'm'), name));
  EXPECT_EQ(name, "notes");
}

TEST(RouterTest, UnmappedIsAnErrorThatSaysWhatToAdd) {
  const auto router = Router::create({{{"a.b", "c"}}, std::nullopt, Unmapped::kError, {}, {}});
  ASSERT_TRUE(router);
  std::string name;
  const auto routed = router->route(event_of(&kOrders), name);
  ASSERT_FALSE(routed);
  EXPECT_EQ(routed.error().kind, ErrorKind::kReject);
  EXPECT_NE(routed.error().what.find("\"shop.orders\""), std::string::npos);
  EXPECT_NE(routed.error().what.find("unmapped: drop"), std::string::npos);
}

TEST(RouterTest, UnmappedIsDroppedByChoice) {
  const auto router = Router::create({{{"a.b", "c"}}, std::nullopt, Unmapped::kDrop, {}, {}});
  ASSERT_TRUE(router);
  std::string name;
  EXPECT_FALSE(*router->route(event_of(&kOrders), name));
}

TEST(RouterTest, KnowsTheNamesThatDoNotDependOnTheEvent) {
  const auto router =
      Router::create({{{"a.b", "fixed"}, {"a.c", "x-{op}"}}, "all", Unmapped::kError, {}, {}});
  ASSERT_TRUE(router);
  EXPECT_EQ(router->fixed_names(), (std::vector<std::string>{"fixed", "all"}));
}

TEST(RouterTest, RefusesBadTemplates) {
  EXPECT_FALSE(Router::create({{{"a.b", "{x}"}}, std::nullopt, Unmapped::kError, {}, {}}));
  EXPECT_FALSE(Router::create({{}, "{x}", Unmapped::kError, {}, {}}));
}

TEST(RouterTest, ADestinationMayRejectKeys) {
  const auto problem = [](const Route& route) {
    const auto made = Router::create(route);
    return made ? "" : made.error().what;
  };
  const std::string reason = "which would make too many";
  const Route fallback{{}, "x:{key}", Unmapped::kError, {}, "%:.", reason};
  const Route mapped{{{"a.b", "{key}"}}, "x", Unmapped::kError, {}, "%:.", reason};
  EXPECT_EQ(problem(fallback), "the template \"x:{key}\" names {key}, " + reason);
  EXPECT_EQ(problem(mapped), "the template \"{key}\" names {key}, " + reason);
  EXPECT_EQ(problem(Route{{}, "{{key}}", Unmapped::kError, {}, "%:.", reason}), "");
  EXPECT_EQ(problem(Route{{}, "x:{key}", Unmapped::kError}), "");
}

TEST(RouterTest, SchemasHaveAPlaceOfTheirOwn) {
  const Table table{"public", "orders"};
  Route route;
  route.fallback = "rows.{table}";
  std::string name;
  ASSERT_TRUE(*Router::create(route)->route(event_of(&table, 's'), name));
  EXPECT_EQ(name, "rows.orders");
  route.schemas = "schemas.{schema}";
  route.tables["public.orders"] = "orders";
  const auto router = Router::create(route);
  ASSERT_TRUE(*router->route(event_of(&table, 's'), name));
  EXPECT_EQ(name, "schemas.public");
  ASSERT_TRUE(*router->route(event_of(&table, 'c'), name));
  EXPECT_EQ(name, "orders");
  EXPECT_FALSE(router->name_of_both());
  route.schemas = "rows.{schema}";
  EXPECT_TRUE(Router::create(route)->name_of_both());
  route.schemas = "{nonsense}";
  EXPECT_FALSE(Router::create(route));
}

}  // namespace
}  // namespace walspout
