#include "source/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "postgres/place.h"
#include "postgres/remedy.h"
#include "postgres/session.h"
#include "source/columns.h"
#include "source/lost.h"
#include "test/sink/names.h"

namespace walspout {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Dsn, IsRefusedWithoutRepeatingIt) {
  for (const char* good : {"", "postgresql:///shop", "postgresql://u:p%40x@h:1,h2:2/db",
                           "host=/run port=1 user=u@v", "postgresql://u@%2Frun%2Fpg:5433/db"}) {
    EXPECT_TRUE(Connection::check_dsn(Secret(good))) << good;
  }
  for (const char* bad :
       {"postgresql://u:s3cr@et@h/db", "postgresql://u:s3cr/et@h/db", "postgresql://u:s3cr%zz@h/db",
        "host=h password=x s3cr et", "host=h port=s3cr"}) {
    Result<void> checked = Connection::check_dsn(Secret(bad));
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
    EXPECT_EQ(checked.error().message().find("s3cr"), std::string::npos) << bad;
  }
}

// libpq would wait for the first server until the time is over.
TEST(Dsn, EachAddressOfANameIsTried) {
  const test::Listener listener;
  const test::SilentPort silent("127.0.0.2", listener.port());
  test::set_addresses("several.test", {"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  const std::string port = std::to_string(listener.port());
  for (const std::string& dsn : {"host=several.test port=" + port,
                                 "postgresql://several.test:" + port + "/db?sslmode=disable"}) {
    Wake wake;
    const auto opened =
        Connection::open(Secret(dsn), Connection::Mode::kOrdinary,
                         Clock::now() + Milliseconds(1'500), wake, [] { return false; });
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message(),
                AllOf(HasSubstr("no answer in time; "), HasSubstr("Connection refused")));
  }
}

TEST(Dsn, ASilentNameServerIsWaitedForUntilTheDeadline) {
  const test::SilentName silent("silent.test");
  const test::Listener listener;
  const std::string port = std::to_string(listener.port());
  for (const std::string host : {"silent.test", "silent.test,silent.test"}) {
    Wake wake;
    const auto begin = Clock::now();
    const auto opened =
        Connection::open(Secret("host=" + host + " port=" + port), Connection::Mode::kOrdinary,
                         begin + Milliseconds(300), wake, [] { return false; });
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, ErrorKind::kRetry);
    EXPECT_THAT(opened.error().message(), HasSubstr("no name server has answered in time"));
  }
}

TEST(Place, IsTheSameForDsnsOfOneServer) {
  const auto same = [](const char* a, const char* b) {
    return Place::of(Secret(a)).is_server_of(Place::of(Secret(b)));
  };
  EXPECT_TRUE(same("host=H.test", "postgresql://me:x@h.test.:5432/db"));
  EXPECT_TRUE(same("host=a,b", "host=b,a port=5432,5432 user=x"));
  EXPECT_TRUE(same("host=localhost", "hostaddr=127.0.0.1"));
  EXPECT_TRUE(same("host=::1", "host=0:0:0:0:0:0:0:1"));
  EXPECT_TRUE(same("", "port=5432"));
  EXPECT_TRUE(same("host=/tmp", "host=/tmp/./"));
  EXPECT_FALSE(same("host=a", "host=b"));
  EXPECT_FALSE(same("host=a", "host=a port=5433"));
  EXPECT_FALSE(same("host=a,b", "host=a"));
  EXPECT_FALSE(same("host=a,b", "host=a,b target_session_attrs=standby"));
  EXPECT_FALSE(same("host=/tmp", "host=localhost"));
  EXPECT_EQ(Place::of(Secret("host=b,a port=1,2")).servers,
            (std::vector<std::string>{"a:2", "b:1"}));
}

TEST(Dsn, NamesADatabaseAsLibpqDoes) {
  unsetenv("PGDATABASE");
  EXPECT_EQ(Place::of(Secret("postgresql://u@h/db")).database, "db");
  EXPECT_EQ(Place::of(Secret("host=h,h2 hostaddr=192.0.2.1,192.0.2.2 dbname='a b'")).database,
            "a b");
  EXPECT_EQ(Place::of(Secret("host=h user=me")).database, "me");
  setenv("PGDATABASE", "shop", 1);
  EXPECT_EQ(Place::of(Secret("host=h user=me sslmode=disable")).database, "shop");
  EXPECT_EQ(Place::of(Secret("host=h dbname=db")).database, "db");
  unsetenv("PGDATABASE");
}

TEST(Remedy, IsAStatementForWhatIsKnown) {
  for (const char* said : {"logical decoding requires wal_level >= logical",  // up to PostgreSQL 16
                           "logical decoding requires \"wal_level\" >= \"logical\"",  // 17, 18
                           "replication slots can only be used if \"wal_level\" >= \"replica\""}) {
    EXPECT_THAT(remedy(said), HasSubstr(": ALTER SYSTEM SET wal_level = logical")) << said;
  }
  for (const char* said :
       {"logical decoding on standby requires wal_level >= logical on the primary",
        "logical decoding on standby requires \"effective_wal_level\" >= \"logical\" on the "
        "primary"}) {
    EXPECT_THAT(remedy(said), HasSubstr("on the primary: ALTER SYSTEM")) << said;
  }
  EXPECT_THAT(remedy("could not access file \"walspout\": No such file or directory"),
              HasSubstr("make install"));
  for (const char* said : {"permission denied to use replication slots",
                           "must be superuser or replication role to use replication slots"}) {
    EXPECT_THAT(remedy(said), HasSubstr("RESET role")) << said;
  }
  EXPECT_THAT(remedy("invalid value for walspout option \"proto_version\": \"2\" (This version of "
                     "walspout knows 1 only.)"),
              HasSubstr("upgrade the walspout plugin on the server"));
  // Plugins with these frames report which program is too old.
  EXPECT_EQ(
      remedy("invalid value for walspout option \"proto_version\": \"2\" (This walspout plugin "
             "writes version 3 of the frames. Upgrade the program that reads them.)"),
      "");
  EXPECT_EQ(remedy("division by zero"), "");
}

TEST(Remedy, IsTheLineThatTheServerLacks) {
  EXPECT_THAT(
      remedy("FATAL:  no pg_hba.conf entry for host \"10.0.0.7\", user \"reader\", database "
             "\"shop\", no encryption"),
      HasSubstr("`host shop reader ADDRESS/32 scram-sha-256`"));
  EXPECT_THAT(remedy("no pg_hba.conf entry for host \"[local]\", user \"u\", database \"d\""),
              HasSubstr("`local d u scram-sha-256`"));
}

TEST(Remedy, KnowsTheWordsOfNewServers) {
  for (const char* said :
       {"number of requested standby connections exceeds max_wal_senders (currently 1)",
        "number of requested standby connections exceeds \"max_wal_senders\" "
        "(currently 1)"}) {
    EXPECT_THAT(remedy(said), HasSubstr("raise max_wal_senders")) << said;
  }
}

TEST(Remedy, NamesThePooler) {
  EXPECT_THAT(remedy("FATAL:  unsupported startup parameter: replication"),
              AllOf(HasSubstr("pooler"), HasSubstr("`dsn`")));
}

TEST(LostSlot, HasTheRemedyOfItsCause) {
  EXPECT_THAT(lost_slot("", "").remedy, HasSubstr("max_slot_wal_keep_size"));
  EXPECT_THAT(lost_slot("", "false").remedy, HasSubstr("max_slot_wal_keep_size"));
  EXPECT_THAT(lost_slot("wal_removed", "false").remedy, HasSubstr("max_slot_wal_keep_size"));
  EXPECT_THAT(lost_slot("", "true").remedy,
              AllOf(HasSubstr("hot_standby_feedback"), HasSubstr("wal_level")));
  EXPECT_THAT(lost_slot("rows_removed", "true").remedy,
              AllOf(HasSubstr("hot_standby_feedback"), Not(HasSubstr("wal_level"))));
  EXPECT_THAT(lost_slot("wal_level_insufficient", "true").remedy, HasSubstr("wal_level = logical"));
  EXPECT_THAT(lost_slot("idle_timeout", "false").remedy,
              HasSubstr("idle_replication_slot_timeout"));
  EXPECT_THAT(lost_slot("of_a_later_version", "").why, HasSubstr("of_a_later_version"));
  for (const char* reason : {"rows_removed", "wal_level_insufficient", "idle_timeout", "other"}) {
    const LostSlot lost = lost_slot(reason, "");
    EXPECT_THAT(lost.why + lost.remedy, Not(HasSubstr("max_slot_wal_keep_size"))) << reason;
  }
}

TEST(StartReplication, NamesFormatAndVersion) {
  SourceConfig config;
  config.slot = "s";
  EXPECT_EQ(start_replication(config, Lsn{0x100000002}),
            "START_REPLICATION SLOT \"s\" LOGICAL 1/2 (\"format\" 'frames', \"proto_version\" '2', "
            "\"batch_bytes\" '65536B')");
}

TEST(StartReplication, QuotesWhatUsersWrite) {
  SourceConfig config;
  config.slot = "s";
  config.publications = {"Mixed", "o'brien", "with\"quote"};
  config.messages = false;
  config.message_prefixes = {"a,b", "Q\"", " sp ", "o'\\"};
  config.origin = "none";
  config.omit = {"ts", "xid"};
  config.max_value_bytes = 100;
  config.max_depth = 0;
  config.numbers = "safe";
  config.user_casts = true;
  std::string statement = start_replication(config, Lsn{});
  EXPECT_THAT(statement, HasSubstr("\"publications\" '\"Mixed\",\"o''brien\",\"with\"\"quote\"'"));
  EXPECT_THAT(statement, HasSubstr("\"messages\" 'false'"));
  EXPECT_THAT(statement, HasSubstr("\"message_prefixes\" '\"a,b\",\"Q\"\"\",\" sp \",\"o''\\\"'"));
  EXPECT_THAT(statement, HasSubstr("\"origin\" 'none'"));
  EXPECT_THAT(statement, HasSubstr("\"omit\" 'ts,xid'"));
  EXPECT_THAT(statement, HasSubstr("\"max_value_bytes\" '100B'"));
  EXPECT_THAT(statement, HasSubstr("\"max_depth\" '0'"));
  EXPECT_THAT(statement, HasSubstr("\"numbers\" 'safe'"));
  EXPECT_THAT(statement, HasSubstr("\"user_casts\" 'true'"));
}

TEST(StartReplication, QuotesRulesForColumns) {
  SourceConfig config;
  config.slot = "s";
  config.columns = {
      {"public.a:b;c", {{"x, y", "mask \"a, b\" as \"n;m\""}, {"*,", "omit"}}},
      {"\"odd:\".*", {{"it's", "hash"}, {"\"a\",b*\"c\"\"d*\"", "omit"}, {"a\"b c\"d", "omit"}}}};
  config.set = {{"sid", "eu-1"}, {"a\"b", "c,d=e"}};
  config.hash_key = Secret("hidden");
  const std::string statement = start_replication(config, Lsn{});
  EXPECT_THAT(statement,
              HasSubstr(R"("columns" 'public.a":b;c": x", y" mask "a, b" as "n;m", *"," omit; )"
                        R"("odd:".*: it''s hash, "a,b"*"c""d*" omit, a"b cd" omit')"));
  EXPECT_THAT(statement, HasSubstr(R"("set" '"sid"="eu-1","a""b"="c,d=e"')"));
  EXPECT_THAT(statement, Not(HasSubstr("hidden")));
}

TEST(RenderingDsn, HasTheKeyOfHashesBesideOtherSettings) {
  SourceConfig config;
  config.dsn = Secret("host=h dbname='it\\'s' options='-c a.b=c'");
  EXPECT_EQ(rendering_dsn(config).reveal(), config.dsn.reveal());
  config.hash_key = Secret("k e\\y'");
  EXPECT_EQ(
      rendering_dsn(config).reveal(),
      "dbname='it\\'s' host='h' options='-c a.b=c -c walspout.hash_key=k\\\\ e\\\\\\\\y\\'' ");
  config.dsn = Secret("postgresql://u:p%40@h/d");
  const std::string dsn = rendering_dsn(config).reveal();
  EXPECT_THAT(dsn, HasSubstr("password='p@'"));
  EXPECT_THAT(dsn, HasSubstr("options='-c walspout.hash_key="));
}

TEST(ColumnRules, SayWhatIsWrong) {
  const auto problem = [](const std::string& table, const std::string& column,
                          const std::string& change) {
    return column_rules_problem({{table, {{column, change}}}});
  };
  for (const char* good : {"omit", "hash", "hash as x", "as \"a b\"", "mask \"\"", "keep 0",
                           "truncate 100 as y", "mask \"a, b\""}) {
    EXPECT_EQ(problem("public.*", "c*", good), "") << good;
  }
  for (const char* bad : {"", "remove", "omit as x", "mask", "keep", "keep x", "keep -1",
                          "truncate 9999999999", "hash as", "as", "as \"\"", "hash hash",
                          "omit, hash", "mask a; b", "mask \"a", "hash as x y"}) {
    EXPECT_NE(problem("public.*", "c*", bad), "") << bad;
  }
  EXPECT_THAT(problem("nothing", "c", "omit"), HasSubstr("the schema and a dot are missing"));
  EXPECT_THAT(problem("a.b", "", "omit"), HasSubstr("without a name"));
  EXPECT_THAT(problem("a.b", "\"c", "omit"), HasSubstr("double quote"));
  EXPECT_THAT(column_rules_problem({}), HasSubstr("empty"));
  EXPECT_THAT(constants_problem({{"", "x"}}), HasSubstr("empty"));
}

TEST(Quote, ALiteralIsTheSameWhateverABackslashMeans) {
  EXPECT_EQ(Connection::quote_literal("it's"), "'it''s'");
  EXPECT_EQ(Connection::quote_literal("a\\'b"), "E'a\\\\''b'");
  EXPECT_EQ(Connection::quote_option("a\\'b"), "'a\\''b'");
}

TEST(Session, IsSafeBeforeItsFirstQuery) {
  const std::vector<std::string> statements = session_statements(180000);
  ASSERT_EQ(statements.size(), 4u);
  EXPECT_EQ(statements[0], "SET transaction_timeout = '0'");
  EXPECT_EQ(statements[1], "SET statement_timeout = '0'");
  EXPECT_EQ(statements[2], "SET default_transaction_deferrable = 'off'");
  EXPECT_THAT(statements[3],
              StartsWith("SELECT pg_catalog.set_config('search_path', '', false), "));
  for (const char* timeout :
       {"lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"}) {
    EXPECT_THAT(statements[3],
                HasSubstr("pg_catalog.set_config('" + std::string(timeout) + "', '0', false)"));
  }
  EXPECT_EQ(session_statements(160000).size(), 3u);
  EXPECT_THAT(session_statements(130000).back(), Not(HasSubstr("idle_session_timeout")));
}

TEST(Session, OfAPoolerIsLeftAsItWas) {
  const std::string prefix = session_prefix(180000);
  EXPECT_THAT(prefix, StartsWith("SET LOCAL transaction_timeout = '0'; "
                                 "SET LOCAL statement_timeout = '0'; "
                                 "SET LOCAL search_path = ''; "));
  for (size_t at = 0; at < prefix.size(); at = prefix.find("; ", at) + 2) {
    EXPECT_THAT(prefix.substr(at), AnyOf(StartsWith("SET LOCAL "), StartsWith("SET TRANSACTION ")));
  }
  EXPECT_THAT(session_prefix(130000),
              AllOf(Not(HasSubstr("transaction_timeout = '0'; SET LOCAL statement")),
                    Not(HasSubstr("idle_session_timeout"))));
}

TEST(Connection, AWrongDsnIsSaidWithoutShowingIt) {
  Result<void> wrong = Connection::check_dsn(Secret("hunter2 = x y"));
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().what, testing::Not(HasSubstr("hunter2")));
  EXPECT_TRUE(Connection::check_dsn(Secret("postgresql://u@h/db")));
}

TEST(Connection, AnInterruptEndsAnAttempt) {
  Wake wake;
  auto none = Connection::open(Secret("host=/nonexistent"), Connection::Mode::kReplication,
                               Clock::now() + std::chrono::seconds(5), wake, [] { return true; });
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kRetry);
}

}  // namespace
}  // namespace walspout
