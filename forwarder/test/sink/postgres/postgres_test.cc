// The sink against a real server: the contract, and cases that are easier to test here than end to
// end.

#include "sink/postgres/postgres.h"

#include <gmock/gmock.h>

#include "sink/postgres/document.h"
#include "sink/postgres/reading.h"
#include "sink/postgres/session.h"
#include "sink/postgres/shape.h"
#include "sink/postgres/statements.h"
#include "test/sink/postgres/postgres_server.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// Like the contract's events, with columns.
const Table kOrders{
    "public",
    "orders",
    {{"id", "integer", 23, -1, false, true}, {"text", "text", 25, -1, false, false}}};
const Table kKeyed{"public",
                   "orders",
                   {{"id", "integer", 23, -1, true, true}, {"text", "text", 25, -1, false, false}}};

SourceState source_of(const std::string& database) {
  return {Lsn{}, false, "7300000000000000001 slot " + database};
}

std::unique_ptr<Sink> sink_for(const PostgresConfig& config, const SourceState& source) {
  auto made = PostgresSink::create(config);
  EXPECT_TRUE(made) << made.error().message();
  const auto checked = (*made)->check(source, in_seconds(30));
  EXPECT_TRUE(checked) << checked.error().message();
  return std::move(*made);
}

PostgresConfig config_for(const std::string& database) {
  PostgresConfig config;
  config.dsn = Secret(PostgresServer::get().dsn(database));
  return config;
}

// Gives the contract's events the columns that a stream would name.
class WithColumns final : public Sink {
 public:
  WithColumns(std::unique_ptr<Sink> sink, const Table& table)
      : sink_(std::move(sink)), table_(table) {}
  std::string_view type() const override { return sink_->type(); }
  std::string_view endpoint() const override { return sink_->endpoint(); }
  BatchLimits limits() const override { return sink_->limits(); }
  Result<void> check(const SourceState& source, TimePoint deadline) override {
    return sink_->check(source, deadline);
  }
  Delivery deliver(std::span<const Event> events, TimePoint deadline, Progress& progress) override {
    std::vector<Event> copies(events.begin(), events.end());
    for (Event& event : copies) event.table = &table_;
    return sink_->deliver(copies, deadline, progress);
  }
  void idle() override { sink_->idle(); }

 private:
  std::unique_ptr<Sink> sink_;
  const Table& table_;
};

// Rows are appended, so that their order and each repeat can be seen. Documents are rebuilt from
// rows.
class PostgresHarness final : public Harness {
 public:
  PostgresHarness() {
    server().start();
    if (testing::Test::HasFatalFailure()) return;
    database_ = server().new_database();
    server().query(database_,
                   "CREATE TABLE public.orders (n pg_catalog.int4 GENERATED ALWAYS AS IDENTITY, id "
                   "pg_catalog.int4, text pg_catalog.text)");
  }
  ~PostgresHarness() override {
    server().thaw();
    server().start();
  }

  std::unique_ptr<Sink> make_sink() override {
    PostgresConfig config = config_for(database_);
    config.rows.mode = PostgresMode::kAppend;
    return std::make_unique<WithColumns>(sink_for(config, source_of(database_)), kOrders);
  }

  std::vector<std::string> received() override {
    std::vector<std::string> documents;
    for (const Row& row : server().query(
             database_,
             "SELECT '{\"id\":\"1000-' || pg_catalog.row_number() OVER (ORDER BY n) - 1 || "
             "'\",\"op\":\"c\",\"schema\":\"public\",\"table\":\"orders\",\"key\":{\"id\":' || id "
             "|| "
             "'},\"after\":' || pg_catalog.json_build_object('id', id, 'text', text) || '}' FROM "
             "public.orders ORDER BY n")) {
      documents.push_back(without_spaces(text(row, 0)));
    }
    return documents;
  }
  void start_server() override { server().start(); }
  void stop_server() override { server().stop(); }
  void freeze_server() override { server().freeze(); }
  void thaw_server() override { server().thaw(); }

 private:
  static PostgresServer& server() { return PostgresServer::get(); }

  // json_build_object() writes `{"id" : 7, "text" : "…"}`.
  static std::string without_spaces(std::string document) {
    for (const auto& [from, to] : {std::pair<std::string, std::string>{"{\"id\" : ", "{\"id\":"},
                                   {", \"text\" : ", ",\"text\":"}}) {
      const size_t at = document.find(from);
      if (at != std::string::npos) document.replace(at, from.size(), to);
    }
    return document;
  }

  std::string database_;
};

std::unique_ptr<Harness> make_postgres_harness() {
  return std::make_unique<PostgresHarness>();
}

INSTANTIATE_TEST_SUITE_P(Postgres, SinkContract, testing::Values(&make_postgres_harness));

Event update_with(const std::string& document, size_t begin, size_t size) {
  Event event;
  event.op = 'u';
  event.document = document;
  event.set_row({}, {static_cast<uint32_t>(begin), static_cast<uint32_t>(size)});
  return event;
}

TEST(PostgresDocument, SaysWhatTheRowLacks) {
  const auto of = [](const std::string& behind) {
    const std::string document = "{\"op\":\"u\",\"after\":{\"id\":1}" + behind;
    return lacks(update_with(document, 18, 8));
  };
  EXPECT_FALSE(of("}"));
  EXPECT_FALSE(of(",\"origin\":\"elided\"}"));
  EXPECT_TRUE(of(",\"unchanged\":[\"a\"]}").unchanged);
  EXPECT_FALSE(of(",\"unchanged\":[\"a\"]}").elided);
  EXPECT_TRUE(of(",\"elided\":{\"a\":5}}").elided);
  EXPECT_FALSE(of(",\"elided\":{\"a\":5}}").unchanged);
  EXPECT_TRUE(of(",\"unchanged\":[\"a]\\\"],\",\"b\"],\"elided\":{\"a\":5}}").elided);
  EXPECT_FALSE(of(",\"unchanged\":[\"\\\\\"],\"origin\":\",\\\"elided\\\":{\"}").elided);
  EXPECT_TRUE(of(",\"unchanged\":[\"").unchanged) << "a document that was cut";
}

TEST(PostgresDocument, SaysWhatTheNewRowLacks) {
  const std::string document =
      R"({"op":"u","before":{"id":1},"after":{"id":1,"v":{"w":"\",\"x\":"}},"elided":{"v":5,"w":6,"x":7}})";
  Event event = update_with(document, document.find(R"({"id":1,)"), 30);
  EXPECT_EQ(lacks(event).names.size(), 3U) << "without an old row";
  event.set_row({19, 8}, event.after_span());
  EXPECT_EQ(event.before(), R"({"id":1})");
  EXPECT_EQ(event.after(), R"({"id":1,"v":{"w":"\",\"x\":"}})");
  EXPECT_EQ(lacks(event).names, (std::vector<std::string_view>{R"("w")", R"("x")"}));
}

TEST(PostgresName, IsDividedByItsDot) {
  EXPECT_EQ(PostgresName::parse("a.b")->quoted(), "\"a\".\"b\"");
  EXPECT_EQ(PostgresName::parse("a%2Eb.c%25\"")->quoted(), "\"a.b\".\"c%\"\"\"");
  for (const char* bad : {"", "a", ".", "a.", ".b", "a.b.c"}) {
    EXPECT_FALSE(PostgresName::parse(bad)) << bad;
  }
}

TEST(PostgresReading, IsCheckedWhereTheTargetIsNarrower) {
  const auto checked = [](const std::string& source, const ColumnType& target) {
    const Reading read = reading(source, target);
    return read.checked ? read.type : "";
  };
  const ColumnType narrow{"numeric(5,1)", "numeric", true};
  EXPECT_EQ(checked("numeric(5,1)", narrow), "");
  EXPECT_EQ(checked("numeric(5,2)", narrow), "numeric");
  EXPECT_EQ(checked("double precision", narrow), "numeric");
  EXPECT_EQ(checked("", narrow), "numeric") << "of a dead letter the type is not known";
  EXPECT_EQ(checked("numeric(5,1)", {"numeric", "numeric", false}), "");
  EXPECT_EQ(checked("numeric[]", {"numeric(5,1)[]", "numeric[]", true}), "numeric[]");
  EXPECT_EQ(checked("numeric(5,2)", {"real", "real", false}), "numeric");
  EXPECT_EQ(checked("smallint", {"real", "real", false}), "");
  EXPECT_EQ(checked("timestamp(6) with time zone", {"date", "date", false}),
            "timestamp with time zone");
  EXPECT_EQ(checked("timestamp with time zone",
                    {"time without time zone", "time without time zone", false}),
            "text");
  EXPECT_EQ(checked("text", {"character varying(5)", "character varying", true}),
            "character varying");
  EXPECT_EQ(checked("text", {"text", "text", false}), "");
  EXPECT_EQ(checked("public.mood", {"text", "text", false}), "");
}

TEST(PostgresConfigured, WrongOptionsAreFatal) {
  PostgresConfig config;
  EXPECT_THAT(PostgresSink::create(config).error().message(), HasSubstr("dsn"));
  config.dsn = Secret("postgresql://me:pa/ss@host/db");
  const auto odd = PostgresSink::create(config);
  ASSERT_FALSE(odd);
  EXPECT_THAT(odd.error().message(), testing::Not(HasSubstr("pa/ss")));
  config.dsn = Secret("host=h password=secret dbname=d");
  config.target.fallback = "orders";
  EXPECT_THAT(PostgresSink::create(config).error().message(), HasSubstr("SCHEMA.TABLE"));
  config.target.fallback = "{schema}.{key}";
  EXPECT_THAT(PostgresSink::create(config).error().message(), HasSubstr("{key}"));
}

class PostgresSinkTest : public testing::Test {
 protected:
  PostgresSinkTest()
      : database_(PostgresServer::get().new_database()), config_(config_for(database_)) {
    query("CREATE TABLE public.orders (id pg_catalog.int4 PRIMARY KEY, text pg_catalog.text)");
  }

  std::vector<Row> query(const std::string& sql) {
    return PostgresServer::get().query(database_, sql);
  }
  std::string value(const std::string& sql) {
    const auto rows = query(sql);
    return rows.empty() ? "" : text(rows.front(), 0);
  }
  std::unique_ptr<Sink> make() {
    return std::make_unique<WithColumns>(sink_for(config_, source_of(database_)), kKeyed);
  }
  Delivery deliver(Sink& sink, std::span<const Event> events, uint64_t term = 1) {
    progress_ = Progress(events.size(), {}, term);
    return sink.deliver(events, in_seconds(30), progress_);
  }

  const std::string database_;
  PostgresConfig config_;
  Progress progress_{0};
};

TEST_F(PostgresSinkTest, ATransactionIsCommittedWhenAllOfItIsThere) {
  auto sink = make();
  Events events;
  for (int i = 0; i < 4; i++) events.add(i);
  bool more = true;
  const auto attempt = [&](size_t count) {
    progress_ = Progress(count, {}, 1);
    progress_.offer([] { return false; });
    progress_.offer_rest([&] { return more; });
    return sink->deliver(events.span().first(count), in_seconds(30), progress_);
  };
  ASSERT_TRUE(attempt(2));
  EXPECT_TRUE(progress_.is_paused());
  EXPECT_EQ(progress_.durable_count(), 0u);
  EXPECT_EQ(value("SELECT pg_catalog.count(*) FROM public.orders"), "0");
  ASSERT_TRUE(attempt(3));
  EXPECT_EQ(progress_.durable_count(), 0u);
  more = false;
  ASSERT_TRUE(attempt(4));
  EXPECT_EQ(progress_.durable_count(), 4u);
  EXPECT_EQ(value("SELECT pg_catalog.count(*) FROM public.orders"), "4");
  // The same, followed by a transaction that may be incomplete.
  Events next(2000);
  next.add(10), next.add(11), next.next_transaction(), next.add(12);
  progress_ = Progress(3, {}, 1);
  progress_.offer([] { return true; });
  ASSERT_TRUE(sink->deliver(next.span(), in_seconds(30), progress_));
  EXPECT_EQ(progress_.durable_count(), 2u);
  EXPECT_TRUE(progress_.is_paused());
}

TEST_F(PostgresSinkTest, AnOpenTransactionIsUndoneWhenOtherEventsCome) {
  auto sink = make();
  Events events;
  for (int i = 0; i < 4; i++) events.add(i);
  progress_ = Progress(2, {}, 1);
  progress_.offer([] { return false; });
  progress_.offer_rest([] { return true; });
  ASSERT_TRUE(sink->deliver(events.span().first(2), in_seconds(30), progress_));
  // The first event was removed.
  ASSERT_TRUE(deliver(*sink, events.span().subspan(1)));
  EXPECT_EQ(progress_.durable_count(), 3u);
  EXPECT_EQ(value("SELECT pg_catalog.min(id) FROM public.orders"), "1");
}

TEST_F(PostgresSinkTest, WhatIsBeforeABadEventInItsTransactionWaitsForTheRest) {
  query("ALTER TABLE public.orders ADD CHECK (id OPERATOR(pg_catalog.<>) 3)");
  auto sink = make();
  Events events;
  events.add(1), events.next_transaction(), events.add(2), events.add(3), events.add(4);
  Delivery delivery = deliver(*sink, events.span());
  ASSERT_FALSE(delivery);
  EXPECT_EQ(delivery.error().error.kind, ErrorKind::kReject);
  EXPECT_EQ(delivery.error().event, 2u);
  EXPECT_EQ(progress_.durable_count(), 1u);
  EXPECT_EQ(value("SELECT pg_catalog.count(*) FROM public.orders"), "1");
  const std::vector<Event> rest{events.span()[1], events.span()[3]};
  ASSERT_TRUE(deliver(*sink, rest));
  EXPECT_EQ(value("SELECT pg_catalog.string_agg(id::pg_catalog.text, ',' ORDER BY id) FROM "
                  "public.orders"),
            "1,2,4");
}

TEST_F(PostgresSinkTest, AnotherForwarderKeepsTheFirstOneOut) {
  auto first = make();
  Events events;
  for (int i = 0; i < 6; i++) events.add(i), events.next_transaction();
  ASSERT_TRUE(deliver(*first, events.span().first(2)));
  auto second = make();
  ASSERT_TRUE(wait_for(std::chrono::seconds(30),
                       [&] { return deliver(*second, events.span().subspan(1, 3)).has_value(); }));
  // The first sink's session was ended, and the first sink does not take over again.
  std::string said;
  for (int i = 0; i < 4; i++) {  // the first error may be the end of the session
    const Delivery late = deliver(*first, events.span().subspan(4, 1));
    ASSERT_FALSE(late);
    said = late.error().error.message();
  }
  EXPECT_THAT(said, HasSubstr("has taken over"));
  EXPECT_EQ(value("SELECT pg_catalog.count(*) FROM public.orders"), "4");
  ASSERT_TRUE(deliver(*second, events.span().subspan(4, 1)));
  // The first sink got the slot again. The ended session may take a moment to release the origin.
  ASSERT_TRUE(wait_for(std::chrono::seconds(30), [&] {
    return deliver(*first, events.span().subspan(4, 2), 2).has_value();
  }));
  EXPECT_FALSE(deliver(*second, events.span().subspan(5, 1)));
  EXPECT_EQ(value("SELECT pg_catalog.count(*) FROM public.orders"), "6");
  // If the session could not be ended, the owner's name decides.
  query("UPDATE walspout.positions SET owner = 'another'");
  events.add(6);
  const Delivery late = deliver(*first, events.span().subspan(6, 1), 2);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().error.message(), HasSubstr("has taken over"));
  EXPECT_EQ(value("SELECT pg_catalog.count(*) FROM public.orders"), "6");
}

TEST_F(PostgresSinkTest, APositionThatFallsBackIsALoss) {
  auto sink = make();
  Events events;
  for (int i = 0; i < 3; i++) events.add(i), events.next_transaction();
  ASSERT_TRUE(deliver(*sink, events.span().first(2)));
  query(
      "UPDATE walspout.positions SET lsn = '0/1'; SELECT pg_catalog.pg_terminate_backend(pid) FROM "
      "pg_catalog.pg_stat_activity WHERE application_name OPERATOR(pg_catalog.=) 'walspout' AND "
      "pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()");
  bool lost = false;
  for (int i = 0; i < 4 && !lost; i++) {
    const Delivery delivery = deliver(*sink, events.span().subspan(2));
    lost = !delivery && delivery.error().error.loss;
  }
  EXPECT_TRUE(lost);
  ASSERT_TRUE(deliver(*sink, events.span().subspan(2)));
}

TEST_F(PostgresSinkTest, AnotherHistoryIsNoticed) {
  auto sink = make();
  Events events(9000);
  events.add(1);
  ASSERT_TRUE(deliver(*sink, events.span()));
  SourceState behind = source_of(database_);
  behind.wal_position = Lsn{100};
  const auto checked = sink->check(behind, in_seconds(30));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().scope(), Scope::kConfiguration);
  EXPECT_THAT(checked.error().message(), HasSubstr("beyond the database's WAL position"));
  Events others(8000);
  others.add(1);
  Event later = others.span()[0];
  later.commit_time++;
  const Delivery delivery = deliver(*sink, std::span(&later, 1));
  ASSERT_FALSE(delivery);
  EXPECT_THAT(delivery.error().error.message(), HasSubstr("was committed later than all"));
}

TEST_F(PostgresSinkTest, SourcesThatItCannotServeAreRejected) {
  auto sink = make();
  SourceState source = source_of(database_);
  source.plain_numbers = false;
  EXPECT_THAT(sink->check(source, in_seconds(30)).error().message(), HasSubstr("numbers"));
  source = source_of(database_);
  source.ordered = false;
  EXPECT_THAT(sink->check(source, in_seconds(30)).error().message(), HasSubstr("slot"));
}

// What a target table needs, and which changes of the table are allowed.
class PostgresShapeTest : public PostgresSinkTest {
 protected:
  PostgresShapeTest() { query("DROP TABLE public.orders"); }

  // The error's message; empty: the table fits.
  std::string loaded(bool may_change = true) {
    const Wake wake;
    auto connection = Connection::open(config_.dsn, Connection::Mode::kSession, in_seconds(30),
                                       wake, [] { return false; });
    if (!connection) return connection.error().message();
    const auto shape = load_shape(*connection, kKeyed, {"public", "orders"}, config_.rows,
                                  {may_change, may_change}, in_seconds(30));
    return shape ? "" : shape.error().message();
  }
  std::string columns() {
    return value(
        "SELECT pg_catalog.string_agg(attname || ' ' || pg_catalog.format_type(atttypid, "
        "atttypmod), ', ' ORDER BY attnum) FROM pg_catalog.pg_attribute WHERE attrelid "
        "OPERATOR(pg_catalog.=) 'public.orders'::pg_catalog.regclass AND attnum "
        "OPERATOR(pg_catalog.>) 0 AND NOT attisdropped");
  }
};

TEST_F(PostgresShapeTest, ATableIsMadeWithTheConstantsInItsKey) {
  config_.rows.constants = {{"sid", "eu's"}};
  EXPECT_THAT(loaded(false), HasSubstr("CREATE TABLE"));
  EXPECT_EQ(loaded(), "");
  EXPECT_EQ(columns(), "sid text, id integer, text text");
  EXPECT_EQ(loaded(false), "");
}

TEST_F(PostgresShapeTest, AColumnForAConstantIsAddedToAnEmptyTable) {
  query("CREATE TABLE public.orders (id pg_catalog.int4 PRIMARY KEY, text pg_catalog.text)");
  config_.rows.constants = {{"sid", "eu-1"}};
  EXPECT_EQ(loaded(), "");
  EXPECT_EQ(columns(), "id integer, text text, sid text");
}

TEST_F(PostgresShapeTest, RowsThatAreThereAreNotClaimedUnasked) {
  query(
      "CREATE TABLE public.orders (id pg_catalog.int4 PRIMARY KEY); INSERT INTO public.orders "
      "VALUES (1)");
  config_.rows.constants = {{"sid", "eu-1"}};
  const std::string said = loaded();
  EXPECT_THAT(said, HasSubstr("ADD COLUMN \"sid\" text NOT NULL DEFAULT 'eu-1'"));
  EXPECT_THAT(said, HasSubstr("rows of this source"));
  EXPECT_EQ(columns(), "id integer") << "other columns wait for that, too";
}

TEST_F(PostgresShapeTest, ColumnsOfAHistoryAreAdded) {
  query(
      "CREATE TABLE public.orders (id pg_catalog.int4, text pg_catalog.text); INSERT INTO "
      "public.orders VALUES (1, 'was there'); CREATE INDEX ON public.orders (id)");
  config_.rows.mode = PostgresMode::kHistory;
  EXPECT_THAT(loaded(false), HasSubstr("add_columns: true"));
  EXPECT_EQ(loaded(), "");
  EXPECT_EQ(value("SELECT version_start::pg_catalog.text || version_end || version_deleted FROM "
                  "public.orders"),
            "-infinityinfinityfalse");
}

TEST_F(PostgresShapeTest, ATimeOfDeletesIsAdded) {
  query(
      "CREATE TABLE public.orders (id pg_catalog.int4 PRIMARY KEY, text pg_catalog.text); "
      "INSERT INTO public.orders VALUES (1, 'was there')");
  config_.rows.mode = PostgresMode::kAppend;
  config_.rows.deleted_at = "gone_at";
  EXPECT_EQ(loaded(), "");
  EXPECT_EQ(columns(), "id integer, text text, gone_at timestamp with time zone");
}

TEST_F(PostgresShapeTest, AnIndexThatAllowsOneVersionOnlyIsNamed) {
  query("CREATE TABLE public.orders (id pg_catalog.int4 PRIMARY KEY, text pg_catalog.text)");
  config_.rows.mode = PostgresMode::kHistory;
  EXPECT_THAT(loaded(), HasSubstr("ALTER TABLE \"public\".\"orders\" DROP CONSTRAINT orders_pkey"));
  query(
      "ALTER TABLE public.orders DROP CONSTRAINT orders_pkey; CREATE INDEX ON public.orders (id); "
      "CREATE UNIQUE INDEX \"a b\" ON public.orders (text)");
  EXPECT_THAT(loaded(), HasSubstr("DROP INDEX public.\"a b\""));
  query(
      "DROP INDEX public.\"a b\"; CREATE UNIQUE INDEX ON public.orders (text, version_start); "
      "CREATE UNIQUE INDEX ON public.orders (text) WHERE version_end OPERATOR(pg_catalog.=) "
      "'infinity'");
  EXPECT_EQ(loaded(), "");
}

// A plan is kept while the table grows.
class PostgresPlanTest : public PostgresShapeTest {
 protected:
  // Scans of the table that do not look up a key, in the plans of these changes.
  std::string other_scans(const std::vector<Change>& changes) {
    const Wake wake;
    auto session = open_postgres_session(config_, in_seconds(30), wake);
    if (!session) return session.error().message();
    const auto shape = load_shape(session->connection, kKeyed, {"public", "orders"}, config_.rows,
                                  {true, true}, in_seconds(30));
    if (!shape) return shape.error().message();
    std::string others;
    for (const Change change : changes) {
      const std::string name = "p" + std::to_string(static_cast<int>(change));
      const std::string rows = R"('[{"id":1}]')";
      auto plan =
          session->connection.query("PREPARE " + name + " (pg_catalog.json, pg_catalog.json) AS " +
                                        change_statement(change, *shape) + "; EXPLAIN EXECUTE " +
                                        name + "(" + rows + ", " + rows + "); DEALLOCATE " + name,
                                    in_seconds(30));
      if (!plan) return plan.error().error.message();
      EXPECT_THAT(*plan, testing::Not(IsEmpty()));
      for (size_t i = 0; i < plan->size(); i++) {
        const std::string line = text((*plan)[i], 0);
        if (line.find("Scan") == std::string::npos ||
            line.find(" on orders ") == std::string::npos) {
          continue;
        }
        const std::string next = i + 1 < plan->size() ? text((*plan)[i + 1], 0) : "";
        if (next.find("Cond: (") == std::string::npos || next.find("(id = ") == std::string::npos) {
          others += name + line + "\n" + next + "\n";
        }
      }
    }
    return others;
  }
  std::string other_scans_of_small_tables(const std::vector<Change>& changes,
                                          const std::string& values) {
    const std::string of_empty = other_scans(changes);
    query("INSERT INTO public.orders " + values + "; ANALYZE public.orders");
    return of_empty + other_scans(changes);
  }
};

TEST_F(PostgresPlanTest, ACloneLooksUpRows) {
  EXPECT_EQ(other_scans_of_small_tables({Change::kUpdate, Change::kPatch, Change::kDelete,
                                         Change::kMakeRoom, Change::kMove},
                                        "VALUES (1, 'x')"),
            "");
}

TEST_F(PostgresPlanTest, ACloneWithConstantsLooksUpRows) {
  config_.rows.constants = {{"sid", "eu-1"}};
  EXPECT_EQ(other_scans_of_small_tables({Change::kUpdate, Change::kPatch, Change::kDelete,
                                         Change::kMakeRoom, Change::kMove},
                                        "VALUES ('eu-1', 1, 'x')"),
            "");
}

TEST_F(PostgresPlanTest, ATimeOfDeletesLooksUpRows) {
  config_.rows.mode = PostgresMode::kAppend;
  config_.rows.deleted_at = "gone_at";
  EXPECT_EQ(other_scans_of_small_tables({Change::kMark}, "VALUES (1, 'x')"), "");
}

TEST_F(PostgresPlanTest, AHistoryLooksUpRows) {
  config_.rows.mode = PostgresMode::kHistory;
  EXPECT_EQ(other_scans_of_small_tables({Change::kVersion, Change::kNextVersion, Change::kClose,
                                         Change::kMoveVersion, Change::kMoveNextVersion},
                                        "VALUES (1, 'x', 1, 'epoch', 'infinity', false)"),
            "");
}

}  // namespace
}  // namespace walspout::test
