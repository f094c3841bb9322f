// One connection to a NATS server, with one subscription: the inbox for answers.
//
// This does not use libnats, which waits without limit for a server that does not read, in TLS
// handshakes and writes. libnats also reports an answer "no responders" without its message. Here
// no function waits beyond its deadline: unsent bytes stay here, and go out in order when the
// server reads again.
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

// JetStream's answer to a question.
struct NatsReply {
  enum class Kind {
    kAnswer,        // text: JSON, perhaps with an error
    kNoResponders,  // JetStream is not available
    kDenied,        // the user may not ask
    kSilence,
  };
  Kind kind = Kind::kSilence;
  std::string text{};

  // The member "error" of the answer; empty: the answer has no such member.
  std::string_view error() const;
  // The err_code in error(); 0: no error.
  int64_t error_code() const;
};

class NatsLink {
 public:
  // Gets the answer to message `number`; `answer` is valid during the call.
  using Answered = std::function<void(uint64_t number, const NatsFrame& answer)>;

  // Connects and logs in. Error: kRetry if the server is unreachable or not ready, kFatal if it
  // rejects the configuration.
  [[nodiscard]] static Result<std::unique_ptr<NatsLink>> open(const NatsServer& server,
                                                              const NatsConfig& config,
                                                              const NatsLogin& login,
                                                              TimePoint deadline);
  // Drops unsent bytes.
  ~NatsLink() = default;
  NatsLink(const NatsLink&) = delete;
  NatsLink& operator=(const NatsLink&) = delete;

  const std::string& name() const { return name_; }

  // The largest message that the server takes, with headers.
  size_t max_payload() const { return max_payload_; }
  // Whether the server has announced its end.
  bool is_leaving() const { return leaving_; }
  // Whether the server belongs to a cluster.
  bool is_clustered() const { return clustered_; }

  // Whether there is room for another message. If not, listen() makes some.
  bool has_room() const { return body_.empty() && output_.size() < kRoom; }

  // Takes a message; requires has_room(). Its body must stay valid until listen() has sent it, or
  // until keep_body().
  void publish(uint64_t number, std::string_view subject, std::string_view headers,
               std::string_view body);

  // Copies the unsent part of the last message's body, so that the caller may free it.
  void keep_body();

  // Whether bytes of messages wait for the server to read.
  bool has_unsent() const { return !output_.empty() || !body_.empty() || socket_->has_sealed(); }
  // Whether bytes of messages have not reached the server's kernel.
  bool can_recall() const { return has_unsent() || socket_->has_unsent(); }

  // Sends what the server takes, and passes on all received answers. Returns after an answer, when
  // there is room again, or at `until`. Sends and expects pings. Error: the connection can no
  // longer be used.
  [[nodiscard]] Result<void> listen(TimePoint until, const Answered& answered);

  // Asks JetStream. Passes on answers to messages meanwhile. Error: as listen().
  [[nodiscard]] Result<NatsReply> ask(const std::string& question, const std::string& text,
                                      TimePoint deadline, const Answered& answered);

  // Closes the connection without dropping sent bytes. Only with nothing in flight.
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
  [[nodiscard]] Result<void> check_heartbeat();
  TimePoint next_beat() const;

  const std::string name_;
  const std::string api_;    // prefix of questions' subjects
  const std::string inbox_;  // prefix of answers' subjects, with the dot
  std::string who_;          // the user, for messages
  std::unique_ptr<Socket> socket_;
  NatsFrameReader reader_;
  std::vector<char> input_;  // reused, to save allocations

  std::string output_;     // unsent bytes; the first message may be sent in part
  size_t sent_ = 0;        // bytes of output_
  std::string_view body_;  // the part of the last body not yet in output_
  std::string kept_body_;
  std::string reply_;  // reused, to save allocations

  std::string asked_;                // the subject of the open question
  std::optional<NatsReply> answer_;  // the answer to that question
  uint64_t questions_ = 0;
  uint64_t pongs_ = 0;
  bool pong_due_ = false;

  size_t max_payload_ = 1 << 20;
  bool leaving_ = false;
  bool clustered_ = false;
  Duration heartbeat_{0};           // zero: none
  TimePoint received_at_, pinged_;  // last bytes from the server; our last ping
};

}  // namespace walspout
