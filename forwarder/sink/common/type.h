// What the program knows of a type of sink. The folder of the sink defines one.
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
  std::string what;  // for people: stream "a" of the same Redis
  std::string key;   // the key that chooses it
  bool has_templates = false;
};

// How one thing went that a receiver was tried with.
struct TrialResult {
  bool good = false;
  std::string what;
  std::string remedy;  // or what else there is to say of it; may be empty
};
using SayTrial = std::function<void(const TrialResult& result)>;

// A sink as the configuration has it.
struct SinkConfig {
  std::string name;                      // in logs and metrics; the type, unless given
  Milliseconds deliver_timeout{60'000};  // of one call of deliver()
  std::optional<OnlyConfig> only;        // the events that it gets; none: all
  const SinkType* type = nullptr;
  std::any options;  // the structure that the type's keys fill
};

struct SinkType {
  std::string name;
  std::string help;  // what it does with an event, in a sentence
  Section keys;      // beside those that every sink has
  std::any options;  // before a key is read
  Capabilities capabilities{};

  // The structure within the options, for the functions of the keys.
  std::function<void*(std::any& options)> target;

  // Does no I/O. Options that are wrong at first sight (a URL that cannot be parsed, a TLS that
  // the library lacks) are a kFatal error.
  std::function<Result<std::unique_ptr<Sink>>(const std::any& options)> make;

  // What is wrong with the options and the keys of every sink together; empty: there is no such
  // rule.
  std::function<std::optional<KeyProblem>(SinkConfig& sink, const Section::Has& has)> rule{};

  // The templates that choose the destination of an event; empty: all events go to one place.
  std::function<Route*(std::any& options)> route{};

  // The member that says where events come from, of a type without templates; empty: none needs
  // that.
  std::function<Origin*(std::any& options)> origin{};

  // The size of a batch, as configured. Empty: the sink has no such key.
  std::function<uint64_t(const std::any& options)> batch_bytes{};

  // A place that both would fill, although it takes events of one source only. Empty: there are no
  // such places.
  std::function<std::optional<SharedPlace>(const std::any& a, const std::any& b)> shared{};

  // Whether a receiver knows an event that comes again only by the `id` in its document. Empty: it
  // does not need that.
  std::function<bool(const std::any& options)> needs_id{};

  // The file that the sink writes. Empty: it writes none.
  std::function<std::string(const std::any& options)> file{};

  // What ties a receiver to one source, and how to end that; empty: nothing does.
  std::string tie{};

  // The member with the file to remember in over restarts, and how the file's name ends. Empty: the
  // sink remembers nothing.
  std::function<std::string*(std::any& options)> memory{};
  std::string memory_suffix{};

  // Tries a receiver that users write, with events of its own, and says how each thing went. It may
  // take minutes. Empty: there is no such trial.
  std::function<void(const std::any& options, const SayTrial& say)> trial{};

  // The tables that the sink keeps as copies of the source's, and that can be compared with these.
  // Does no I/O. Empty: it keeps no copies.
  std::function<Result<std::unique_ptr<Copies>>(const std::any& options)> copies{};
};

// A type whose options are a structure Options, and whose sink `make` makes of them.
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
