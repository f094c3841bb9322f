// One request at a time to the receiver: a curl handle, the request and the answer.
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
  // The configuration must outlive the lane.
  explicit HttpLane(const HttpConfig& config);
  HttpLane(const HttpLane&) = delete;
  HttpLane& operator=(const HttpLane&) = delete;

  // Prepares the handle for curl. The body is the concatenated pieces, which must stay valid until
  // the request is over or removed from curl. Headers are copied.
  void prepare(std::vector<std::string_view> body, const std::vector<std::string>& headers,
               TimePoint deadline);

  // Call it before outcome(), when curl has ended the request with `code`. If the answer redirects
  // to the same host, and the configuration allows another redirect, prepares the handle for that.
  // False: no such answer.
  [[nodiscard]] bool follow(CURLcode code, TimePoint deadline);

  // Connects, with TLS, and sends nothing. Only for a lane without a request.
  [[nodiscard]] Delivery look(TimePoint deadline, int64_t now);

  CURL* handle() const { return handle_.get(); }

  // When to stop reading the answer's body; never, before the answer counts. At that time, remove
  // the handle from curl: the request is over.
  TimePoint stop_reading_at();

  // The result of a request that is over. Success: a 2xx with complete headers, if the whole
  // request was sent; the body does not matter. Headers that curl refuses count as complete. Error:
  // as in judge_answer(); without an answer kRetry, or kFatal if the configuration prevents any
  // answer.
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
  // Whether the answer's status is final: a 2xx only after the whole request is sent.
  bool counts() const;
  bool is_refused(CURLcode code) const;
  bool is_sent() const;
  std::string redirect_target() const;
  std::string why_late() const;

  const HttpConfig& config_;
  std::unique_ptr<CURL, Free> handle_;
  std::unique_ptr<curl_slist, Free> headers_;
  std::vector<std::string_view> body_;
  size_t piece_ = 0;   // the next byte to send: its piece
  size_t offset_ = 0;  // and its offset there
  size_t redirects_ = 0;
  HttpAnswer answer_;
  bool in_headers_ = false;   // of an answer, maybe an informational one
  bool answered_ = false;     // all headers of the final answer are there
  TimePoint counts_since_{};  // since when the answer counts; zero: not yet
  size_t received_ = 0;       // bytes of the answer's body
  Milliseconds left_{0};      // time left for the delivery at the request's start
  std::string why_;           // curl's error message
};

}  // namespace walspout
