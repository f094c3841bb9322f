// The one core of every sink with several messages in flight.
//
// A client knows one library and one receiver: it takes an event, and later says what became of
// it. The window does the rest, the same for all: how many messages are in flight, which events are
// durable in which order, what a failure stops, what a deadline leaves behind, and what the next
// call goes on with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "sink/common/flight.h"
#include "stream/sink.h"

namespace walspout {

// The connection, or whatever the client has in its place, is of no use any more.
struct Broken {
  Error error;
  uint64_t number = 0;  // of the message that broke it; 0: unknown, or none
  size_t size = 1;      // error of scope batch: messages that may be at fault, from this one on
  bool stays = false;   // it is not broken: what is in flight stays so, and is not waited for now
};

// What has connections and takes messages. All functions are called on the sink's thread.
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

  // deliver() begins, and returns at about this time.
  virtual void begin(TimePoint /*deadline*/) {}

  // Whether the client takes a message now. If not, poll() returns when that changes.
  virtual bool has_room() const { return true; }

  // Takes the event, whose bytes stay valid until deliver() returns. False: the event goes
  // nowhere, by the configuration. Error: the event cannot be sent; nothing of it was.
  [[nodiscard]] virtual Result<bool> submit(uint64_t number, const Event& event) = 0;

  // Sends what was taken, takes in whatever the receiver said, and notes the verdicts. Waits until
  // there is a verdict, or room again, but not beyond `until`. In a call of deliver() `until` is
  // the deadline of the call, or the past.
  [[nodiscard]] virtual tl::expected<void, Broken> poll(TimePoint until, Flight& flight) = 0;

  // Something has failed; or a window that does not keep messages has come to its deadline, or may
  // not go on. Begin nothing more: what was taken and not begun is undone.
  virtual void withdraw(Flight& /*flight*/) {}

  // deliver() returns: the bytes of what is not sent yet are to be copied.
  virtual void keep_bytes() {}

  // Closes the connection, or ends what is in flight in another way: no verdict follows.
  virtual void abandon() = 0;

  // What has not happened when the deadline has come.
  virtual Error late(const Flight& flight) const = 0;
};

struct WindowLimits {
  Order order = Order::kAll;
  size_t messages = 1000;   // in flight at most, and at least one
  size_t bytes = SIZE_MAX;  // of their documents
  size_t poll_every = 64;   // messages, without waiting, or both sides fill their buffers
  // Messages may be in flight behind one that fails, and arrive. Then the messages after a failure
  // go one at a time, that none overtakes another.
  bool pipelined = true;
  // The connection outlives a call with its messages in flight: beyond the deadline, and where the
  // caller has more events. Otherwise what is in flight at the deadline is abandoned.
  bool keeps = true;
};

class Window {
 public:
  // The client must outlive the window.
  Window(WindowClient& client, WindowLimits limits) : client_(client), limits_(limits) {}

  // As Sink::deliver().
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress);

  // Connects, as client.connect(), having taken in what the receiver said before.
  [[nodiscard]] Result<void> connect(TimePoint deadline);

  // Takes in what there is, without waiting.
  void idle();

  // Abandons what is in flight.
  void give_up();

  Flight& flight() { return flight_; }
  const Flight& flight() const { return flight_; }

 private:
  // The call under way.
  struct Call {
    std::span<const Event> events;
    TimePoint deadline;
    Progress& progress;
    std::optional<DeliveryError> unfit{};  // of an event that cannot be sent; no event after it is
    bool stopped = false;                  // nothing new is begun
  };

  size_t resume(std::span<const Event> events);
  [[nodiscard]] Delivery run(Call& call, size_t begin);
  [[nodiscard]] Delivery submit_all(Call& call, size_t begin);
  bool submit(Call& call, size_t event);
  bool has_room() const;
  bool is_over() const;
  bool wants_more(const Call& call) const;
  void stop(Call& call);
  // Looks what there is; or waits until `enough`, at most up to the deadline.
  [[nodiscard]] Delivery look(Call& call);
  [[nodiscard]] Delivery wait(Call& call, bool (Window::*enough)() const);
  [[nodiscard]] Delivery poll(Call& call, TimePoint until);
  Delivery conclude(Call& call, Delivery outcome);

  WindowClient& client_;
  WindowLimits limits_;
  Flight flight_;
  size_t alone_ = 0;  // messages that go one at a time
};

}  // namespace walspout
