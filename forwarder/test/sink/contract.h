// Tests of the contract of every sink: one suite, run for each sink against its real receiver.
//
// A sink's test file describes its receiver as a Harness and instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Redis, SinkContract, testing::Values(&make_redis_harness));
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "stream/sink.h"

namespace walspout::test {

// A receiver and sinks that deliver to it.
class Harness {
 public:
  virtual ~Harness() = default;

  // Makes a sink that is not connected yet. May be called several times.
  virtual std::unique_ptr<Sink> make_sink() = 0;

  // The receiver's documents in the order of arrival, with repeats. After a call has returned,
  // these are the durable ones.
  virtual std::vector<std::string> received() = 0;

  // For a receiver that is a process: it can die and return with its data.
  virtual bool has_server() const { return true; }
  // Whether check() contacts the process. Otherwise check() does not detect that the process is
  // gone.
  virtual bool checks_server() const { return true; }
  virtual void start_server() {}
  virtual void stop_server() {}
  // Stops answering without closing anything.
  virtual void freeze_server() {}
  virtual void thaw_server() {}

  // The largest event to try, in bytes.
  virtual size_t large() const { return 20u << 20; }
};

using MakeHarness = std::unique_ptr<Harness> (*)();

// Events to deliver. Owns their bytes.
class Events {
 public:
  explicit Events(uint64_t lsn = 1000) : lsn_(lsn) {}

  // An insert into public.orders with this key and a document of at least that many bytes.
  void add(int key, size_t bytes = 0);
  void add(Event event, std::string document);
  // The schema of the next event's table.
  void add_schema(uint64_t fingerprint);
  // The same with this JSON object as the key.
  void add_with_key(const std::string& key);
  // Begins the next transaction.
  void next_transaction() { lsn_ += 100, index_ = 0; }

  std::span<const Event> span() const { return events_; }
  std::vector<std::string> documents() const;
  size_t size() const { return events_.size(); }

  static const Table& table();

 private:
  uint64_t lsn_;
  uint64_t index_ = 0;
  std::vector<Event> events_;
  std::deque<std::string> documents_;
};

TimePoint in_seconds(double seconds);

// Delivers like the forwarder: repeats events that are not done, until all are done or time is
// over. False, with a test failure: not all are done.
[[nodiscard]] bool deliver_all(Sink& sink, std::span<const Event> events, double seconds = 30);

// Delivers to a receiver that does not read, while the stream from the server is lost after a
// moment: the call ends soon.
void expect_halt(Sink& sink, std::span<const Event> events);

class SinkContract : public testing::TestWithParam<MakeHarness> {
 protected:
  void SetUp() override;

  std::unique_ptr<Harness> harness_;
  std::unique_ptr<Sink> sink_;
};

}  // namespace walspout::test
