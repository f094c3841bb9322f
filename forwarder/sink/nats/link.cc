#include "sink/nats/link.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include "sink/nats/errors.h"
#include "sink/nats/json.h"

namespace walspout {
namespace {

constexpr size_t kInput = 64 * 1024;

// A subject unique to this connection, with a dot at its end.
std::string new_inbox(const std::string& prefix) {
  constexpr std::string_view kDigits =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device random;
  std::string inbox = prefix + ".";
  for (int i = 0; i < 22; ++i) inbox += kDigits[random() % kDigits.size()];
  return inbox + ".";
}

}  // namespace

std::string_view NatsReply::error() const {
  return json_member(text, "error").value_or(std::string_view());
}

int64_t NatsReply::error_code() const {
  const std::string_view found = error();
  return found.empty() ? 0 : json_number(found, "err_code", json_number(found, "code", -1));
}

NatsLink::NatsLink(std::string name, std::string api, std::string inbox,
                   std::unique_ptr<Socket> socket)
    : name_(std::move(name)),
      api_(std::move(api)),
      inbox_(std::move(inbox)),
      socket_(std::move(socket)),
      input_(kInput),
      received_at_(Clock::now()),
      pinged_(received_at_) {}

Result<std::unique_ptr<NatsLink>> NatsLink::open(const NatsServer& server, const NatsConfig& config,
                                                 const NatsLogin& login, TimePoint deadline) {
  auto socket = Socket::connect(server.address(), deadline);
  if (!socket) return tl::unexpected(socket.error());
  const std::string api = config.domain.empty() ? "$JS.API." : "$JS." + config.domain + ".API.";
  std::unique_ptr<NatsLink> link(
      new NatsLink(server.name(), api, new_inbox(config.inbox_prefix), std::move(*socket)));
  link->who_ = login.name(server);
  link->heartbeat_ = config.heartbeat;
  if (auto done = link->login(server, config, login, deadline); !done) {
    return tl::unexpected(done.error());
  }
  return link;
}

Result<void> NatsLink::login(const NatsServer& server, const NatsConfig& config,
                             const NatsLogin& login, TimePoint deadline) {
  const auto info = await_info(deadline);
  if (!info) return tl::unexpected(info.error());
  const bool wanted = json_flag(*info, "tls_required");
  if (server.tls && !wanted && !json_flag(*info, "tls_available")) {
    return fatal("the server has no TLS: write nats:// in servers, or give the server a tls block",
                 name_);
  }
  if (!json_flag(*info, "headers")) {
    return fatal("the server has no headers: NATS 2.2 or later is needed", name_);
  }
  const bool tls = server.tls || wanted;
  if (tls) {
    // Bytes before the handshake may be an attacker's.
    if (!reader_.is_empty()) return retry("more than INFO came before TLS", name_);
    if (auto started = socket_->start_tls(config.tls, deadline); !started) return started;
  }
  const auto hello = login.connect(server, json_text(*info, "nonce"), tls);
  if (!hello) return with_prefix("could not log in", hello.error());
  output_ += "CONNECT " + *hello + "\r\nSUB " + inbox_ + "* 1\r\nPING\r\n";
  return await_pong(deadline);
}

Result<std::string> NatsLink::await_info(TimePoint deadline) {
  for (;;) {
    const auto frame = reader_.next();
    if (!frame)
      return with_prefix("could not log in", Error{frame.error().kind, frame.error().what, name_});
    if (*frame && (*frame)->kind == NatsFrame::Kind::kInfo) {
      std::string info((*frame)->text);
      take_info(info);
      return info;
    }
    if (*frame && (*frame)->kind == NatsFrame::Kind::kError) {
      return tl::unexpected(nats_refusal((*frame)->text, "let us in", who_, name_));
    }
    if (*frame) continue;
    const auto received = receive();
    if (!received) return with_prefix("could not log in", received.error());
    if (*received) continue;
    if (Clock::now() >= deadline) {
      return retry(
          "could not log in: the server said nothing in time. Is this the port for clients, and is "
          "handshake_first off?",
          name_);
    }
    socket_->wait(false, deadline);
  }
}

Result<void> NatsLink::await_pong(TimePoint deadline) {
  const Answered ignored = [](uint64_t, const NatsFrame&) {};
  while (pongs_ == 0) {
    if (auto heard = listen(deadline, ignored); !heard) {
      Error error = heard.error();
      if (error.kind == ErrorKind::kRetry) return with_prefix("could not log in", std::move(error));
      return tl::unexpected(std::move(error));
    }
    if (pongs_ == 0 && Clock::now() >= deadline) {
      return retry("could not log in: the server did not answer in time", name_);
    }
  }
  return {};
}

void NatsLink::take_info(std::string_view info) {
  const int64_t most = json_number(info, "max_payload");
  if (most > 0) max_payload_ = static_cast<size_t>(most);
  leaving_ = leaving_ || json_flag(info, "ldm");
  clustered_ = clustered_ || json_member(info, "cluster").has_value();
}

void NatsLink::publish(uint64_t number, std::string_view subject, std::string_view headers,
                       std::string_view body) {
  std::array<char, 20> digits;
  reply_.assign(inbox_);
  reply_.append(digits.data(), std::to_chars(digits.data(), digits.data() + 20, number).ptr);
  append_publish(output_, subject, reply_, headers, body.size());
  if (body.size() <= kSmall) {
    output_ += body;
    output_ += "\r\n";
    return;
  }
  body_ = body;
  move_body();
}

void NatsLink::move_body() {
  if (body_.empty()) return;
  const size_t piece = std::min(body_.size(), kRoom - std::min(kRoom, output_.size()));
  output_ += body_.substr(0, piece);
  body_.remove_prefix(piece);
  if (!body_.empty()) return;
  output_ += "\r\n";
  kept_body_ = {};
  answer_ping();
}

// A PONG must follow the last message's body.
void NatsLink::answer_ping() {
  if (pong_due_ && body_.empty()) output_ += "PONG\r\n";
  pong_due_ = pong_due_ && !body_.empty();
}

void NatsLink::keep_body() {
  if (body_.empty() || !kept_body_.empty()) return;
  kept_body_ = body_;
  body_ = kept_body_;
}

Result<void> NatsLink::flush() {
  for (;;) {
    const auto sent = socket_->send(std::string_view(output_).substr(sent_));
    if (!sent) return tl::unexpected(sent.error());
    sent_ += *sent;
    const bool full = sent_ < output_.size();
    if (full && *sent > 0) continue;
    output_.erase(0, sent_);
    sent_ = 0;
    if (full) return {};
    move_body();
    if (output_.empty()) return {};
  }
}

// Receives bytes. False: there were none.
Result<bool> NatsLink::receive() {
  const auto got = socket_->receive(input_.data(), input_.size());
  if (!got) return tl::unexpected(got.error());
  if (*got == 0) return false;
  received_at_ = Clock::now();
  reader_.feed({input_.data(), *got});
  return true;
}

// Handles received frames. Returns whether there was an answer.
Result<bool> NatsLink::take_frames(const Answered& answered) {
  bool any = false;
  for (;;) {
    const auto frame = reader_.next();
    if (!frame) return tl::unexpected(Error{frame.error().kind, frame.error().what, name_});
    if (!*frame) return any;
    switch ((*frame)->kind) {
      case NatsFrame::Kind::kMessage:
        any = take_message(**frame, answered) || any;
        break;
      case NatsFrame::Kind::kInfo:
        take_info((*frame)->text);
        break;
      case NatsFrame::Kind::kPing:
        pong_due_ = true;
        answer_ping();
        break;
      case NatsFrame::Kind::kPong:
        ++pongs_;
        any = true;
        break;
      case NatsFrame::Kind::kError:
        if (auto taken = take_error((*frame)->text); !taken) return tl::unexpected(taken.error());
        any = true;
        break;
      case NatsFrame::Kind::kOk:
        break;
    }
  }
}

Result<void> NatsLink::take_error(std::string_view text) {
  if (!asked_.empty() && nats_denied_subject(text) == asked_) {
    answer_ = NatsReply{NatsReply::Kind::kDenied, std::string(text)};
    return {};
  }
  return tl::unexpected(nats_refusal(text, pongs_ == 0 ? "let us in" : "go on", who_, name_));
}

bool NatsLink::take_message(const NatsFrame& frame, const Answered& answered) {
  if (!frame.subject.starts_with(inbox_)) return false;
  std::string_view which = frame.subject.substr(inbox_.size());
  const bool question = which.starts_with('q');
  if (question) which.remove_prefix(1);
  uint64_t number = 0;
  const auto parsed = std::from_chars(which.data(), which.data() + which.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != which.data() + which.size()) return false;
  if (!question) {
    answered(number, frame);
  } else if (number == questions_ && !asked_.empty()) {
    answer_ = frame.status() == 503 ? NatsReply{NatsReply::Kind::kNoResponders}
                                    : NatsReply{NatsReply::Kind::kAnswer, std::string(frame.body)};
  }
  return true;
}

TimePoint NatsLink::next_beat() const {
  if (heartbeat_ == Duration::zero()) return TimePoint::max();
  return std::min(received_at_ + 2 * heartbeat_, std::max(received_at_, pinged_) + heartbeat_ / 2);
}

// Sends and expects pings. All available bytes must have been received.
Result<void> NatsLink::check_heartbeat() {
  const TimePoint now = Clock::now();
  if (now < next_beat()) return {};
  if (now >= received_at_ + 2 * heartbeat_) {
    return retry("the server has not answered pings for " +
                     std::to_string(2 * heartbeat_ / std::chrono::seconds(1)) + " s",
                 name_);
  }
  pinged_ = now;
  // A server that does not read earlier bytes will not read a ping, either.
  if (!has_unsent()) output_ += "PING\r\n";
  return {};
}

Result<void> NatsLink::listen(TimePoint until, const Answered& answered) {
  const bool had_room = has_room();
  for (;;) {
    const auto flushed = flush();
    // The server may have sent the reason before it closed the connection.
    const auto received = receive();
    const auto taken = take_frames(answered);
    if (!taken) return tl::unexpected(taken.error());
    if (!received) return tl::unexpected(received.error());
    if (!flushed) return flushed;
    if (*taken || (!had_room && has_room())) return *received ? flush() : flushed;
    if (*received) continue;
    if (auto beaten = check_heartbeat(); !beaten) return beaten;
    if (Clock::now() >= until) return flush();
    if (has_unsent()) {
      if (auto again = flush(); !again) return again;
    }
    socket_->wait(has_unsent(), std::min(until, next_beat()));
  }
}

Result<NatsReply> NatsLink::ask(const std::string& question, const std::string& text,
                                TimePoint deadline, const Answered& answered) {
  // The question must follow the last message's body.
  while (!body_.empty()) {
    if (Clock::now() >= deadline) return NatsReply{};
    if (auto heard = listen(deadline, answered); !heard) return tl::unexpected(heard.error());
  }
  asked_ = api_ + question;
  answer_.reset();
  append_publish(output_, asked_, inbox_ + "q" + std::to_string(++questions_), "", text.size());
  output_ += text;
  output_ += "\r\n";
  Result<void> heard;
  while (heard && !answer_ && Clock::now() < deadline) heard = listen(deadline, answered);
  asked_.clear();
  if (!heard) return tl::unexpected(heard.error());
  return answer_ ? std::move(*answer_) : NatsReply{};
}

}  // namespace walspout
