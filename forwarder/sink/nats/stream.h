// The streams of JetStream that take our subjects: looked for, made if they are missing, inspected.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/nats/config.h"
#include "sink/nats/link.h"

namespace walspout {

// Whether an event can have this subject: tokens between dots, none of them empty, and no wildcard,
// space or control character. What is wrong; empty: nothing.
[[nodiscard]] std::string nats_subject_problem(std::string_view subject);

// What subjects can look like that have `*` where something is unknown: a token with a * in it
// becomes one.
[[nodiscard]] std::string nats_filter(std::string_view pattern);

// Whether every subject that the filter `one` takes is taken by the filter `all`.
[[nodiscard]] bool nats_covers(std::string_view all, std::string_view one);

class NatsStreams {
 public:
  // `filters`: of all subjects of ours.
  NatsStreams(const NatsConfig& config, std::vector<std::string> filters);

  // Makes the stream if it is configured and missing, and looks whether each filter has a stream.
  // A user that may not ask is let go on. Error: kFatal, there is no stream; names the command.
  [[nodiscard]] Result<void> see_to(NatsLink& link, TimePoint deadline,
                                    const NatsLink::Answered& answered);

  // Looks at the streams that see_to() found. Error: kFatal, a stream takes nothing, or does not
  // say so.
  [[nodiscard]] Result<void> inspect(NatsLink& link, TimePoint deadline,
                                     const NatsLink::Answered& answered);
  const std::vector<std::string>& warnings() const { return warnings_; }

  // Why no stream has taken a message with this subject. Error: as NatsLink::listen().
  [[nodiscard]] Result<Error> missing(NatsLink& link, const std::string& subject,
                                      TimePoint deadline, const NatsLink::Answered& answered);

 private:
  [[nodiscard]] Result<void> make(NatsLink& link, TimePoint deadline,
                                  const NatsLink::Answered& answered) const;
  [[nodiscard]] Result<NatsReply> names(NatsLink& link, const std::string& filter,
                                        TimePoint deadline,
                                        const NatsLink::Answered& answered) const;
  [[nodiscard]] Result<Error> nowhere(NatsLink& link, const std::string& what,
                                      const std::string& subject, TimePoint deadline,
                                      const NatsLink::Answered& answered);
  [[nodiscard]] Result<void> judge(const std::string& name, std::string_view config,
                                   const NatsLink& link);
  std::string definition() const;
  std::vector<std::string> subjects() const;
  // The sentence with the command that makes a stream for a subject.
  std::string remedy(const std::string& subject) const;
  Error no_jetstream(const NatsLink& link) const;

  const NatsConfig config_;
  const std::vector<std::string> filters_;
  std::vector<std::string> found_;  // names of streams
  std::vector<std::string> warnings_;
};

}  // namespace walspout
