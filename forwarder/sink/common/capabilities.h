// What a type of sink promises. The window keeps the order that is promised here; the pages for
// users, and `walspout sinks`, show the rest.
#pragma once

#include <string>

namespace walspout {

// Which events the receiver gets in their order.
enum class Order {
  kAll,   // all of them
  kKey,   // those of one key, and barriers
  kNone,  // no events
};

// What becomes of an event that is delivered twice.
enum class Deduplication {
  kNone,      // the receiver has it twice; readers know it by its id
  kReceiver,  // the receiver drops the second one
  kSink,      // the sink finds the first one, and does not add the second
};

struct Capabilities {
  Order order = Order::kAll;
  Deduplication deduplication = Deduplication::kNone;
  // A batch is there as a whole, or not at all.
  bool atomic_batch = false;
  // The receiver keeps how far the source was delivered, in the transaction of the events.
  bool stores_position = false;

  // For people, each as the cell of a table.
  std::string becomes{};                        // an event becomes
  std::string delivered{};                      // an event counts as delivered when
  std::string repeated{};                       // an event that is sent again is
  std::string largest = "1 GB, as the plugin";  // the largest event
};

}  // namespace walspout
