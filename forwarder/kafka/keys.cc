#include "kafka/keys.h"

#include <optional>

namespace walspout {

std::string kafka_name(const KafkaAccess& access) {
  std::string name;
  for (const std::string& broker : access.brokers) name += (name.empty() ? "" : ",") + broker;
  return "kafka://" + name;
}

KeyTable<KafkaSasl> kafka_sasl_table() {
  using Mechanism = KafkaSasl::Mechanism;
  KeyTable<KafkaSasl> table;
  table
      .choice<Mechanism>("mechanism", &KafkaSasl::mechanism,
                         {{"plain", Mechanism::kPlain},
                          {"scram-sha-256", Mechanism::kScramSha256},
                          {"scram-sha-512", Mechanism::kScramSha512},
                          {"oauthbearer", Mechanism::kOauthBearer}},
                         "How to log in")
      .required()
      .key("user", &KafkaSasl::user, "User of `plain` and `scram-…`")
      .key("password", &KafkaSasl::password, "Password of the user")
      .key("token", &KafkaSasl::token,
           "Token of `oauthbearer`; as `file:PATH` it is read again when it gets old")
      .rule([](KafkaSasl& sasl, const Section::Has& has) -> std::optional<KeyProblem> {
        const bool oauth = sasl.mechanism == Mechanism::kOauthBearer;
        const TextList wanted = oauth ? TextList{"token"} : TextList{"user", "password"};
        for (const std::string& key : wanted) {
          if (has("mechanism") && !has(key)) {
            return KeyProblem{"mechanism", "this mechanism needs \"" + key + "\""};
          }
        }
        return std::nullopt;
      });
  return table;
}

// host:port, or [address]:port.
std::string kafka_broker_problem(const std::string& broker) {
  const size_t colon = broker.rfind(':');
  const std::string port = colon == std::string::npos ? "" : broker.substr(colon + 1);
  const bool number = !port.empty() && port.size() <= 5 &&
                      port.find_first_not_of("0123456789") == std::string::npos;
  if (colon == 0 || !number || broker.find_first_of("/, @") != std::string::npos) {
    return "must name brokers as HOST:PORT";
  }
  return "";
}

}  // namespace walspout
