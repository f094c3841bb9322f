#include "sink/kafka/options.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace walspout {
namespace {

static_assert(sizeof(void*) == 8, "an opaque value holds two numbers of 32 bits");

// Options that the sink needs as they are, or has a key for.
struct Owned {
  std::string_view option;
  std::string_view key;  // empty: the sink relies on what it sets
};
constexpr std::array kOwned = {
    Owned{"bootstrap.servers", "brokers"},
    Owned{"metadata.broker.list", "brokers"},
    Owned{"compression.codec", "compression"},
    Owned{"compression.type", "compression"},
    Owned{"linger.ms", "linger"},
    Owned{"queue.buffering.max.ms", "linger"},
    Owned{"queue.buffering.max.messages", "unconfirmed"},
    Owned{"queue.buffering.max.kbytes", "unconfirmed"},
    Owned{"message.timeout.ms", "deliver_timeout"},
    Owned{"delivery.timeout.ms", "deliver_timeout"},
    Owned{"transactional.id", "exactly_once"},
    Owned{"enable.idempotence", ""},
    Owned{"enable.gapless.guarantee", ""},
    Owned{"acks", ""},
    Owned{"request.required.acks", ""},
    Owned{"retries", ""},
    Owned{"message.send.max.retries", ""},
    Owned{"delivery.report.only.error", ""},
    Owned{"partitioner", ""},
    Owned{"sticky.partitioning.linger.ms", ""},
    Owned{"allow.auto.create.topics", "create_topics"},
    Owned{"log.queue", ""},
    Owned{"log_level", ""},
    Owned{"debug", ""},
    Owned{"statistics.interval.ms", ""},
    Owned{"enabled_events", ""},
    Owned{"isolation.level", ""},
    Owned{"enable.partition.eof", ""},
    Owned{"ut_handle_ApiVersions", ""},
    Owned{"test.mock.num.brokers", ""},
};

// The same of options that belong to a section: refused where that is there.
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

// Why a user may not set the option; empty: the user may.
std::string refusal(const KafkaConfig& config, const std::string& option) {
  for (const Owned& owned : kOwned) {
    if (owned.option != option) continue;
    return owned.key.empty() ? "the sink relies on the value that it sets itself: take it out"
                             : "set \"" + std::string(owned.key) + "\" of the sink instead";
  }
  std::string_view section;
  if (config.sasl) section = section_with(kSasl, option);
  if (section.empty() && config.tls) section = section_with(kTls, option);
  if (section.empty()) return "";
  return "it belongs to \"" + std::string(section) + "\" of the sink, which is there";
}

// Messages with a key go where Java's clients put them; those without one, all of a table to one
// place.
int32_t partition_of(const rd_kafka_topic_t* topic, const void* key, size_t size,
                     int32_t partitions, void* topic_opaque, void* opaque) {
  if (key != nullptr) {
    return rd_kafka_msg_partitioner_murmur2(topic, key, size, partitions, topic_opaque, opaque);
  }
  const auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(opaque) >> 32);
  return static_cast<int32_t>(place % static_cast<uint32_t>(partitions));
}

// What librdkafka takes, or its words why not.
class Setter {
 public:
  explicit Setter(rd_kafka_conf_t* conf) : conf_(conf) {}

  bool set(const std::string& option, const std::string& value) {
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
  bool set_all(std::initializer_list<std::pair<std::string, std::string>> options) {
    return std::all_of(options.begin(), options.end(), [this](const auto& option) {
      return option.second.empty() || set(option.first, option.second);
    });
  }
  const std::string& problem() const { return problem_; }

 private:
  rd_kafka_conf_t* conf_;
  std::string problem_;
};

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

bool set_sasl(Setter& to, const KafkaSasl& sasl) {
  if (!to.set("sasl.mechanisms", name_of(sasl.mechanism))) return false;
  return to.set_all({{"sasl.username", sasl.user}, {"sasl.password", sasl.password.reveal()}});
}

bool set_connection(Setter& to, const KafkaConfig& config) {
  if (config.sasl || config.tls) {
    const std::string protocol =
        std::string(config.sasl ? "sasl_" : "") + (config.tls ? "ssl" : "plaintext");
    if (!to.set("security.protocol", protocol)) return false;
  }
  if (config.tls && !to.set_all({{"ssl.ca.location", config.tls->ca_file},
                                 {"ssl.certificate.location", config.tls->cert_file},
                                 {"ssl.key.location", config.tls->key_file},
                                 {"enable.ssl.certificate.verification",
                                  config.tls->verify ? "true" : "false"}})) {
    return false;
  }
  return !config.sasl || set_sasl(to, *config.sasl);
}

std::string list_of(const TextList& brokers) {
  std::string list;
  for (const std::string& broker : brokers) list += (list.empty() ? "" : ",") + broker;
  return list;
}

// What users may have otherwise.
bool set_defaults(Setter& to) {
  return to.set_all({{"client.id", "walspout"},
                     {"socket.keepalive.enable", "true"},
                     {"socket.nagle.disable", "true"},
                     {"reconnect.backoff.max.ms", "1000"},
                     // Brokers take no request of more than 100 MiB, unless told to.
                     {"message.max.bytes", "100000000"},
                     {"batch.num.messages", "100000"}});
}

// What no user may have otherwise.
bool set_rules(Setter& to, const KafkaConfig& config) {
  return to.set_all({{"bootstrap.servers", list_of(config.brokers)},
                     {"enable.idempotence", "true"},
                     {"acks", "all"},
                     {"compression.codec", config.compression},
                     {"linger.ms", std::to_string(config.linger.count())},
                     // How long to wait the caller decides. A message that the library gives up
                     // leaves a gap, and the order would be lost behind it.
                     {"message.timeout.ms", "0"},
                     {"queue.buffering.max.messages", "10000000"},
                     {"queue.buffering.max.kbytes", "2147483647"},
                     {"sticky.partitioning.linger.ms", "0"},
                     {"allow.auto.create.topics", "false"},
                     {"log.queue", "true"}});
}

}  // namespace

void* kafka_opaque(uint64_t number, uint32_t place) {
  return reinterpret_cast<void*>((uintptr_t{place} << 32) | (number & UINT32_MAX));
}

uint64_t kafka_number(const void* opaque, uint64_t first) {
  const auto low = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(opaque));
  return first + static_cast<uint32_t>(low - static_cast<uint32_t>(first));
}

Mask kafka_mask(const KafkaConfig& config) {
  Mask mask;
  if (config.sasl) {
    mask.hide(config.sasl->password.reveal());
    mask.hide(config.sasl->token.reveal());
  }
  for (const auto& option : config.librdkafka) {
    // Words like "true" are no secrets, and are in every other message.
    const bool secret = std::any_of(kSecret.begin(), kSecret.end(), [&](std::string_view part) {
      return option.first.find(part) != std::string::npos;
    });
    if (secret) mask.hide(option.second.reveal());
  }
  return mask;
}

Result<KafkaOptions> kafka_options(const KafkaConfig& config) {
  KafkaOptions options(rd_kafka_conf_new());
  rd_kafka_topic_conf_t* topic = rd_kafka_topic_conf_new();
  rd_kafka_topic_conf_set_partitioner_cb(topic, partition_of);
  rd_kafka_conf_set_default_topic_conf(options.get(), topic);
  // Without a token of ours the library may know how to get one itself.
  const bool token = config.sasl && !config.sasl->token.empty();
  rd_kafka_conf_set_events(options.get(),
                           RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG |
                               (token ? RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH : 0));
  Setter to(options.get());
  const auto refused = [&](const std::string& problem) {
    return misconfigured(kafka_mask(config).apply(problem));
  };
  if (!set_defaults(to)) return refused(to.problem());
  for (const auto& [option, value] : config.librdkafka) {
    if (const std::string why = refusal(config, option); !why.empty()) {
      return refused("librdkafka: \"" + option + "\" cannot be set: " + why);
    }
    if (!to.set(option, value.reveal())) return refused("librdkafka: " + to.problem());
  }
  if (!set_connection(to, config) || !set_rules(to, config)) return refused(to.problem());
  return options;
}

}  // namespace walspout
