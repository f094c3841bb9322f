#include "test/sink/contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

namespace walspout::test {

const Table& Events::table() {
  static const Table table{"public", "orders"};
  return table;
}

void Events::add(int key, size_t bytes) {
  Event event;
  event.lsn = Lsn{lsn_};
  event.index = index_++;
  event.table = &table();
  event.op = 'c';
  event.commit_time = 1'700'000'000'123'456;
  event.key_hash = static_cast<uint64_t>(key) * 0x9E3779B97F4A7C15u;
  const std::string key_text = "{\"id\":" + std::to_string(key) + "}";
  std::string document = "{\"id\":\"" + std::string(EventId(event).view()) +
                         "\",\"op\":\"c\",\"schema\":\"public\",\"table\":\"orders\",\"key\":";
  event.key_span = {static_cast<uint32_t>(document.size()), static_cast<uint32_t>(key_text.size())};
  document += key_text + ",\"after\":";
  const size_t row = document.size();
  document += "{\"id\":" + std::to_string(key) + ",\"text\":\"gr\xc3\xbc\xc3\x9f ";
  if (bytes > document.size()) document.append(bytes - document.size(), 'x');
  document += "\"}";
  event.set_row({}, {static_cast<uint32_t>(row), static_cast<uint32_t>(document.size() - row)});
  document += "}";
  add(event, std::move(document));
}

void Events::add(Event event, std::string document) {
  documents_.push_back(std::move(document));
  event.document = documents_.back();
  events_.push_back(event);
}

void Events::add_schema(uint64_t fingerprint) {
  Event event;
  event.op = kSchemaOp;
  event.lsn = Lsn{lsn_};
  event.index = index_;
  event.key_hash = fingerprint;
  event.commit_time = 1'700'000'000'123'456;
  event.table = &table();
  event.barrier = true;
  add(event, "{\"op\":\"s\",\"fingerprint\":" + std::to_string(fingerprint) + "}");
}

void Events::add_with_key(const std::string& key) {
  const std::string begin = "{\"op\":\"c\",\"schema\":\"public\",\"table\":\"orders\",\"key\":";
  Event event;
  event.lsn = Lsn{lsn_};
  event.index = index_++;
  event.table = &table();
  event.op = 'c';
  event.commit_time = 1'700'000'000'123'456;
  event.key_hash = std::hash<std::string>()(key);
  event.key_span = {static_cast<uint32_t>(begin.size()), static_cast<uint32_t>(key.size())};
  add(event, begin + key + "}");
}

std::vector<std::string> Events::documents() const {
  return {documents_.begin(), documents_.end()};
}

TimePoint in_seconds(double seconds) {
  return Clock::now() +
         std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

void expect_halt(Sink& sink, std::span<const Event> events) {
  const TimePoint begin = Clock::now();
  Progress progress(events.size(), [&] { return Clock::now() < begin + Milliseconds(500); });
  const auto delivery = sink.deliver(events, in_seconds(60), progress);
  ASSERT_FALSE(delivery);
  EXPECT_THAT(delivery.error().error.what, testing::HasSubstr("stream"));
  EXPECT_TRUE(progress.is_halted());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(30));
}

bool deliver_all(Sink& sink, std::span<const Event> events, double seconds) {
  const TimePoint end = in_seconds(seconds);
  std::vector<Event> left(events.begin(), events.end());
  std::string last;
  while (!left.empty()) {
    Progress progress(left.size());
    const Delivery delivery = sink.deliver(left, std::min(end, in_seconds(5)), progress);
    if (!delivery && delivery.error().error.kind != ErrorKind::kRetry) {
      ADD_FAILURE() << delivery.error().error.message();
      return false;
    }
    if (!delivery) last = delivery.error().error.message();
    std::vector<Event> rest;
    for (size_t i = 0; i < left.size(); ++i) {
      if (!progress.is_done(i)) rest.push_back(left[i]);
    }
    EXPECT_EQ(delivery.has_value(), rest.empty() || progress.is_paused());
    left = std::move(rest);
    if (Clock::now() > end) break;
    if (!left.empty()) std::this_thread::sleep_for(Milliseconds(20));
  }
  EXPECT_TRUE(left.empty()) << left.size() << " events not delivered in time: " << last;
  return left.empty();
}

namespace {

// Without repeats: each document at its first place.
std::vector<std::string> first_times(const std::vector<std::string>& documents) {
  std::vector<std::string> unique;
  for (const std::string& document : documents) {
    if (std::find(unique.begin(), unique.end(), document) == unique.end()) {
      unique.push_back(document);
    }
  }
  return unique;
}

}  // namespace

void SinkContract::SetUp() {
  harness_ = GetParam()();
  ASSERT_FALSE(HasFailure());
  sink_ = harness_->make_sink();
  ASSERT_NE(sink_, nullptr);
}

TEST_P(SinkContract, SaysWhatAndWhereItIs) {
  EXPECT_FALSE(sink_->type().empty());
  EXPECT_FALSE(sink_->endpoint().empty());
  EXPECT_EQ(sink_->endpoint().find("secret"), std::string_view::npos);
  EXPECT_GT(sink_->limits().events, 0u);
}

TEST_P(SinkContract, ChecksWithoutDelivering) {
  const auto checked = sink_->check(SourceState{Lsn{5000}}, in_seconds(5));
  EXPECT_TRUE(checked) << checked.error().message();
  EXPECT_TRUE(harness_->received().empty());
}

TEST_P(SinkContract, DeliversInOrder) {
  Events events;
  for (int i = 0; i < 300; ++i) events.add(7, static_cast<size_t>(i * 10));
  Progress progress(events.size());
  const auto delivery = sink_->deliver(events.span(), in_seconds(20), progress);
  ASSERT_TRUE(delivery) << delivery.error().error.message();
  EXPECT_EQ(progress.durable_count(), events.size());
  EXPECT_EQ(harness_->received(), events.documents());
}

TEST_P(SinkContract, DeliversOneCallAfterTheOther) {
  Events events;
  for (int i = 0; i < 20; ++i) events.add(i);
  for (size_t i = 0; i < events.size(); ++i) {
    Progress progress(1);
    ASSERT_TRUE(sink_->deliver(events.span().subspan(i, 1), in_seconds(5), progress));
    EXPECT_EQ(progress.durable_count(), 1u);
    // Durable on return: a reader sees the event.
    EXPECT_EQ(harness_->received().size(), i + 1);
  }
  EXPECT_EQ(harness_->received(), events.documents());
}

TEST_P(SinkContract, TakesNothingForNothing) {
  Progress progress(0);
  EXPECT_TRUE(sink_->deliver({}, in_seconds(5), progress));
  EXPECT_TRUE(harness_->received().empty());
  // This needs no receiver.
  harness_->stop_server();
  EXPECT_TRUE(sink_->deliver({}, in_seconds(5), progress));
}

TEST_P(SinkContract, DeliversLargeEvents) {
  Events events;
  events.add(1);
  events.add(1, 100'000);
  events.add(1, harness_->large());
  events.add(1);
  ASSERT_TRUE(deliver_all(*sink_, events.span(), 60));
  EXPECT_TRUE(harness_->received() == events.documents());
}

TEST_P(SinkContract, SurvivesARestartBetweenDeliveries) {
  if (!harness_->has_server()) return;
  Events events;
  for (int i = 0; i < 10; ++i) events.add(7);
  ASSERT_TRUE(deliver_all(*sink_, events.span().first(5)));
  harness_->stop_server();
  harness_->start_server();
  ASSERT_TRUE(deliver_all(*sink_, events.span().subspan(5)));
  EXPECT_EQ(first_times(harness_->received()), events.documents());
}

TEST_P(SinkContract, SaysRetryWhileTheReceiverIsAway) {
  if (!harness_->has_server()) return;
  Events events;
  events.add(7);
  events.add(7);
  harness_->stop_server();
  for (int i = 0; i < 3; ++i) {
    Progress progress(events.size());
    const auto delivery = sink_->deliver(events.span(), in_seconds(5), progress);
    ASSERT_FALSE(delivery);
    EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry) << delivery.error().error.message();
    EXPECT_EQ(progress.durable_count(), 0u);
  }
  if (harness_->checks_server()) {
    const auto checked = sink_->check(SourceState{Lsn{5000}}, in_seconds(5));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().kind, ErrorKind::kRetry) << checked.error().message();
  }
  harness_->start_server();
  ASSERT_TRUE(deliver_all(*sink_, events.span()));
  EXPECT_EQ(first_times(harness_->received()), events.documents());
}

TEST_P(SinkContract, LosesNothingWhenTheReceiverDiesInBetween) {
  if (!harness_->has_server()) return;
  Events events;
  for (int i = 0; i < 3000; ++i) events.add(7, 300);
  // The server belongs to the thread that starts it: start it on this one.
  bool done = true;
  std::thread deliverer([&] {
    for (size_t i = 0; done && i < events.size(); i += 100) {
      done = deliver_all(*sink_, events.span().subspan(i, 100), 60);
    }
  });
  std::this_thread::sleep_for(Milliseconds(15));
  harness_->stop_server();
  harness_->start_server();
  deliverer.join();
  ASSERT_TRUE(done);
  const auto received = harness_->received();
  EXPECT_TRUE(first_times(received) == events.documents()) << received.size();
}

TEST_P(SinkContract, HonoursTheDeadline) {
  if (!harness_->has_server()) return;
  Events events;
  for (int i = 0; i < 50; ++i) events.add(7, 100'000);
  ASSERT_TRUE(deliver_all(*sink_, events.span().first(1)));
  harness_->freeze_server();
  for (int i = 0; i < 2; ++i) {  // connected, and not connected
    Progress progress(events.size() - 1);
    const TimePoint begin = Clock::now();
    const auto delivery = sink_->deliver(events.span().subspan(1), in_seconds(0.5), progress);
    const auto took = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin);
    ASSERT_FALSE(delivery);
    EXPECT_EQ(delivery.error().error.kind, ErrorKind::kRetry) << delivery.error().error.message();
    EXPECT_GE(took.count(), 450);
    EXPECT_LE(took.count(), 4000);  // a busy machine takes longer, a limit of the sink much longer
  }
  harness_->thaw_server();
  ASSERT_TRUE(deliver_all(*sink_, events.span().subspan(1)));
  EXPECT_TRUE(first_times(harness_->received()) == events.documents());
}

TEST_P(SinkContract, ANewSinkGoesOnWhereTheLastOneStopped) {
  Events events;
  for (int i = 0; i < 10; ++i) events.add(7);
  ASSERT_TRUE(deliver_all(*sink_, events.span().first(7)));
  sink_.reset();
  sink_ = harness_->make_sink();
  // As after a crash: events delivered but not confirmed to the database are sent again.
  ASSERT_TRUE(deliver_all(*sink_, events.span().subspan(3)));
  EXPECT_EQ(first_times(harness_->received()), events.documents());
}

}  // namespace walspout::test
