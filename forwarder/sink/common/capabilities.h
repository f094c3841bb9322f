// What a type of sink promises. The window keeps the promised order; the documents and `walspout
// sinks` show the rest.
#pragma once

#include <string>

namespace walspout {

// Which events the receiver gets in order.
enum class Order {
  kAll,   // all of them
  kKey,   // those of one key, and barriers
  kNone,  // no events
};

// What happens to an event that is delivered twice.
enum class Deduplication {
  kNone,      // the receiver has it twice; readers find the repeat by its id
  kReceiver,  // the receiver drops the second one
  kSink,      // the sink finds the first one, and does not add the second
};

struct Capabilities {
  Order order = Order::kAll;
  Deduplication deduplication = Deduplication::kNone;
  // The receiver takes a batch as a whole, or not at all.
  bool atomic_batch = false;
  // The receiver stores the position in the source, in the same transaction as the events.
  bool stores_position = false;

  // For people, each as the cell of a table.
  std::string becomes{};                        // an event becomes
  std::string delivered{};                      // an event counts as delivered when
  std::string repeated{};                       // an event that is sent again is
  std::string largest = "1 GB, as the plugin";  // the largest event
};

}  // namespace walspout
