#include "sink/renewed.h"

#include <algorithm>
#include <utility>

namespace walspout {

bool RenewedSink::is_needed(const SinkConfig& config) {
  SinkConfig copy = config;
  const std::vector<Secret*> secrets = secrets_of(copy);
  return std::any_of(secrets.begin(), secrets.end(),
                     [](const Secret* secret) { return !secret->file().empty(); });
}

// Whether a file holds another secret, so that a new sink replaced the old one. Error: a file has
// no usable secret.
Result<bool> RenewedSink::renew() {
  SinkConfig fresh = config_;
  bool changed = false;
  std::optional<Error> unreadable;
  for (Secret* secret : secrets_of(fresh)) {
    Result<std::optional<Secret>> again = secret->reread();
    if (!again) {
      unreadable = std::move(again.error());
    } else if (*again) {
      *secret = std::move(**again);
      changed = true;
    }
  }
  if (changed) {
    Result<std::unique_ptr<Sink>> made = make_(fresh);
    if (!made) return with_prefix("the new secret cannot be used, the old one stays", made.error());
    (*made)->take_over_from(*sink_);
    sink_ = std::move(*made);
    if (listener_) sink_->listen(listener_);
    config_ = std::move(fresh);
    unchecked_ = true;
  }
  if (unreadable && !changed) return Failure(std::move(*unreadable));
  return changed;
}

Result<void> RenewedSink::check(const SourceState& source, TimePoint deadline) {
  // The WAL grows: a later check must not use this position.
  source_ = source;
  source_.wal_position = {};
  Result<void> checked = sink_->check(source, deadline);
  unchecked_ = false;
  if (checked) return checked;
  Result<bool> renewed = renew();
  if (!renewed) checked.error().what += ". " + renewed.error().message();
  // A second check would not report the same loss again, so return this error.
  if (!renewed || !*renewed || checked.error().loss) return checked;
  unchecked_ = false;
  return sink_->check(source, deadline);
}

Delivery RenewedSink::deliver(std::span<const Event> events, TimePoint deadline,
                              Progress& progress) {
  Delivery delivery;
  if (unchecked_) {
    Result<void> checked = sink_->check(source_, deadline);
    if (checked) {
      unchecked_ = false;
    } else {
      delivery = tl::unexpected(DeliveryError{std::move(checked.error()), 0, std::nullopt});
    }
  }
  if (delivery) delivery = sink_->deliver(events, deadline, progress);
  if (delivery || progress.is_halted()) return delivery;
  Result<bool> renewed = renew();
  Error& error = delivery.error().error;
  if (!renewed) {
    error.what += ". " + renewed.error().message();
  } else if (*renewed) {
    error.what += ". Its secret has changed, and was read again";
    error.kind = ErrorKind::kRetry;
    error.blamed = Scope::kDestination;
  }
  return delivery;
}

Result<void> RenewedSink::reopen() {
  Result<bool> renewed = renew();
  Result<void> reopened = sink_->reopen();
  if (!reopened || renewed) return reopened;
  return Failure(std::move(renewed.error()));
}

}  // namespace walspout
