// The one core of every sink with several messages in flight.
//
// A client knows one library and one receiver: it takes an event, and later reports a verdict. The
// window does the rest for all sinks. It limits the messages in flight, keeps the order of durable
// events, and handles failures, deadlines and the next call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sink/common/flight.h"
#include "stream/sink.h"

namespace walspout {

// The connection, or what the client has instead, can no longer be used.
struct Broken {
  Error error;
  uint64_t number = 0;  // of the message that broke it; 0: unknown, or none
  size_t size = 1;      // error of scope batch: messages that may be at fault, from this one on
  bool stays = false;   // not broken: messages stay in flight; stop waiting now
};

// Owns connections and takes messages. All functions are called on the sink's thread.
class WindowClient {
 public:
  enum class Connection {
    kSame,  // what is in flight stays in flight
    kNew,   // nothing is in flight on it
  };

  virtual ~WindowClient() = default;

  // Connects, if there is no connection.
  [[nodiscard]] virtual Result<Connection> connect(TimePoint deadline) = 0;
  virtual bool is_connected() const = 0;

  // deliver() begins, and returns at about `deadline`.
  virtual void begin(TimePoint /*deadline*/) {}

  // Whether the client takes a message now. If not, poll() returns when that changes.
  virtual bool has_room() const { return true; }

  // Takes the event, whose bytes stay valid until deliver() returns. False: the configuration drops
  // the event. Error: the event cannot be sent, and no part of it was sent.
  [[nodiscard]] virtual Result<bool> submit(uint64_t number, const Event& event) = 0;

  // Sends what was taken, reads what the receiver has sent, and notes the verdicts. Waits for a
  // verdict or for room, until `until` at most. In a call of deliver() `until` is the deadline of
  // the call, or the past; for a client that can recall messages, also a moment before. A client
  // that waits for long asks `flight` whether to continue, and returns if not.
  [[nodiscard]] virtual tl::expected<void, Broken> poll(TimePoint until, Flight& flight) = 0;

  // A message has failed; or a window that does not keep messages is at its deadline, or may not go
  // on. Begin nothing more: mark messages that were taken and not begun as undone.
  virtual void withdraw(Flight& /*flight*/) {}

  // Whether some bytes in flight have not reached the receiver, so that abandon() keeps them from
  // it. May be false for a client that cannot know.
  virtual bool can_recall() const { return false; }

  // deliver() returns: copy the bytes that are not sent yet.
  virtual void keep_bytes() {}

  // Closes the connection, or otherwise ends all messages in flight: no verdict follows.
  virtual void abandon() = 0;

  // The error that says what did not happen before the deadline.
  virtual Error late(const Flight& flight) const = 0;
};

struct WindowLimits {
  Order order = Order::kAll;
  size_t messages = 1000;   // in flight at most; at least one
  size_t bytes = SIZE_MAX;  // of their documents, at most
  size_t poll_every = 64;   // messages between polls, so that buffers do not fill up
  // Messages may be in flight behind one that fails, and arrive. Then messages after a failure go
  // one at a time, so that none overtakes another.
  bool pipelined = true;
  // Messages stay in flight after a call returns, at the deadline or because the caller has more
  // events. Otherwise messages in flight at the deadline are abandoned.
  bool keeps = true;
  // While messages are in flight, fewer than this many events wait for more, because each request
  // has a cost. They wait until no message is in flight, and for a short time at most.
  size_t together = 0;
};

class Window {
 public:
  // The client must outlive the window.
  Window(WindowClient& client, WindowLimits limits) : client_(client), limits_(limits) {}

  // As Sink::deliver().
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress);

  // Reads what the receiver has sent, then connects as client.connect().
  [[nodiscard]] Result<void> connect(TimePoint deadline);

  // Reads what the receiver has sent. Waits until `until` at most, by default not at all.
  void idle(TimePoint until = Clock::now());

  // Abandons what is in flight.
  void give_up();

  // As Sink::let_go(). Messages that the receiver already has stay in flight.
  void let_go();

  Flight& flight() { return flight_; }
  const Flight& flight() const { return flight_; }

 private:
  // The current call.
  struct Call {
    std::span<const Event> events;
    TimePoint deadline;
    Progress& progress;
    std::optional<DeliveryError> unfit{};  // an event that cannot be sent; later ones are not sent
    bool stopped = false;                  // nothing new is begun
  };

  size_t resume(std::span<const Event> events);
  [[nodiscard]] Delivery run(Call& call, size_t begin);
  bool is_worth_waiting(const Call& call, size_t begin) const;
  [[nodiscard]] tl::expected<bool, DeliveryError> gather(Call& call, size_t begin);
  [[nodiscard]] Delivery submit_all(Call& call, size_t begin);
  bool submit(Call& call, size_t event);
  bool has_room() const;
  bool is_over() const;
  bool wants_more(const Call& call) const;
  void stop(Call& call);
  // look() reads without waiting; wait() polls once, and fails at the deadline unless `enough`.
  [[nodiscard]] Delivery look(Call& call);
  [[nodiscard]] Delivery wait(Call& call, bool (Window::*enough)() const,
                              Duration longest = Duration::max());
  [[nodiscard]] Delivery poll(Call& call, TimePoint until);
  Delivery conclude(Call& call, Delivery outcome);

  WindowClient& client_;
  WindowLimits limits_;
  Flight flight_;
  size_t one_at_a_time_ = 0;                // messages that go one at a time
  std::optional<TimePoint> gathers_until_;  // set while new events wait for more
};

}  // namespace walspout
