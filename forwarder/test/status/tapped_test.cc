#include "status/tapped.h"

#include <gtest/gtest.h>

#include "status/history.h"
#include "stream/tap.h"

namespace walspout::test {
namespace {

TEST(Tapped, QueriesAreDecoded) {
  EXPECT_EQ(query_value("pipeline=a%20b&table=x%2Ey+z&after=7", "pipeline"), "a b");
  EXPECT_EQ(query_value("pipeline=a%20b&table=x%2Ey+z&after=7", "table"), "x.y z");
  EXPECT_EQ(query_value("a=1&&=&b", "b"), "");
  EXPECT_EQ(query_value("a=%zz%2", "a"), "%zz%2");
  EXPECT_EQ(query_value("", "a"), "");
  EXPECT_EQ(query_value("a==%3D", "a"), "==");
}

TEST(Tapped, OnlyAddressesAndWhatIsConfiguredAreOurs) {
  for (const char* host : {"", "127.0.0.1", "127.0.0.1:8470", "localhost", "localhost:1", "[::1]",
                           "[::1]:8470", "10.0.0.7:80", "db.internal:8470"}) {
    EXPECT_TRUE(is_local_name(host, "db.internal")) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8470", "localhost.evil.example",
                           "127.0.0.1.evil.example", "[evil]:80", "evil:1:2"}) {
    EXPECT_FALSE(is_local_name(host, "127.0.0.1")) << host;
  }
}

TEST(Quantiles, LieInTheirBucket) {
  std::array<uint64_t, LatencyHistogram::kBuckets> counts{};
  EXPECT_EQ(quantile(counts, 0.5), 0);
  counts[3] = 99;  // 500 to 1000 microseconds
  counts[12] = 1;  // up to a second
  EXPECT_GT(quantile(counts, 0.5), 0.0005);
  EXPECT_LT(quantile(counts, 0.5), 0.001);
  EXPECT_LE(quantile(counts, 0.99), 0.001);
  EXPECT_GT(quantile(counts, 0.999), 0.5);
  counts.fill(0);
  counts[0] = 1;  // up to 100 microseconds
  EXPECT_LE(quantile(counts, 1), 0.0001);
  counts.fill(0);
  counts.back() = 1;  // longer than all bounds
  EXPECT_EQ(quantile(counts, 0.5), 5000);
}

TEST(Latencies, AreCountedUpToAndWithABound) {
  LatencyHistogram latency;
  for (const int64_t micros : {-5, 0, 100}) latency.add(micros, 1);
  EXPECT_EQ(latency.count(0), 3u);
  latency.add(101, 2);
  latency.add(250, 3);
  EXPECT_EQ(latency.count(1), 5u);
  EXPECT_EQ(LatencyHistogram::bound_seconds(1), 0.00025);
  latency.add(5'000'000'000, 1);
  EXPECT_EQ(latency.count(LatencyHistogram::kBuckets - 2), 1u);
  latency.add(5'000'000'001, 1);
  EXPECT_EQ(latency.count(LatencyHistogram::kBuckets - 1), 1u);
}

class TapTest : public testing::Test {
 protected:
  TapTest() {
    event_.table = &table_;
    event_.op = 'c';
    event_.document = document_;
    event_.key_span = {7, 8};
    event_.set_row({}, {});
  }
  void see(Tap& tap, size_t count = 1) {
    const std::vector<Event> events(count, event_);
    if (tap.is_watched()) tap.see(events, now_);
  }

  const Table table_{"public", "orders"};
  const std::string document_ = R"({"key":{"id":7},"after":{"id":7}})";
  Event event_;
  TimePoint now_ = Clock::now();
};

TEST_F(TapTest, KeepsNothingUntilItIsWatched) {
  Tap tap(TapLevel::kKeys);
  see(tap);
  EXPECT_TRUE(tap.events(0, "", 10).empty());
  tap.watch(now_);
  see(tap);
  ASSERT_EQ(tap.events(0, "", 10).size(), 1u);
  EXPECT_EQ(tap.events(0, "", 10)[0].key, R"({"id":7})");
  EXPECT_EQ(tap.events(0, "", 10)[0].document, "");
  now_ += Tap::kWatched + std::chrono::seconds(1);
  see(tap);
  EXPECT_FALSE(tap.is_watched()) << "it was left alone for long";
  EXPECT_EQ(tap.events(0, "", 10).size(), 1u);
}

TEST_F(TapTest, IsOffByChoice) {
  Tap tap(TapLevel::kOff);
  tap.watch(now_);
  EXPECT_FALSE(tap.is_watched());
}

TEST_F(TapTest, KeepsTheLastOnesAndNothingLong) {
  Tap tap(TapLevel::kRows);
  tap.watch(now_);
  see(tap, 1000);
  EXPECT_EQ(tap.events(0, "", 1000).size(), Tap::kOfAChunk);
  for (int i = 0; i < 100; ++i) see(tap, 5);
  const auto kept = tap.events(0, "", 1000);
  EXPECT_EQ(kept.size(), Tap::kKept);
  EXPECT_EQ(kept.back().number, Tap::kOfAChunk + 500);
  EXPECT_EQ(kept.back().document, document_);
  EXPECT_EQ(tap.events(kept.back().number - 3, "", 1000).size(), 3u);
  EXPECT_TRUE(tap.events(0, "people", 1000).empty());
  EXPECT_EQ(tap.events(0, "lic.ord", 7).size(), 7u);
  const std::string wide(Tap::kMostOfDocument + 1, 'x');
  event_.document = wide;
  event_.key_span = {0, static_cast<uint32_t>(Tap::kMostOfKey + 1)};
  see(tap);
  const TappedEvent last = tap.events(0, "", 1).back();
  EXPECT_EQ(last.document + last.key, "");
  EXPECT_EQ(last.bytes, wide.size());
}

}  // namespace
}  // namespace walspout::test
