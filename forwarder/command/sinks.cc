// Prints what the types of sinks guarantee: for people, and for programs.

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "command/commands.h"
#include "sink/sinks.h"

namespace walspout {
namespace {

const char* in_words(Order order) {
  switch (order) {
    case Order::kAll:
      return "all events";
    case Order::kKey:
      return "events of one key";
    case Order::kNone:
      return "none";
  }
  return "";
}

const char* in_words(Deduplication deduplication) {
  switch (deduplication) {
    case Deduplication::kNone:
      return "by the reader";
    case Deduplication::kReceiver:
      return "by the receiver";
    case Deduplication::kSink:
      return "by the sink";
  }
  return "";
}

std::vector<std::pair<const char*, std::string>> facts(const SinkType& type) {
  const Capabilities& can = type.capabilities;
  return {{"event becomes", can.becomes},
          {"delivered when", can.delivered},
          {"sent again", can.repeated},
          {"repeats dropped", in_words(can.deduplication)},
          {"order kept", in_words(can.order)},
          {"atomic batches", can.atomic_batch ? "yes" : "no"},
          {"stores position", can.stores_position ? "yes" : "no"},
          {"largest event", can.largest}};
}

void print_json() {
  std::string out = "[";
  for (const SinkType& type : sink_types()) {
    out += out.size() > 1 ? ",\n {" : "{";
    append_member(out, "sink", type.name);
    out += ',';
    append_member(out, "help", type.help);
    for (const auto& [name, value] : facts(type)) {
      out += ',';
      append_member(out, name, value);
    }
    out += '}';
  }
  std::printf("%s]\n", out.c_str());
}

void print_text() {
  for (const SinkType& type : sink_types()) {
    std::printf("%s: %s\n", type.name.c_str(), type.help.c_str());
    for (const auto& [name, value] : facts(type)) {
      std::printf("  %-16s %s\n", name, value.c_str());
    }
  }
}

}  // namespace

int sinks_command(bool json) {
  json ? print_json() : print_text();
  return kClean;
}

}  // namespace walspout
