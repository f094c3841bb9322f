// Finds, makes and inspects the streams of JetStream that take our subjects.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/nats/config.h"
#include "sink/nats/link.h"

namespace walspout {

// What is wrong with a subject for an event; empty: nothing. It needs tokens between dots, none
// empty, without wildcards, spaces and control characters.
[[nodiscard]] std::string nats_subject_problem(std::string_view subject);

// The filter for a pattern that has `*` for unknown parts: a token that contains * becomes *.
[[nodiscard]] std::string nats_filter(std::string_view pattern);

// Whether the filter `all` takes every subject that the filter `one` takes.
[[nodiscard]] bool nats_covers(std::string_view all, std::string_view one);

class NatsStreams {
 public:
  // `filters`: those that cover all our subjects. `subject_has_key`: each key has its own subject.
  NatsStreams(const NatsConfig& config, std::vector<std::string> filters, bool subject_has_key);

  // Makes the stream if it is configured and missing, and checks that each filter has a stream. A
  // user without the right to ask passes. Error: kFatal, there is no stream; names the command.
  [[nodiscard]] Result<void> ensure(NatsLink& link, TimePoint deadline,
                                    const NatsLink::Answered& answered);

  // Inspects the streams that ensure() found. Error: kFatal, a stream takes no messages, or does
  // not acknowledge them.
  [[nodiscard]] Result<void> inspect(NatsLink& link, TimePoint deadline,
                                     const NatsLink::Answered& answered);
  const std::vector<std::string>& warnings() const { return warnings_; }

  // The error that says why no stream took a message with this subject. Fails as listen().
  [[nodiscard]] Result<Error> missing(NatsLink& link, const std::string& subject,
                                      TimePoint deadline, const NatsLink::Answered& answered);

 private:
  [[nodiscard]] Result<void> make(NatsLink& link, TimePoint deadline,
                                  const NatsLink::Answered& answered) const;
  [[nodiscard]] Result<NatsReply> names(NatsLink& link, const std::string& filter,
                                        TimePoint deadline,
                                        const NatsLink::Answered& answered) const;
  [[nodiscard]] Result<Error> no_stream_error(NatsLink& link, const std::string& what,
                                              const std::string& subject, TimePoint deadline,
                                              const NatsLink::Answered& answered);
  [[nodiscard]] Result<void> judge(const std::string& name, std::string_view config,
                                   const NatsLink& link);
  std::string definition() const;
  std::vector<std::string> subjects() const;
  // The sentence with the command that creates a stream for a subject.
  std::string remedy(const std::string& subject) const;
  Error no_jetstream(const NatsLink& link) const;

  const NatsConfig config_;
  const std::vector<std::string> filters_;
  const bool subject_has_key_;
  std::vector<std::string> found_;  // names of streams
  std::vector<std::string> warnings_;
};

}  // namespace walspout
