// One connection to a NATS server, with one subscription: the inbox that answers come to.
//
// libnats is not used for this, because it waits for a server that does not read: without limit
// while it shakes hands for TLS, or writes over TLS. It also tells of an answer "no responders"
// without saying to which message. Here nothing waits beyond the time that it is given: what a
// server leaves unread waits here, and goes out in its order whenever the server reads again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/common/socket.h"
#include "sink/nats/config.h"
#include "sink/nats/endpoint.h"
#include "sink/nats/wire.h"
#include "stream/sink.h"

namespace walspout {

// What JetStream said to a question.
struct NatsReply {
  enum class Kind {
    kAnswer,        // text: JSON, perhaps with an error
    kNoResponders,  // JetStream is not there
    kDenied,        // the user may not ask
    kSilence,
  };
  Kind kind = Kind::kSilence;
  std::string text{};

  // The member "error" of the answer; empty: the answer has no such member.
  std::string_view error() const;
  // err_code in that; 0: no error.
  int64_t error_code() const;
};

class NatsLink {
 public:
  // What became of the message with this number; valid during the call.
  using Answered = std::function<void(uint64_t number, const NatsFrame& answer)>;

  // Connects and logs in. Error: kRetry if the server is not there or not ready, kFatal if it does
  // not want us as configured.
  [[nodiscard]] static Result<std::unique_ptr<NatsLink>> open(const NatsServer& server,
                                                              const NatsConfig& config,
                                                              const NatsLogin& login,
                                                              TimePoint deadline);
  // What the server has not been sent yet is dropped.
  ~NatsLink() = default;
  NatsLink(const NatsLink&) = delete;
  NatsLink& operator=(const NatsLink&) = delete;

  const std::string& name() const { return name_; }

  // The largest message that the server takes, headers included.
  size_t max_payload() const { return max_payload_; }
  // Whether the server has said that it is about to end.
  bool is_leaving() const { return leaving_; }
  // Whether the server is one of a cluster.
  bool is_clustered() const { return clustered_; }

  // Whether there is room for another message. If not, listen() makes some.
  bool has_room() const { return body_.empty() && output_.size() < kRoom; }

  // Takes a message, for which there is room. Its body stays where it is until it is sent, which
  // listen() sees to, or until keep_body().
  void publish(uint64_t number, std::string_view subject, std::string_view headers,
               std::string_view body);

  // Copies what is not sent of the last message's body, so that its bytes may go.
  void keep_body();

  // Whether bytes of messages wait for the server to read.
  bool has_unsent() const { return !output_.empty() || !body_.empty() || socket_->has_sealed(); }

  // Sends what the server takes, and hands out all answers that have come. Returns when there was
  // one, or when there is room again, or at `until`. Sends and expects pings. Error: the connection
  // is of no use.
  [[nodiscard]] Result<void> listen(TimePoint until, const Answered& answered);

  // Asks JetStream. Answers to messages that come meanwhile are handed out. Error: as listen().
  [[nodiscard]] Result<NatsReply> ask(const std::string& question, const std::string& text,
                                      TimePoint deadline, const Answered& answered);

  // Says good-bye: what was sent is not dropped. Only if nothing is under way.
  void close() { socket_->close_gently(); }

 private:
  static constexpr size_t kRoom = 256 * 1024;
  static constexpr size_t kSmall = 64 * 1024;  // a body that is copied at once

  NatsLink(std::string name, std::string api, std::string inbox, std::unique_ptr<Socket> socket);

  [[nodiscard]] Result<std::string> await_info(TimePoint deadline);
  [[nodiscard]] Result<void> login(const NatsServer& server, const NatsConfig& config,
                                   const NatsLogin& login, TimePoint deadline);
  [[nodiscard]] Result<void> await_pong(TimePoint deadline);
  void take_info(std::string_view info);
  [[nodiscard]] Result<bool> take_frames(const Answered& answered);
  [[nodiscard]] Result<void> take_error(std::string_view text);
  bool take_message(const NatsFrame& frame, const Answered& answered);
  [[nodiscard]] Result<void> flush();
  void move_body();
  void answer_ping();
  [[nodiscard]] Result<bool> receive();
  [[nodiscard]] Result<void> beat();
  TimePoint next_beat() const;

  const std::string name_;
  const std::string api_;    // what questions begin with
  const std::string inbox_;  // what subjects of answers begin with, the dot included
  std::string who_;          // the user, for people
  std::unique_ptr<Socket> socket_;
  NatsFrameReader reader_;
  std::vector<char> input_;  // kept for its memory

  std::string output_;     // not sent yet: the first message from where it was sent to
  size_t sent_ = 0;        // bytes of output_
  std::string_view body_;  // of the last message, what is not in output_ yet
  std::string kept_body_;
  std::string reply_;  // kept for its memory

  std::string asked_;                // subject of the question that waits for its answer
  std::optional<NatsReply> answer_;  // to that
  uint64_t questions_ = 0;
  uint64_t pongs_ = 0;
  bool pong_due_ = false;

  size_t max_payload_ = 1 << 20;
  bool leaving_ = false;
  bool clustered_ = false;
  Duration heartbeat_{0};     // zero: none
  TimePoint heard_, pinged_;  // anything from the server; our last ping
};

}  // namespace walspout
