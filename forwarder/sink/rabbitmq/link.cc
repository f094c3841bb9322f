#include "sink/rabbitmq/link.h"

#include <algorithm>
#include <array>

#include "sink/rabbitmq/errors.h"

namespace walspout {
namespace {

constexpr amqp_channel_t kChannel = 1;
constexpr amqp_channel_t kProbeChannel = 2;
constexpr uint32_t kFrameMax = 131072;
constexpr size_t kInput = 64 * 1024;
constexpr size_t kArguments = 16 * 1024;  // of a method other than publish

amqp_table_entry_t entry(const char* key, bool value) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  made.value.value.boolean = value ? 1 : 0;
  return made;
}

amqp_table_entry_t entry(const char* key, const amqp_table_t& value) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_TABLE;
  made.value.value.table = value;
  return made;
}

amqp_table_entry_t entry(const char* key, const char* value) {
  amqp_table_entry_t made{};
  made.key = amqp_cstring_bytes(key);
  made.value.kind = AMQP_FIELD_KIND_UTF8;
  made.value.value.bytes = amqp_cstring_bytes(value);
  return made;
}

RabbitmqNews closed(uint16_t code, const amqp_bytes_t& why) {
  RabbitmqNews news;
  news.kind = RabbitmqNews::Kind::kClosed;
  news.code = code;
  news.text = amqp_text(why);
  return news;
}

// The smaller limit; 0 means no limit.
template <typename Number>
Number lesser(Number a, Number b) {
  return a == 0 || (b != 0 && b < a) ? b : a;
}

}  // namespace

RabbitmqLink::RabbitmqLink(std::string name, std::unique_ptr<Socket> socket)
    : name_(std::move(name)),
      socket_(std::move(socket)),
      pool_(new amqp_pool_t),
      input_(kInput),
      frame_(kFrameMax - 8),
      received_at_(Clock::now()),
      sent_at_(received_at_) {
  init_amqp_pool(pool_.get(), 4096);
}

RabbitmqLink::~RabbitmqLink() = default;

Result<std::unique_ptr<RabbitmqLink>> RabbitmqLink::open(const RabbitmqEndpoint& endpoint,
                                                         const RabbitmqConfig& config,
                                                         TimePoint deadline) {
  auto socket = endpoint.tls ? Socket::connect(endpoint.address(), config.tls, deadline)
                             : Socket::connect(endpoint.address(), deadline);
  if (!socket) return tl::unexpected(socket.error());
  std::unique_ptr<RabbitmqLink> link(new RabbitmqLink(endpoint.name(), std::move(*socket)));
  auto outcome = link->login(endpoint, config.heartbeat, deadline);
  if (outcome) outcome = link->prepare(config, deadline);
  if (!outcome) return tl::unexpected(outcome.error());
  return link;
}

Result<RabbitmqLink::Reply> RabbitmqLink::await(amqp_method_number_t answer, TimePoint deadline,
                                                const std::string& doing) {
  const auto failed = [&](const std::string& why) {
    return retry("could not " + doing + ": " + why, name_);
  };
  reply_.reset();
  for (;;) {
    const auto taken = take_frame();
    if (!taken) return failed(taken.error().what);
    if (!news_.empty() && news_.back().kind == RabbitmqNews::Kind::kClosed) {
      return tl::unexpected(rabbitmq_error(news_.back().code, news_.back().text, doing, name_));
    }
    if (reply_ && reply_->id == answer) return *reply_;
    if (*taken) continue;
    const auto flushed = flush();
    const auto received = receive();
    if (!received) return failed(received.error().what);
    if (*received) continue;
    if (!flushed) return failed(flushed.error().what);
    if (Clock::now() >= deadline) return failed("the broker did not answer in time");
    socket_->wait(has_unsent(), deadline);
  }
}

Result<RabbitmqLink::Reply> RabbitmqLink::call(amqp_channel_t channel, amqp_method_number_t id,
                                               void* arguments, amqp_method_number_t answer,
                                               TimePoint deadline, const std::string& doing) {
  if (!append_method(output_, channel, id, arguments, kArguments)) {
    return fatal("could not " + doing + ": a name or password is too long for AMQP", name_);
  }
  return await(answer, deadline, doing);
}

Result<void> RabbitmqLink::login(const RabbitmqEndpoint& endpoint, std::chrono::seconds heartbeat,
                                 TimePoint deadline) {
  const std::string doing = "log in";
  output_.append("AMQP\0\0\x09\x01", 8);
  const auto start = await(AMQP_CONNECTION_START_METHOD, deadline, doing);
  if (!start) return tl::unexpected(start.error());
  if (auto greeted = greet(endpoint); !greeted) return greeted;
  const auto offer = await(AMQP_CONNECTION_TUNE_METHOD, deadline, doing);
  if (!offer) return tl::unexpected(offer.error());
  const auto tuned = tune(*static_cast<const amqp_connection_tune_t*>(offer->arguments), heartbeat);
  if (!tuned) return tuned;
  amqp_connection_open_t open{};
  open.virtual_host = amqp_view(endpoint.vhost);
  const auto opened =
      call(0, AMQP_CONNECTION_OPEN_METHOD, &open, AMQP_CONNECTION_OPEN_OK_METHOD, deadline, doing);
  if (!opened) return tl::unexpected(opened.error());
  return {};
}

Result<void> RabbitmqLink::greet(const RabbitmqEndpoint& endpoint) {
  // Without these capabilities, a broker would not report that it blocks us, and would refuse a
  // login without a reason.
  std::array abilities = {entry("connection.blocked", true), entry("basic.nack", true),
                          entry("publisher_confirms", true),
                          entry("authentication_failure_close", true)};
  const amqp_table_t capabilities = {static_cast<int>(abilities.size()), abilities.data()};
  std::array facts = {entry("product", "walspout"), entry("connection_name", "walspout"),
                      entry("capabilities", capabilities)};
  const std::string login =
      std::string(1, '\0') + endpoint.user + std::string(1, '\0') + endpoint.password.reveal();
  amqp_connection_start_ok_t ok{};
  ok.client_properties = {static_cast<int>(facts.size()), facts.data()};
  ok.mechanism = amqp_cstring_bytes("PLAIN");
  ok.response = amqp_view(login);
  ok.locale = amqp_cstring_bytes("en_US");
  if (append_method(output_, 0, AMQP_CONNECTION_START_OK_METHOD, &ok, kArguments)) return {};
  return fatal("could not log in: user or password is too long for AMQP", name_);
}

Result<void> RabbitmqLink::tune(const amqp_connection_tune_t& offer,
                                std::chrono::seconds heartbeat) {
  amqp_connection_tune_ok_t ok{};
  ok.channel_max = channels_ = lesser<uint16_t>(offer.channel_max, kProbeChannel);
  ok.frame_max = lesser<uint32_t>(offer.frame_max, kFrameMax);
  const auto wanted = static_cast<uint16_t>(std::clamp<int64_t>(heartbeat.count(), 0, UINT16_MAX));
  ok.heartbeat = wanted == 0 ? 0 : lesser<uint16_t>(offer.heartbeat, wanted);
  if (ok.frame_max <= 8) return retry("could not log in: the broker wants tiny frames", name_);
  frame_ = ok.frame_max - 8;
  heartbeat_ = std::chrono::seconds(ok.heartbeat);
  static_cast<void>(append_method(output_, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok, kArguments));
  return {};
}

Result<void> RabbitmqLink::prepare(const RabbitmqConfig& config, TimePoint deadline) {
  amqp_channel_open_t open{};
  const auto opened = call(kChannel, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD,
                           deadline, "open a channel");
  if (!opened) return tl::unexpected(opened.error());
  // The exchange without a name always exists, and must not be declared.
  if (!config.exchange.empty()) {
    const std::string type = config.declare.value_or("direct");
    const bool passive = !config.declare;
    amqp_exchange_declare_t declare{};
    declare.exchange = amqp_view(config.exchange);
    declare.type = amqp_view(type);
    declare.passive = passive ? 1 : 0;
    declare.durable = 1;
    const std::string doing =
        (passive ? "use exchange \"" : "declare exchange \"") + config.exchange + "\"";
    const auto declared = call(kChannel, AMQP_EXCHANGE_DECLARE_METHOD, &declare,
                               AMQP_EXCHANGE_DECLARE_OK_METHOD, deadline, doing);
    if (!declared) return tl::unexpected(declared.error());
  }
  amqp_confirm_select_t select{};
  const auto selected = call(kChannel, AMQP_CONFIRM_SELECT_METHOD, &select,
                             AMQP_CONFIRM_SELECT_OK_METHOD, deadline, "confirm messages");
  if (!selected) return tl::unexpected(selected.error());
  return {};
}

void RabbitmqLink::publish(const RabbitmqMessage& message) {
  append_head(output_, kChannel, message);
  body_ = message.body;
  frame_body();
  ++published_;
}

void RabbitmqLink::frame_body() {
  while (!body_.empty() && output_.size() < kRoom) {
    append_frame(output_, AMQP_FRAME_BODY, kChannel, body_.substr(0, frame_));
    body_.remove_prefix(std::min(frame_, body_.size()));
  }
  if (body_.empty()) kept_body_ = {};
}

void RabbitmqLink::keep_body() {
  if (body_.empty() || !kept_body_.empty()) return;
  kept_body_ = body_;
  body_ = kept_body_;
}

Result<void> RabbitmqLink::flush() {
  for (;;) {
    const auto sent = socket_->send(std::string_view(output_).substr(sent_));
    if (!sent) return tl::unexpected(sent.error());
    if (*sent > 0) sent_at_ = Clock::now();
    sent_ += *sent;
    const bool full = sent_ < output_.size();
    if (full && *sent > 0) continue;
    output_.erase(0, sent_);
    sent_ = 0;
    if (full) return {};
    frame_body();
    if (output_.empty()) return {};
  }
}

// Receives bytes. False: there were none.
Result<bool> RabbitmqLink::receive() {
  const auto got = socket_->receive(input_.data(), input_.size());
  if (!got) return tl::unexpected(got.error());
  if (*got == 0) return false;
  received_at_ = Clock::now();
  reader_.feed({input_.data(), *got});
  return true;
}

// Handles the next frame. False: there was none.
Result<bool> RabbitmqLink::take_frame() {
  const auto frame = reader_.next();
  if (!frame) return tl::unexpected(frame.error());
  if (!*frame) return false;
  const std::string_view payload = (*frame)->payload;
  if ((*frame)->type == AMQP_FRAME_HEADER || (*frame)->type == AMQP_FRAME_BODY) {
    take_content(**frame);
  } else if ((*frame)->type == AMQP_FRAME_METHOD) {
    if (payload.size() < 4) return retry("what came is not AMQP");
    amqp_method_number_t id = 0;
    for (const char byte : payload.substr(0, 4)) id = id << 8 | static_cast<unsigned char>(byte);
    void* arguments = nullptr;
    recycle_amqp_pool(pool_.get());
    if (amqp_decode_method(id, pool_.get(), amqp_view(payload.substr(4)), &arguments) < 0) {
      return retry("what came is not AMQP");
    }
    take_method((*frame)->channel, id, arguments);
  }
  return true;
}

void RabbitmqLink::take_method(amqp_channel_t channel, amqp_method_number_t id,
                               const void* arguments) {
  switch (id) {
    case AMQP_BASIC_ACK_METHOD: {
      const auto& method = *static_cast<const amqp_basic_ack_t*>(arguments);
      take_confirm(channel, RabbitmqNews::Kind::kAck, method.delivery_tag, method.multiple != 0);
      break;
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto& method = *static_cast<const amqp_basic_nack_t*>(arguments);
      take_confirm(channel, RabbitmqNews::Kind::kNack, method.delivery_tag, method.multiple != 0);
      break;
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto& method = *static_cast<const amqp_basic_return_t*>(arguments);
      returned_ = Returned{};
      returned_->news.kind = RabbitmqNews::Kind::kReturn;
      returned_->news.code = method.reply_code;
      returned_->news.text = amqp_text(method.reply_text);
      returned_->news.routing_key = amqp_text(method.routing_key);
      break;
    }
    case AMQP_CONNECTION_BLOCKED_METHOD: {
      RabbitmqNews news;
      news.kind = RabbitmqNews::Kind::kBlocked;
      news.text = amqp_text(static_cast<const amqp_connection_blocked_t*>(arguments)->reason);
      say(std::move(news));
      break;
    }
    case AMQP_CONNECTION_UNBLOCKED_METHOD: {
      RabbitmqNews news;
      news.kind = RabbitmqNews::Kind::kUnblocked;
      say(std::move(news));
      break;
    }
    case AMQP_CHANNEL_CLOSE_METHOD: {
      const auto& method = *static_cast<const amqp_channel_close_t*>(arguments);
      if (channel == kChannel) {
        say(closed(method.reply_code, method.reply_text));
        break;
      }
      // The broker refused the probe, so it reads published messages.
      amqp_channel_close_ok_t ok{};
      if (!has_unsent()) {
        static_cast<void>(
            append_method(output_, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, kArguments));
        probe_channel_ = false;
      }
      take_confirm(channel, RabbitmqNews::Kind::kNack, 0, false);
      break;
    }
    case AMQP_CONNECTION_CLOSE_METHOD: {
      const auto& method = *static_cast<const amqp_connection_close_t*>(arguments);
      say(closed(method.reply_code, method.reply_text));
      break;
    }
    default:
      reply_ = Reply{id, arguments};
  }
}

void RabbitmqLink::take_confirm(amqp_channel_t channel, RabbitmqNews::Kind kind, uint64_t tag,
                                bool multiple) {
  RabbitmqNews news;
  if (channel == kChannel) {
    news.kind = kind;
    news.tag = tag;
    news.multiple = multiple;
  } else {
    if (!probing_) return;
    probing_ = false;
    news.kind = RabbitmqNews::Kind::kProbed;
  }
  say(std::move(news));
}

// Takes the content of a returned message.
void RabbitmqLink::take_content(const RabbitmqFrame& frame) {
  constexpr size_t kFixed = 12;  // class, weight, size of the body
  if (!returned_ || frame.channel != kChannel) return;
  if (frame.type == AMQP_FRAME_BODY) {
    returned_->left -= std::min<uint64_t>(returned_->left, frame.payload.size());
  } else if (frame.payload.size() >= kFixed) {
    for (const char byte : frame.payload.substr(4, 8)) {
      returned_->left = returned_->left << 8 | static_cast<unsigned char>(byte);
    }
    void* decoded = nullptr;
    recycle_amqp_pool(pool_.get());
    if (amqp_decode_properties(AMQP_BASIC_CLASS, pool_.get(),
                               amqp_view(frame.payload.substr(kFixed)), &decoded) >= 0) {
      const auto& properties = *static_cast<const amqp_basic_properties_t*>(decoded);
      returned_->news.id = amqp_text(properties.message_id);
    }
    returned_->has_head = true;
  }
  if (returned_->has_head && returned_->left == 0) {
    say(std::move(returned_->news));
    returned_.reset();
  }
}

TimePoint RabbitmqLink::next_beat() const {
  if (heartbeat_ == Duration::zero()) return TimePoint::max();
  const TimePoint given_up = received_at_ + 2 * heartbeat_;
  return has_unsent() ? given_up : std::min(given_up, sent_at_ + heartbeat_ / 2);
}

// Sends and expects heartbeats. All available bytes must have been received.
Result<void> RabbitmqLink::check_heartbeat() {
  if (heartbeat_ == Duration::zero()) return {};
  const TimePoint now = Clock::now();
  if (now >= received_at_ + 2 * heartbeat_) {
    return retry("the broker has sent no heartbeat for " +
                     std::to_string(2 * heartbeat_ / std::chrono::seconds(1)) + " s",
                 name_);
  }
  // A broker that does not read earlier bytes will not read a heartbeat, either.
  if (now >= sent_at_ + heartbeat_ / 2 && !has_unsent()) {
    append_frame(output_, AMQP_FRAME_HEARTBEAT, 0, "");
    return flush();
  }
  return {};
}

Result<std::optional<RabbitmqNews>> RabbitmqLink::listen(TimePoint until) {
  const bool had_room = has_room();
  for (;;) {
    if (!news_.empty()) {
      RabbitmqNews news = std::move(news_.front());
      news_.pop_front();
      return news;
    }
    const auto taken = take_frame();
    if (!taken) return retry(taken.error().what, name_);
    if (*taken) continue;
    // After a failed send the broker's reason may still be there to read.
    const auto flushed = flush();
    const auto received = receive();
    if (received && *received) continue;
    if (!flushed) return tl::unexpected(flushed.error());
    if (!received) return tl::unexpected(received.error());
    if (auto alive = check_heartbeat(); !alive) return tl::unexpected(alive.error());
    if (!had_room && has_room()) return std::nullopt;
    if (Clock::now() >= until) return std::nullopt;
    socket_->wait(has_unsent(), std::min(until, next_beat()));
  }
}

bool RabbitmqLink::probe() {
  if (probing_) return true;
  if (channels_ < kProbeChannel || has_unsent()) return false;
  if (!probe_channel_) {
    amqp_channel_open_t open{};
    amqp_confirm_select_t select{};
    probe_channel_ =
        append_method(output_, kProbeChannel, AMQP_CHANNEL_OPEN_METHOD, &open, kArguments) &&
        append_method(output_, kProbeChannel, AMQP_CONFIRM_SELECT_METHOD, &select, kArguments);
  }
  RabbitmqMessage message;
  message.routing_key = "walspout asks whether messages are taken, and no queue has this name";
  message.id = "walspout";
  message.persistent = false;
  message.mandatory = false;
  append_head(output_, kProbeChannel, message);
  probing_ = true;
  return true;
}

void RabbitmqLink::close() {
  amqp_connection_close_t bye{};
  bye.reply_code = AMQP_REPLY_SUCCESS;
  bye.reply_text = amqp_cstring_bytes("bye");
  if (has_unsent() || !append_method(output_, 0, AMQP_CONNECTION_CLOSE_METHOD, &bye, kArguments)) {
    return;
  }
  if (flush() && !has_unsent()) socket_->close_gently();
}

}  // namespace walspout
