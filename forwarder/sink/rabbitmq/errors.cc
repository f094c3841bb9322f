#include "sink/rabbitmq/errors.h"

#include <array>
#include <charconv>

namespace walspout {
namespace {

struct Meaning {
  uint16_t code;
  std::string_view sign;  // in the text; empty: any
  ErrorKind kind;
  std::string_view remedy;
};

// The first match counts.
constexpr std::array kMeanings = {
    Meaning{403, "Login was refused", ErrorKind::kFatal,
            "correct user and password in url (\"guest\" may only log in from the broker's own "
            "machine)"},
    Meaning{403, "", ErrorKind::kFatal,
            "the user lacks a permission: rabbitmqctl set_permissions -p VHOST USER CONFIGURE "
            "WRITE READ, with patterns that cover the exchange under CONFIGURE (if declare is "
            "set) and WRITE"},
    Meaning{404, "no exchange", ErrorKind::kFatal,
            "declare the exchange on the broker, set declare to its type, or correct exchange"},
    Meaning{406, "larger than", ErrorKind::kReject,
            "raise max_message_size in rabbitmq.conf, or set max_value_bytes in the source"},
    Meaning{311, "", ErrorKind::kReject,
            "raise max_message_size in rabbitmq.conf, or set max_value_bytes in the source"},
    Meaning{406, "inequivalent arg", ErrorKind::kFatal,
            "the exchange exists and is another: set declare to its type, take declare out, or "
            "choose another exchange"},
    Meaning{406, "unknown exchange type", ErrorKind::kFatal,
            "declare is a type that the broker has: direct, topic, fanout or headers"},
    Meaning{503, "exchange type", ErrorKind::kFatal,
            "declare is a type that the broker has: direct, topic, fanout or headers"},
    Meaning{530, "connection limit", ErrorKind::kRetry,
            "the broker has no connection left: close idle ones, or raise the limit "
            "(rabbitmqctl set_vhost_limits, set_user_limits); a dead connection counts until its "
            "heartbeat fails"},
    Meaning{530, "", ErrorKind::kFatal,
            "create the vhost (rabbitmqctl add_vhost), give the user permissions in it, or correct "
            "the end of url"},
    Meaning{402, "", ErrorKind::kFatal, "correct the vhost at the end of url"},
    Meaning{320, "", ErrorKind::kRetry, "the broker is shutting down or was told to: this passes"},
    Meaning{506, "", ErrorKind::kRetry, "the broker lacks memory or disk: see its log"},
};

}  // namespace

Error rabbitmq_error(uint16_t code, std::string_view text, std::string_view doing,
                     std::string_view where) {
  std::string what = "RabbitMQ refused to " + std::string(doing) + ": " + std::to_string(code) +
                     " " + std::string(text);
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code != code) continue;
    if (!meaning.sign.empty() && text.find(meaning.sign) == std::string_view::npos) continue;
    return {meaning.kind, what + ". Remedy: " + std::string(meaning.remedy), std::string(where)};
  }
  return {ErrorKind::kRetry, what, std::string(where)};
}

size_t rabbitmq_refused_size(std::string_view text) {
  constexpr std::string_view kSign = "message size ";
  const size_t at = text.find(kSign);
  if (at == std::string_view::npos) return 0;
  size_t size = 0;
  std::from_chars(text.data() + at + kSign.size(), text.data() + text.size(), size);
  return size;
}

}  // namespace walspout
