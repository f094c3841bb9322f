#include "sink/sinks.h"

#include "sink/file.h"
#include "sink/http.h"
#include "sink/null.h"
#include "sink/rabbitmq.h"
#include "sink/redis.h"
#include "sink/renewed.h"
#include "sink/stdout.h"

namespace walspout {
namespace {

// One line a sink.
struct Make {
  using Made = Result<std::unique_ptr<Sink>>;

  Made operator()(const NullConfig& config) const { return std::make_unique<NullSink>(config); }
  Made operator()(const StdoutConfig& config) const { return std::make_unique<StdoutSink>(config); }
  Made operator()(const FileConfig& config) const { return std::make_unique<FileSink>(config); }
  Made operator()(const RedisConfig& config) const { return RedisSink::create(config); }
  Made operator()(const HttpConfig& config) const { return HttpSink::create(config); }
  Made operator()(const RabbitmqConfig& config) const { return RabbitmqSink::create(config); }
};

}  // namespace

Result<std::unique_ptr<Sink>> make_sink(const SinkConfig& config) {
  const auto make = [](const SinkConfig& from) { return std::visit(Make(), from.options); };
  auto sink = make(config);
  if (!sink || !RenewedSink::is_needed(config)) return sink;
  return std::make_unique<RenewedSink>(config, std::move(*sink), make);
}

std::optional<std::string> shared_destination(const SinkConfig& a, const SinkConfig& b) {
  const auto* one = std::get_if<RedisConfig>(&a.options);
  const auto* other = std::get_if<RedisConfig>(&b.options);
  return one && other ? RedisSink::common_stream(*one, *other) : std::nullopt;
}

}  // namespace walspout
