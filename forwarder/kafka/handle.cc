#include "kafka/handle.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/farewell.h"
#include "kafka/errors.h"

namespace walspout {
namespace {

constexpr Milliseconds kFirstWait{50};
// A host may have several addresses, which the library tries one after the other.
constexpr Milliseconds kDownFor{1'000};
constexpr Milliseconds kTellingFor{10'000};
constexpr std::chrono::minutes kTokenFor{5};
constexpr int kWarning = 4;  // a level of syslog

}  // namespace

int kafka_timeout(TimePoint until) {
  const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

Result<void> KafkaHandle::make(rd_kafka_type_t type, const KafkaOptions& options,
                               const std::vector<std::pair<const char*, std::string>>& extra) {
  KafkaOptions copy(rd_kafka_conf_dup(options.get()));
  std::array<char, 512> said{};
  for (const auto& [option, value] : extra) {
    const auto set = rd_kafka_conf_set(copy.get(), option, value.c_str(), said.data(), said.size());
    if (set != RD_KAFKA_CONF_OK) return misconfigured(mask_.apply(said.data()), where_);
  }
  handle_ = rd_kafka_new(type, copy.get(), said.data(), said.size());
  if (handle_ == nullptr) return misconfigured(mask_.apply(said.data()), where_);
  (void)copy.release();  // the client has it
  rd_kafka_set_log_queue(handle(), nullptr);
  queue_.reset(rd_kafka_queue_get_main(handle()));
  return {};
}

void KafkaHandle::end(int flags, Goodbye goodbye, Milliseconds patience) {
  rd_kafka_queue_t* queue = queue_.release();
  rd_kafka_t* handle = std::exchange(handle_, nullptr);
  const auto all = [handle, queue, flags, goodbye = std::move(goodbye)] {
    if (handle != nullptr && goodbye) goodbye(handle, queue);
    if (queue != nullptr) rd_kafka_queue_destroy(queue);
    if (handle != nullptr) rd_kafka_destroy_flags(handle, flags);
  };
  if (handle != nullptr) {
    end_within(all, patience);
  } else {
    all();
  }
}

Result<void> KafkaHandle::reach(TimePoint deadline) {
  for (Milliseconds wait = kFirstWait;; wait *= 2) {
    const struct rd_kafka_metadata* got = nullptr;
    const int timeout = kafka_timeout(std::min(deadline, Clock::now() + wait));
    const auto code = rd_kafka_metadata(handle(), 0, nullptr, &got, timeout);
    const KafkaOwned<const struct rd_kafka_metadata> metadata(got);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      forget_trouble();
      return {};
    }
    while (KafkaOwned<rd_kafka_event_t> event{rd_kafka_queue_poll(queue_.get(), 0)}) {
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) continue;
      if (auto heard = handle_event(event.get()); !heard) return heard;
    }
    if (trouble_ && trouble_->kind == ErrorKind::kFatal) return tl::unexpected(*trouble_);
    const bool down = down_since_ && Clock::now() - *down_since_ >= kDownFor;
    if (!down && Clock::now() < deadline) continue;
    if (trouble_) return tl::unexpected(*trouble_);
    return retry("no broker answered in time: " + std::string(rd_kafka_err2str(code)), where_);
  }
}

Result<void> KafkaHandle::handle_event(rd_kafka_event_t* event) {
  switch (rd_kafka_event_type(event)) {
    case RD_KAFKA_EVENT_ERROR:
      return handle_error(event);
    case RD_KAFKA_EVENT_LOG:
      handle_log(event);
      break;
    case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
      give_token();
      break;
    default:
      break;
  }
  return {};
}

// The library asks for the next token before the lifetime given here ends.
void KafkaHandle::give_token() {
  Secret token = access_.sasl->token;
  if (auto changed = token.reread(); !changed) {
    trouble_ = changed.error();
  } else if (*changed) {
    token = std::move(**changed);
  }
  const auto until = std::chrono::system_clock::now() + kTokenFor;
  const auto at = std::chrono::duration_cast<Milliseconds>(until.time_since_epoch()).count();
  std::array<char, 512> said{};
  const auto code = rd_kafka_oauthbearer_set_token(handle(), token.reveal().c_str(), at, "walspout",
                                                   nullptr, 0, said.data(), said.size());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  trouble_ = Error{ErrorKind::kRetry, "sasl.token: " + mask_.apply(said.data()), where_};
  rd_kafka_oauthbearer_set_token_failure(handle(), said.data());
}

void KafkaHandle::handle_log(rd_kafka_event_t* event) {
  const char* facility = nullptr;
  const char* text = nullptr;
  int level = 0;
  if (rd_kafka_event_log(event, &facility, &text, &level) != 0 || level > kWarning) return;
  // Errors also arrive as error events, which say more.
  if (!trouble_) trouble_ = Error{ErrorKind::kRetry, mask_.apply(text), where_};
}

Result<void> KafkaHandle::handle_error(rd_kafka_event_t* event) {
  const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  std::string text = mask_.apply(rd_kafka_event_error_string(event));
  if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(event)) {
    std::array<char, 512> said{};
    const auto cause = rd_kafka_fatal_error(handle(), said.data(), said.size());
    Error error = kafka_trouble(cause, mask_.apply(said.data()), {}, where_);
    if (error.kind == ErrorKind::kRetry) {
      error.what = "the client of the library cannot go on, and is re-created: " + error.what;
    }
    return tl::unexpected(std::move(error));
  }
  // The errors of connections, before this error or after it, say why.
  if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    note_down();
    return {};
  }
  // A host may have several addresses: one may say what is wrong, and the next one just refuse.
  const bool telling = code != RD_KAFKA_RESP_ERR__TRANSPORT;
  if (!telling && telling_until_ && Clock::now() < *telling_until_) return {};
  if (telling) telling_until_ = Clock::now() + kTellingFor;
  trouble_ = kafka_trouble(code, std::move(text), access_.tls.value_or(TlsConfig{}), where_);
  return {};
}

}  // namespace walspout
