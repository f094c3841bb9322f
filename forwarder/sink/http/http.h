// Sends events to a webhook.
//
// An event, or a batch of them as a JSON array, is the body of a POST. Requests go out in parallel
// lanes. Events with the same key share a lane, and a lane sends one request at a time, so events
// of a key arrive in order.
//
// Requests are signed as Standard Webhooks specifies. `webhook-id` is the event's id. For an array
// of several events it is made of all their ids. So a receiver that drops known ids never drops an
// array with other events.
//
// answer.h says what each answer means.
#pragma once

#include <curl/curl.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mask.h"
#include "sink/common/window.h"
#include "sink/http/config.h"
#include "sink/http/lane.h"
#include "sink/http/signature.h"
#include "stream/sink.h"

namespace walspout {

class HttpSink final : public Sink, private WindowClient {
 public:
  // Error: kFatal. Connects to nothing.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> create(const HttpConfig& config);
  ~HttpSink() override;

  std::string_view type() const override { return "http"; }
  std::string_view endpoint() const override { return name_; }
  BatchLimits limits() const override;
  // Connects, with TLS, and sends nothing: no request suits every webhook.
  [[nodiscard]] Result<void> check(const SourceState& source, TimePoint deadline) override;
  [[nodiscard]] Delivery deliver(std::span<const Event> events, TimePoint deadline,
                                 Progress& progress) override {
    return window_.deliver(events, deadline, progress);
  }

 private:
  struct Post {
    uint64_t number;  // in the window
    const Event* event;
  };
  using Batch = std::vector<Post>;
  struct Lane {
    explicit Lane(const HttpConfig& config) : http(config) {}

    HttpLane http;
    std::deque<Post> waiting;
    Batch under_way;    // in the request
    bool used = false;  // in the current call
  };
  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };

  HttpSink(const HttpConfig& config, HttpSigner signer);

  // The lanes connect by themselves.
  [[nodiscard]] Result<Connection> connect(TimePoint) override { return Connection::kSame; }
  bool is_connected() const override { return true; }
  void begin(TimePoint deadline) override;
  [[nodiscard]] Result<bool> submit(uint64_t number, const Event& event) override;
  [[nodiscard]] tl::expected<void, Broken> poll(TimePoint until, Flight& flight) override;
  void withdraw(Flight& flight) override;
  // Closes the connections of requests in flight.
  void abandon() override;
  Error late(const Flight& flight) const override;

  bool may_start(const Lane& lane) const;
  void start(Lane& lane);
  std::vector<std::string_view> body_of(const Batch& batch) const;
  std::vector<std::string> headers_for(const Batch& batch,
                                       const std::vector<std::string_view>& body) const;
  void add_cloudevent(const Event& event, std::vector<std::string>& headers) const;
  bool transfer(Flight& flight);
  void collect(Flight& flight);
  // Ends requests whose answer counts but continues; at the deadline, all requests.
  void cut(Flight& flight);
  void finish(Lane& lane, CURLcode code, Flight& flight);
  // How long to wait for curl, at most.
  TimePoint wait_until(TimePoint until) const;
  void settle(Lane& lane, Delivery outcome, Flight& flight);

  HttpConfig config_;
  HttpSigner signer_;
  Mask mask_;  // hides secrets in errors
  std::string name_;
  std::vector<std::string> fixed_headers_;

  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // freed before multi_
  size_t busy_ = 0;                           // requests in flight
  TimePoint deadline_;                        // of the current call
  Window window_;
};

}  // namespace walspout
