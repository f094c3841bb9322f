#include "sink/null/null.h"

#include "test/sink/contract.h"

namespace walspout::test {
namespace {

TEST(NullSinkTest, CountsAndDiscards) {
  NullSink sink((NullConfig()));
  Events events;
  events.add(1);
  events.add(2, 1000);
  EXPECT_TRUE(sink.check({}, in_seconds(1)));
  Progress progress(2);
  EXPECT_TRUE(sink.deliver(events.span(), in_seconds(1), progress));
  EXPECT_EQ(progress.durable_count(), 2u);
  EXPECT_EQ(sink.events(), 2u);
  EXPECT_EQ(sink.bytes(), events.documents()[0].size() + events.documents()[1].size());
}

}  // namespace
}  // namespace walspout::test
