#include "source/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "source/remedy.h"

namespace walspout {
namespace {

using testing::HasSubstr;

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

TEST(Remedy, IsAStatementForWhatIsKnown) {
  EXPECT_THAT(remedy("logical decoding requires wal_level >= logical"),
              HasSubstr("ALTER SYSTEM SET wal_level = logical"));
  EXPECT_THAT(remedy("could not access file \"walspout\": No such file or directory"),
              HasSubstr("make install"));
  EXPECT_EQ(remedy("division by zero"), "");
}

TEST(StartReplication, NamesFormatAndVersion) {
  SourceConfig config;
  config.slot = "s";
  EXPECT_EQ(start_replication(config, Lsn{0x100000002}),
            "START_REPLICATION SLOT \"s\" LOGICAL 1/2 (\"format\" 'frames', \"proto_version\" '1', "
            "\"batch_bytes\" '65536B')");
}

TEST(StartReplication, QuotesWhatUsersWrite) {
  SourceConfig config;
  config.slot = "s";
  config.publications = {"Mixed", "o'brien", "with\"quote"};
  config.messages = false;
  config.message_prefixes = {"a", "b"};
  config.origin = "none";
  config.omit = {"ts", "xid"};
  config.max_value_bytes = 100;
  config.user_casts = true;
  std::string statement = start_replication(config, Lsn{});
  EXPECT_THAT(statement, HasSubstr("\"publications\" '\"Mixed\",\"o''brien\",\"with\"\"quote\"'"));
  EXPECT_THAT(statement, HasSubstr("\"messages\" 'false'"));
  EXPECT_THAT(statement, HasSubstr("\"message_prefixes\" 'a,b'"));
  EXPECT_THAT(statement, HasSubstr("\"origin\" 'none'"));
  EXPECT_THAT(statement, HasSubstr("\"omit\" 'ts,xid'"));
  EXPECT_THAT(statement, HasSubstr("\"max_value_bytes\" '100B'"));
  EXPECT_THAT(statement, HasSubstr("\"user_casts\" 'true'"));
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
