#include "stream/fence.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "pipeline/deliver.h"
#include "stream/queue.h"
#include "test/source/messages.h"

namespace walspout {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLong = seconds(1'000);

// The two ends of a connection.
struct Ends {
  Ends() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0); }
  ~Ends() {
    close(fds[0]);
    close_server();
  }
  void close_server() {
    if (fds[1] >= 0) close(fds[1]);
    fds[1] = -1;
  }
  int fds[2];
};

TimePoint at(int ms) {
  return TimePoint(milliseconds(100'000 + ms));
}

TEST(Lease, EndsBeforeTheServerGivesUsUp) {
  EXPECT_EQ(Lease::length_for(seconds(60)), seconds(1));
  EXPECT_EQ(Lease::length_for(milliseconds(300)), milliseconds(100));
  EXPECT_EQ(Lease::length_for(Duration::zero()), seconds(1));
  Lease lease{milliseconds(1'000)};
  EXPECT_TRUE(lease.is_new(at(0), at(1)));
  EXPECT_FALSE(lease.is_new(at(0), at(10)));
  EXPECT_FALSE(lease.is_to_renew(at(0), at(400)));
  EXPECT_TRUE(lease.is_to_renew(at(0), at(600)));
  EXPECT_FALSE(lease.is_over(at(0), at(1'000)));
  EXPECT_TRUE(lease.is_over(at(0), at(1'001)));
}

TEST(Lease, KnowsThatTheProcessWasFrozen) {
  EXPECT_FALSE(Lease::was_frozen(at(0), at(2'000)));
  EXPECT_TRUE(Lease::was_frozen(at(0), at(3'000)));
}

TEST(Fence, AfterAFreezeOnlyAProofCounts) {
  int woken = 0;
  Fence fence([&] { woken++; });
  Ends ends;
  fence.open(ends.fds[0], kLong);
  std::this_thread::sleep_for(milliseconds(2'700));
  fence.heard();
  EXPECT_TRUE(fence.is_in_doubt());
  EXPECT_FALSE(fence.passable());
  EXPECT_TRUE(fence.wanted());
  EXPECT_EQ(woken, 1);
  fence.heard(true);
  EXPECT_TRUE(fence.passable());
  EXPECT_FALSE(fence.wanted());
}

TEST(Fence, LetsAllPassUntilItIsClosed) {
  Fence fence([] {});
  EXPECT_TRUE(fence.passable());
  EXPECT_TRUE(fence.wait(Duration::zero()));
  fence.close();
  EXPECT_FALSE(fence.passable());
  EXPECT_FALSE(fence.wait(Duration::zero()));
}

TEST(Fence, IsOpenWhileTheConnectionIs) {
  Fence fence([] {});
  Ends ends;
  fence.open(ends.fds[0], kLong);
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_TRUE(fence.passable());
  ends.close_server();
  EXPECT_FALSE(fence.passable());
  Ends other;
  fence.open(other.fds[0], kLong);
  EXPECT_TRUE(fence.passable());
}

TEST(Fence, SeesTheEndBehindWhatWasNotRead) {
  Fence fence([] {});
  Ends ends;
  fence.open(ends.fds[0], kLong);
  ASSERT_EQ(write(ends.fds[1], "unread", 6), 6);
  std::this_thread::sleep_for(milliseconds(5));
  EXPECT_TRUE(fence.passable());
  ends.close_server();
  EXPECT_FALSE(fence.passable());
}

TEST(Fence, WantsASignOfLifeAndWaitsForIt) {
  std::atomic<int> woken{0};
  Fence fence([&] { woken++; });
  Ends ends;
  fence.open(ends.fds[0], milliseconds(20));
  EXPECT_FALSE(fence.wanted());
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_FALSE(fence.passable());
  EXPECT_TRUE(fence.wanted());
  EXPECT_EQ(woken, 1);
  std::atomic<bool> over{false};
  // A sign of life may be too old when the waiting thread runs again. Then the thread wants another
  // one.
  std::thread source([&] {
    while (!over) {
      std::this_thread::sleep_for(milliseconds(20));
      if (fence.wanted()) fence.heard(true);
    }
  });
  EXPECT_TRUE(fence.wait(seconds(30)));
  over = true;
  source.join();
}

TEST(Fence, TheEndOfTheQueueEndsAWait) {
  EventQueue queue(1, 1000, [] {});
  queue.fence().close();
  std::thread closer([&] {
    std::this_thread::sleep_for(milliseconds(20));
    queue.close();
  });
  const TimePoint start = Clock::now();
  EXPECT_FALSE(queue.fence().wait(seconds(30)));
  EXPECT_LT(Clock::now() - start, seconds(10));
  closer.join();
}

TEST(Fence, AClosedOneLetsABatchGoOnNoFurther) {
  EventQueue queue(1, 1000, [] {});
  queue.push(test::transaction(10, 3));
  std::vector<Event> batch;
  queue.take(0, {}, Duration::zero(), batch);
  EXPECT_TRUE(queue.may_deliver(0));
  queue.fence().close();
  EXPECT_FALSE(queue.may_deliver(0));
}

class NoTime : public Timekeeper {
 public:
  void sleep(Duration) override { std::this_thread::yield(); }
};

// Takes events one by one, and asks the fence before each.
class CarefulSink : public Sink {
 public:
  std::string_view type() const override { return "careful"; }
  std::string_view endpoint() const override { return "nowhere"; }
  Result<void> check(const SourceState&, TimePoint) override { return {}; }
  void idle() override { idles++; }
  void let_go() override {
    let_go_of++;
    idle();
  }
  Delivery deliver(std::span<const Event> events, TimePoint, Progress& progress) override {
    for (size_t i = 0; i < events.size(); i++) {
      if (!progress.may_continue()) return halted();
      before_event(taken);
      progress.durable(i);
      taken++;
      last = events[i].lsn.value;
    }
    return {};
  }

  std::function<void(int)> before_event = [](int) {};
  std::atomic<int> taken{0};
  std::atomic<int> idles{0};
  std::atomic<int> let_go_of{0};
  std::atomic<uint64_t> last{0};
};

class FencedTest : public testing::Test {
 protected:
  FencedTest() { queue.fence().open(ends.fds[0], kLong); }
  ~FencedTest() override {
    queue.close();
    if (thread.joinable()) thread.join();
  }
  void start() {
    thread = std::thread([this] { EXPECT_TRUE(deliverer.run()); });
  }
  void wait(const std::function<bool()>& condition) {
    const TimePoint until = Clock::now() + seconds(30);
    while (!condition() && Clock::now() < until) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_TRUE(condition());
  }
  void push(uint64_t lsn, size_t events) {
    queue.push(test::transaction(lsn, events));
    queue.announce();
  }

  Ends ends;
  EventQueue queue{1, 1 << 20, [] {}};
  CarefulSink sink;
  SinkStats stats;
  NoTime time;
  Deliverer deliverer{sink,    queue, 0,    DeliverConfig{"p", "s", {}, seconds(60), 1},
                      nullptr, stats, time, [] { return SourceState{}; }};
  std::thread thread;
};

TEST_F(FencedTest, ABatchIsHaltedAndGoesOnWhenTheSlotIsOursAgain) {
  sink.before_event = [this](int number) {
    if (number == 1) queue.fence().close();
  };
  push(10, 5);
  start();
  wait([&] { return sink.idles > 0; });  // heartbeats continue meanwhile
  EXPECT_GT(sink.let_go_of, 0) << "what is in flight may be another process's now";
  EXPECT_EQ(sink.taken, 2);
  EXPECT_EQ(stats.retries, 0u) << "it is not the receiver's fault";
  queue.fence().open(ends.fds[0], kLong);
  wait([&] { return queue.handled() == 5; });
  EXPECT_EQ(sink.taken, 5);
}

// Its connection may have been cut long ago.
TEST_F(FencedTest, WhatIsInFlightIsLetGoWhileTheServerIsSilent) {
  queue.fence().open(ends.fds[0], milliseconds(1));
  std::this_thread::sleep_for(milliseconds(20));
  push(10, 5);
  start();
  wait([&] { return sink.let_go_of > 0; });
  EXPECT_EQ(sink.taken, 0);
  queue.fence().open(ends.fds[0], kLong);
  wait([&] { return queue.handled() == 5; });
}

TEST_F(FencedTest, WhatAnotherOneHasDeliveredIsNotDelivered) {
  sink.before_event = [this](int number) {
    if (number == 1) queue.fence().close();
  };
  push(10, 5);
  push(20, 5);
  start();
  wait([&] { return sink.idles > 0; });
  queue.discard();
  queue.fence().open(ends.fds[0], kLong);
  push(30, 1);
  wait([&] { return queue.handled() == 11; });
  EXPECT_EQ(sink.taken, 3);
  EXPECT_EQ(sink.last, 30u);
}

TEST_F(FencedTest, ABatchThatWasDiscardedMeanwhileGoesOnNoFurther) {
  sink.before_event = [this](int number) {
    if (number != 1) return;
    queue.fence().close();
    queue.discard();
    queue.fence().open(ends.fds[0], kLong);
  };
  push(10, 5);
  start();
  wait([&] { return queue.handled() == 5; });
  EXPECT_EQ(sink.taken, 2);
  EXPECT_GT(sink.let_go_of, 0);
}

}  // namespace
}  // namespace walspout
