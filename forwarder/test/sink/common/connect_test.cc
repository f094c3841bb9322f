#include "sink/common/connect.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "test/sink/contract.h"
#include "test/sink/names.h"
#include "test/sink/server_process.h"

namespace walspout::test {
namespace {

using testing::HasSubstr;

TEST(ConnectTest, EachAddressIsTriedWithItsShareOfTheTime) {
  const int port = free_port();
  const SilentPort silent("127.0.0.2", port);
  const SilentPort too("127.0.0.4", port);
  set_addresses("several.test", {"127.0.0.2", "127.0.0.3", "127.0.0.4"});
  const auto begin = Clock::now();
  const auto none = connect_to("several.test", port, in_seconds(0.6));
  ASSERT_FALSE(none);
  EXPECT_GE(Clock::now() - begin, Milliseconds(500));
  EXPECT_EQ(none.error().kind, ErrorKind::kRetry);
  EXPECT_THAT(none.error().what, HasSubstr("127.0.0.2: no answer in time"));
  EXPECT_THAT(none.error().what, HasSubstr("127.0.0.3: Connection refused"));
  EXPECT_THAT(none.error().what, HasSubstr("127.0.0.4: no answer in time"));
}

TEST(ConnectTest, TheAddressThatAnswersIsTaken) {
  const Listener listener;
  const SilentPort silent("127.0.0.2", listener.port());
  set_addresses("several.test", {"127.0.0.2", "127.0.0.1"});
  const auto fd = connect_to("several.test", listener.port(), in_seconds(3));
  ASSERT_TRUE(fd) << fd.error().message();
  close(*fd);
}

TEST(ConnectTest, WhatIsWrongWithOneAddressNamesNoOther) {
  EXPECT_EQ(connect_to("127.0.0.1", free_port(), in_seconds(1)).error().what, "Connection refused");
  set_addresses("nothing.test", {});
  EXPECT_THAT(connect_to("nothing.test", 1, in_seconds(1)).error().what, HasSubstr("nothing.test"));
}

TEST(ConnectTest, ANameServerThatIsSilentIsWaitedForUntilTheDeadline) {
  const Listener listener;
  set_addresses("silent.test", {"127.0.0.1"});
  {
    const SilentName silent("silent.test");
    for (int i = 0; i < 3; ++i) {
      const auto begin = Clock::now();
      const auto none = connect_to("silent.test", listener.port(), in_seconds(0.2));
      ASSERT_FALSE(none);
      EXPECT_GE(Clock::now() - begin, Milliseconds(200));
      EXPECT_EQ(none.error().kind, ErrorKind::kRetry);
      EXPECT_THAT(none.error().what, HasSubstr("no name server has answered in time"));
    }
    EXPECT_EQ(silent.asked(), 1) << "threads pile up";
  }
  const auto fd = connect_to("silent.test", listener.port(), in_seconds(20));
  ASSERT_TRUE(fd) << fd.error().message();
  close(*fd);
}

}  // namespace
}  // namespace walspout::test
