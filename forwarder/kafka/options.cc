#include "kafka/options.h"

#include <algorithm>
#include <array>

namespace walspout {
namespace {

// Options that every client sets itself, or has a key for.
constexpr std::array kOwned = {
    KafkaOwnedOption{"bootstrap.servers", "brokers"},
    KafkaOwnedOption{"metadata.broker.list", "brokers"},
    KafkaOwnedOption{"log.queue", ""},
    KafkaOwnedOption{"log_level", ""},
    KafkaOwnedOption{"debug", ""},
    KafkaOwnedOption{"statistics.interval.ms", ""},
    KafkaOwnedOption{"enabled_events", ""},
    KafkaOwnedOption{"ut_handle_ApiVersions", ""},
    KafkaOwnedOption{"test.mock.num.brokers", ""},
};

// Options that belong to a section: refused if the configuration has the section.
struct OfSection {
  std::string_view prefix;
  std::string_view section;
};
constexpr std::array kSasl = {OfSection{"sasl.", "sasl"}, OfSection{"security.protocol", "sasl"}};
constexpr std::array kTls = {OfSection{"ssl.ca.", "tls"},
                             OfSection{"ssl.certificate.", "tls"},
                             OfSection{"ssl.key.location", "tls"},
                             OfSection{"ssl.key.pem", "tls"},
                             OfSection{"enable.ssl.certificate.verification", "tls"},
                             OfSection{"security.protocol", "tls"}};

template <size_t n>
std::string_view section_with(const std::array<OfSection, n>& all, const std::string& option) {
  for (const OfSection& one : all) {
    if (std::string_view(option).starts_with(one.prefix)) return one.section;
  }
  return {};
}

// Parts of the names of options that hold secrets.
constexpr std::array<std::string_view, 4> kSecret = {"password", "secret", "key.pem",
                                                     "oauthbearer.config"};

const char* name_of(KafkaSasl::Mechanism mechanism) {
  switch (mechanism) {
    case KafkaSasl::Mechanism::kScramSha256:
      return "SCRAM-SHA-256";
    case KafkaSasl::Mechanism::kScramSha512:
      return "SCRAM-SHA-512";
    case KafkaSasl::Mechanism::kOauthBearer:
      return "OAUTHBEARER";
    case KafkaSasl::Mechanism::kPlain:
      break;
  }
  return "PLAIN";
}

std::string list_of(const TextList& brokers) {
  std::string list;
  for (const std::string& broker : brokers) list += (list.empty() ? "" : ",") + broker;
  return list;
}

}  // namespace

Mask kafka_mask(const KafkaAccess& access) {
  Mask mask;
  if (access.sasl) {
    mask.hide(access.sasl->password.reveal());
    mask.hide(access.sasl->token.reveal());
  }
  for (const auto& option : access.librdkafka) {
    // Words like "true" are not secrets, and many messages contain them.
    const bool secret = std::any_of(kSecret.begin(), kSecret.end(), [&](std::string_view part) {
      return option.first.find(part) != std::string::npos;
    });
    if (secret) mask.hide(option.second.reveal());
  }
  return mask;
}

int kafka_events(const KafkaAccess& access) {
  // Without a configured token, the library may get one itself.
  const bool token = access.sasl && !access.sasl->token.empty();
  return RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
         (token ? RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH : 0);
}

KafkaSetter::KafkaSetter(rd_kafka_conf_t* conf, const KafkaAccess& access)
    : conf_(conf), access_(access) {
  set_all({{"client.id", "walspout"},
           {"socket.keepalive.enable", "true"},
           {"socket.nagle.disable", "true"},
           {"reconnect.backoff.max.ms", "1000"}});
}

bool KafkaSetter::set(const std::string& option, const std::string& value) {
  std::array<char, 512> said{};
  switch (rd_kafka_conf_set(conf_, option.c_str(), value.c_str(), said.data(), said.size())) {
    case RD_KAFKA_CONF_OK:
      return true;
    case RD_KAFKA_CONF_UNKNOWN:
      problem_ = "librdkafka " + std::string(rd_kafka_version_str()) + " has no option \"" +
                 option + "\": " + said.data();
      return false;
    case RD_KAFKA_CONF_INVALID:
      break;
  }
  problem_ = "option \"" + option + "\": " + said.data();
  return false;
}

bool KafkaSetter::set_all(std::initializer_list<std::pair<std::string, std::string>> options) {
  return std::all_of(options.begin(), options.end(), [this](const auto& option) {
    return option.second.empty() || set(option.first, option.second);
  });
}

// Why a user may not set the option; empty: allowed.
std::string KafkaSetter::refusal(const std::string& option, std::span<const KafkaOwnedOption> owned,
                                 std::string_view who) const {
  const std::string owner(who);
  for (const std::span<const KafkaOwnedOption> list :
       {owned, std::span(kOwned).first(kOwned.size())}) {
    for (const KafkaOwnedOption& one : list) {
      if (one.option != option) continue;
      return one.key.empty()
                 ? "the " + owner + " relies on the value that it sets itself: take it out"
                 : "set \"" + std::string(one.key) + "\" of the " + owner + " instead";
    }
  }
  std::string_view section;
  if (access_.sasl) section = section_with(kSasl, option);
  if (section.empty() && access_.tls) section = section_with(kTls, option);
  if (section.empty()) return "";
  return "it belongs to \"" + std::string(section) + "\" of the " + owner + ", which is there";
}

bool KafkaSetter::set_access(std::span<const KafkaOwnedOption> owned, std::string_view who) {
  for (const auto& [option, value] : access_.librdkafka) {
    if (const std::string why = refusal(option, owned, who); !why.empty()) {
      problem_ = "librdkafka: \"" + option + "\" cannot be set: " + why;
      return false;
    }
    if (!set(option, value.reveal())) {
      problem_.insert(0, "librdkafka: ");
      return false;
    }
  }
  return set_connection() &&
         set_all({{"bootstrap.servers", list_of(access_.brokers)}, {"log.queue", "true"}});
}

bool KafkaSetter::set_connection() {
  if (access_.sasl || access_.tls) {
    const std::string protocol =
        std::string(access_.sasl ? "sasl_" : "") + (access_.tls ? "ssl" : "plaintext");
    if (!set("security.protocol", protocol)) return false;
  }
  if (access_.tls &&
      !set_all({{"ssl.ca.location", access_.tls->ca_file},
                {"ssl.certificate.location", access_.tls->cert_file},
                {"ssl.key.location", access_.tls->key_file},
                {"enable.ssl.certificate.verification", access_.tls->verify ? "true" : "false"}})) {
    return false;
  }
  return !access_.sasl || set_sasl(*access_.sasl);
}

bool KafkaSetter::set_sasl(const KafkaSasl& sasl) {
  if (!set("sasl.mechanisms", name_of(sasl.mechanism))) return false;
  return set_all({{"sasl.username", sasl.user}, {"sasl.password", sasl.password.reveal()}});
}

}  // namespace walspout
