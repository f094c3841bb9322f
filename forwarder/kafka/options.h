// The options of librdkafka that every client has.
#pragma once

#include <librdkafka/rdkafka.h>

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/mask.h"
#include "kafka/config.h"

namespace walspout {

struct KafkaFree {
  void operator()(rd_kafka_conf_t* conf) const { rd_kafka_conf_destroy(conf); }
};
using KafkaOptions = std::unique_ptr<rd_kafka_conf_t, KafkaFree>;

// An option that no user may set in `librdkafka`.
struct KafkaOwnedOption {
  std::string_view option;
  std::string_view key;  // the key to set instead; empty: walspout relies on its own value
};

// Hides the configuration's secrets.
[[nodiscard]] Mask kafka_mask(const KafkaAccess& access);

// The events that KafkaHandle handles.
[[nodiscard]] int kafka_events(const KafkaAccess& access);

// Sets options until the library rejects one.
class KafkaSetter {
 public:
  // Sets defaults that users may change.
  KafkaSetter(rd_kafka_conf_t* conf, const KafkaAccess& access);

  bool set(const std::string& option, const std::string& value);
  bool set_all(std::initializer_list<std::pair<std::string, std::string>> options);

  // Sets the user's options, and how to reach the brokers. Refuses options in `owned`, and those
  // that every client owns. `who`, for errors: "sink" or "source".
  bool set_access(std::span<const KafkaOwnedOption> owned, std::string_view who);

  // Why an option was rejected, without secrets: for misconfigured().
  std::string problem() const { return kafka_mask(access_).apply(problem_); }

 private:
  std::string refusal(const std::string& option, std::span<const KafkaOwnedOption> owned,
                      std::string_view who) const;
  bool set_connection();
  bool set_sasl(const KafkaSasl& sasl);

  rd_kafka_conf_t* conf_;
  const KafkaAccess& access_;
  std::string problem_;
};

}  // namespace walspout
