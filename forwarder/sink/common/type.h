// What the program knows about a type of sink. The sink's folder defines it.
#pragma once

#include <any>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/keys.h"
#include "base/result.h"
#include "sink/common/capabilities.h"
#include "sink/common/copies.h"
#include "sink/common/route.h"
#include "stream/only.h"
#include "stream/sink.h"

namespace walspout {

struct SinkType;

// A destination that takes events of one source only.
struct SharedPlace {
  std::string what;  // for messages: stream "a" of the same Redis
  std::string key;   // the key that chooses it
  bool has_templates = false;
};

// The result of one step of a receiver's trial.
struct TrialResult {
  bool good = false;
  std::string what;
  std::string remedy;  // or another remark; may be empty
};
using SayTrial = std::function<void(const TrialResult& result)>;

// A sink in the configuration.
struct SinkConfig {
  std::string name;                      // in logs and metrics; the type, unless given
  Milliseconds deliver_timeout{60'000};  // of one call of deliver()
  std::optional<OnlyConfig> only;        // the events that the sink gets; none: all
  const SinkType* type = nullptr;
  std::any options;  // the structure that the type's keys fill
};

struct SinkType {
  std::string name;
  std::string help;  // what it does with an event, in a sentence
  Section keys;      // besides those that every sink has
  std::any options;  // before a key is read
  Capabilities capabilities{};

  // The structure within the options, for the functions of the keys.
  std::function<void*(std::any& options)> target;

  // Does no I/O. Error: kFatal, options that are wrong without I/O, such as a bad URL, or TLS that
  // the library lacks.
  std::function<Result<std::unique_ptr<Sink>>(const std::any& options)> make;

  // Returns what is wrong with the combination of options and common keys. Empty: there is no rule.
  std::function<std::optional<KeyProblem>(SinkConfig& sink, const Section::Has& has)> rule{};

  // The templates that choose the destination of an event; empty: all events go to one place.
  std::function<Route*(std::any& options)> route{};

  // The member that names the source, for a type without templates. Empty: the type does not need
  // it.
  std::function<Origin*(std::any& options)> origin{};

  // The size of a batch, as configured. Empty: the sink has no such key.
  std::function<uint64_t(const std::any& options)> batch_bytes{};

  // A place that both sinks would fill, although it takes events of one source only. Empty: there
  // are no such places.
  std::function<std::optional<SharedPlace>(const std::any& a, const std::any& b)> shared{};

  // Whether only the `id` in a document shows the receiver that an event is a repeat. Empty: never.
  std::function<bool(const std::any& options)> needs_id{};

  // Which option needs documents in the default dialect, such as "value: row", or the type itself.
  // An empty text, or no function: none. `splits_moves`: a change of the key comes as two events.
  std::function<std::string(const std::any& options, bool splits_moves)> reads_documents{};

  // The file that the sink writes. Empty: it writes none.
  std::function<std::string(const std::any& options)> file{};

  // What ties a receiver to one source, and how to untie it; empty: nothing.
  std::string tie{};

  // The member with the file for what the sink keeps over restarts, and the suffix of its name.
  // Empty: the sink keeps nothing.
  std::function<std::string*(std::any& options)> memory{};
  std::string memory_suffix{};

  // Tests a receiver that users write, with made-up events, and reports each result. May take
  // minutes. Empty: there is no such trial.
  std::function<void(const std::any& options, const SayTrial& say)> trial{};

  // The copies of the source's tables that the sink keeps. Does no I/O. Empty: the sink keeps none.
  std::function<Result<std::unique_ptr<Copies>>(const std::any& options)> copies{};
};

// A type with options of the structure Options, from which `make` makes the sink.
template <typename Options, typename Make>
SinkType sink_type(std::string name, std::string help, const KeyTable<Options>& table, Make make) {
  SinkType type;
  type.name = std::move(name);
  type.help = std::move(help);
  type.keys = table.section();
  type.options = Options();
  type.target = [](std::any& options) { return std::any_cast<Options>(&options); };
  type.make = [make](const std::any& options) -> Result<std::unique_ptr<Sink>> {
    return make(std::any_cast<const Options&>(options));
  };
  return type;
}

}  // namespace walspout
