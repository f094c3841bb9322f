// One request at a time to the receiver: a curl handle, what it sends and what came back.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sink/http/answer.h"
#include "sink/http/config.h"
#include "stream/sink.h"

namespace walspout {

class HttpLane {
 public:
  // The configuration outlives the lane.
  explicit HttpLane(const HttpConfig& config);
  HttpLane(const HttpLane&) = delete;
  HttpLane& operator=(const HttpLane&) = delete;

  // Makes the handle ready to be given to curl. The body is the pieces, which stay where they are
  // until the request is over or was taken from curl; headers are copied.
  void prepare(std::vector<std::string_view> body, const std::vector<std::string>& headers,
               TimePoint deadline);

  // Of the request that curl ended with this code, before outcome(). After an answer that sends us
  // elsewhere on the same server, as often as the configuration allows: makes the handle ready to
  // go there. False: there is no such answer.
  [[nodiscard]] bool follow(CURLcode code, TimePoint deadline);

  // Connects, TLS included, and sends nothing. For a lane that has no request.
  [[nodiscard]] Delivery look(TimePoint deadline, int64_t now);

  CURL* handle() const { return handle_.get(); }

  // When to stop reading what follows an answer's headers; never, before the answer counts. Then
  // the handle is taken from curl, and the request is over.
  TimePoint enough_at();

  // Of the request that is over. Success is a 2xx: its complete headers acknowledge the request,
  // whatever follows them, if all of the request was sent. Headers that curl refuses count as
  // complete. Error: as in judge_answer(), or kRetry if there was no answer, kFatal if the
  // configuration forbids there ever being one.
  [[nodiscard]] Delivery outcome(CURLcode code, int64_t now) const;

 private:
  struct Free {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };

  static size_t read(char* buffer, size_t size, size_t count, void* lane);
  static int seek(void* lane, curl_off_t offset, int origin);
  static size_t write(char* data, size_t size, size_t count, void* lane);
  static size_t header(char* data, size_t size, size_t count, void* lane);

  void set_tls();
  void rewind(TimePoint deadline);
  void begin_answer(std::string_view line);
  // Whether the answer's status decides: a 2xx does once all of the request is sent.
  bool counts() const;
  bool is_refused(CURLcode code) const;
  bool is_sent() const;
  std::string elsewhere() const;
  std::string why_late() const;

  const HttpConfig& config_;
  std::unique_ptr<CURL, Free> handle_;
  std::unique_ptr<curl_slist, Free> headers_;
  std::vector<std::string_view> body_;
  size_t piece_ = 0;   // the next byte to send: of which piece
  size_t offset_ = 0;  // and where in it
  size_t redirects_ = 0;
  HttpAnswer answer_;
  bool in_headers_ = false;   // of an answer, which may be an informational one
  bool answered_ = false;     // all headers of the answer that counts are there
  TimePoint counts_since_{};  // of answered_; zero: not yet
  size_t received_ = 0;       // bytes of the answer's body
  Milliseconds left_{0};      // of the delivery, when the request began
  std::string why_;           // curl's own words on what failed
};

}  // namespace walspout
