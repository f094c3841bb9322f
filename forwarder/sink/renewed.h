// A sink whose secrets are in files: they are read again after an error, and on SIGHUP.
//
// A sink gets its secrets when it is made. So when a file changes, a new sink replaces the old one
// and takes over what the old one knows. No event is at fault when a password changes: the old
// sink's error becomes kRetry.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "sink/sinks.h"
#include "stream/sink.h"

namespace walspout {

class RenewedSink : public Sink {
 public:
  using Make = std::function<Result<std::unique_ptr<Sink>>(const SinkConfig&)>;

  // Whether a secret of the configuration is in a file.
  static bool is_needed(const SinkConfig& config);

  // `sink` was made by `make` from `config`.
  RenewedSink(SinkConfig config, std::unique_ptr<Sink> sink, Make make)
      : config_(std::move(config)), make_(std::move(make)), sink_(std::move(sink)) {}

  std::string_view type() const override { return sink_->type(); }
  std::string_view endpoint() const override { return sink_->endpoint(); }
  BatchLimits limits() const override { return sink_->limits(); }
  std::vector<std::string> warnings() const override { return sink_->warnings(); }
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  // With new secrets, messages in flight are abandoned, and the caller delivers their events again.
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override;
  void idle() override { sink_->idle(); }
  void let_go() override { sink_->let_go(); }
  void listen(Listener listener) override {
    listener_ = std::move(listener);
    sink_->listen(listener_);
  }
  [[nodiscard]] Result<void> reopen() override;

 private:
  Result<bool> renew();

  SinkConfig config_;
  const Make make_;
  std::unique_ptr<Sink> sink_;
  Listener listener_;
  SourceState source_;      // that the sink was checked with
  bool unchecked_ = false;  // since it was made
};

}  // namespace walspout
