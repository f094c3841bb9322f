#include "sink/http_lane.h"

#include <strings.h>

#include <algorithm>
#include <cstring>

namespace walspout {
namespace {

constexpr size_t kKeptBody = 1024;            // of an answer, for messages
constexpr size_t kReceivedBody = 256 * 1024;  // beyond it the connection is given up

size_t length_of(const std::vector<std::string_view>& pieces) {
  size_t length = 0;
  for (const std::string_view piece : pieces) length += piece.size();
  return length;
}

// The value, if the line is this header.
bool header_value(std::string_view line, std::string_view name, std::string& value) {
  if (line.size() <= name.size() || line[name.size()] != ':' ||
      strncasecmp(line.data(), name.data(), name.size()) != 0) {
    return false;
  }
  line.remove_prefix(name.size() + 1);
  const size_t begin = line.find_first_not_of(" \t");
  const size_t end = line.find_last_not_of(" \t\r\n");
  value = begin == std::string_view::npos || end < begin ? "" : line.substr(begin, end - begin + 1);
  return true;
}

template <typename Value>
void set(CURL* handle, CURLoption option, Value value) {
  curl_easy_setopt(handle, option, value);
}

// Scheme, host and port: what must not change on the way.
std::string origin_of(const char* url) {
  struct Free {
    void operator()(CURLU* parsed) const { curl_url_cleanup(parsed); }
    void operator()(char* text) const { curl_free(text); }
  };
  const std::unique_ptr<CURLU, Free> parsed(curl_url());
  if (url == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url, 0) != CURLUE_OK) return "";
  std::string origin;
  for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    char* text = nullptr;
    curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT);
    const std::unique_ptr<char, Free> owned(text);
    if (text != nullptr) origin += std::string(text) + " ";
  }
  return origin;
}

}  // namespace

HttpLane::HttpLane(const HttpConfig& config) : config_(config), handle_(curl_easy_init()) {
  CURL* curl = handle_.get();
  why_.resize(CURL_ERROR_SIZE);
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_FOLLOWLOCATION, 0L);
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_POST, 1L);
  const bool secure = config.url.starts_with("https");
  set(curl, CURLOPT_HTTP_VERSION,
      static_cast<long>(config.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  // With HTTP/2 the lanes share one connection: wait for it instead of opening one each.
  set(curl, CURLOPT_PIPEWAIT, secure && config.http2 ? 1L : 0L);
  set(curl, CURLOPT_TCP_KEEPALIVE, 1L);
  set(curl, CURLOPT_USERAGENT, "walspout");
  set_tls();
  set(curl, CURLOPT_ERRORBUFFER, why_.data());
  set(curl, CURLOPT_READFUNCTION, &HttpLane::read);
  set(curl, CURLOPT_READDATA, this);
  set(curl, CURLOPT_SEEKFUNCTION, &HttpLane::seek);
  set(curl, CURLOPT_SEEKDATA, this);
  set(curl, CURLOPT_WRITEFUNCTION, &HttpLane::write);
  set(curl, CURLOPT_WRITEDATA, this);
  set(curl, CURLOPT_HEADERFUNCTION, &HttpLane::header);
  set(curl, CURLOPT_HEADERDATA, this);
}

void HttpLane::set_tls() {
  CURL* curl = handle_.get();
  const TlsConfig& tls = config_.tls;
  set(curl, CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
  set(curl, CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
  if (!tls.ca_file.empty()) set(curl, CURLOPT_CAINFO, tls.ca_file.c_str());
  if (!tls.cert_file.empty()) set(curl, CURLOPT_SSLCERT, tls.cert_file.c_str());
  if (!tls.key_file.empty()) set(curl, CURLOPT_SSLKEY, tls.key_file.c_str());
}

void HttpLane::rewind(TimePoint deadline) {
  piece_ = offset_ = received_ = 0;
  answer_ = {};
  answered_ = false;
  why_[0] = '\0';
  const auto left =
      std::max(std::chrono::ceil<Milliseconds>(deadline - Clock::now()), Milliseconds(1));
  set(handle_.get(), CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::min(left, config_.timeout).count()));
  set(handle_.get(), CURLOPT_CONNECTTIMEOUT_MS,
      static_cast<long>(std::min(left, config_.connect_timeout).count()));
}

void HttpLane::prepare(std::vector<std::string_view> body, const std::vector<std::string>& headers,
                       TimePoint deadline) {
  CURL* curl = handle_.get();
  body_ = std::move(body);
  redirects_ = 0;
  set(curl, CURLOPT_URL, config_.url.c_str());
  headers_.reset();
  for (const std::string& line : headers) {
    headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
  }
  set(curl, CURLOPT_HTTPHEADER, headers_.get());
  set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(length_of(body_)));
  // One piece goes out with the headers, from where it is; more are read by curl bit by bit.
  set(curl, CURLOPT_POSTFIELDS, body_.size() == 1 ? body_.front().data() : nullptr);
  rewind(deadline);
}

bool HttpLane::follow(TimePoint deadline) {
  char* elsewhere = nullptr;
  curl_easy_getinfo(handle_.get(), CURLINFO_REDIRECT_URL, &elsewhere);
  if (elsewhere == nullptr || redirects_ >= config_.redirects) return false;
  if (origin_of(elsewhere) != origin_of(config_.url.c_str())) return false;
  ++redirects_;
  set(handle_.get(), CURLOPT_URL, std::string(elsewhere).c_str());
  rewind(deadline);
  return true;
}

size_t HttpLane::read(char* buffer, size_t size, size_t count, void* lane) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  size_t copied = 0;
  while (copied < size * count && self.piece_ < self.body_.size()) {
    const std::string_view rest = self.body_[self.piece_].substr(self.offset_);
    const size_t now = std::min(rest.size(), size * count - copied);
    memcpy(buffer + copied, rest.data(), now);
    copied += now;
    self.offset_ += now;
    if (now == rest.size()) {
      ++self.piece_;
      self.offset_ = 0;
    }
  }
  return copied;
}

int HttpLane::seek(void* lane, curl_off_t offset, int origin) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  self.piece_ = 0;
  size_t left = static_cast<size_t>(offset);
  while (self.piece_ < self.body_.size() && left >= self.body_[self.piece_].size()) {
    left -= self.body_[self.piece_++].size();
  }
  self.offset_ = left;
  return CURL_SEEKFUNC_OK;
}

size_t HttpLane::write(char* data, size_t size, size_t count, void* lane) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  const size_t length = size * count;
  const size_t kept = std::min(length, kKeptBody - std::min(kKeptBody, self.answer_.body.size()));
  self.answer_.body.append(data, kept);
  self.received_ += length;
  return self.received_ > kReceivedBody ? 0 : length;
}

size_t HttpLane::header(char* data, size_t size, size_t count, void* lane) {
  HttpLane& self = *static_cast<HttpLane*>(lane);
  const std::string_view line(data, size * count);
  // Informational answers come before the one that counts.
  if (line.starts_with("HTTP/")) {
    self.answer_ = {};
    self.answered_ = false;
  }
  self.answered_ = self.answered_ || line == "\r\n" || line == "\n";
  if (!header_value(line, "retry-after", self.answer_.retry_after)) {
    header_value(line, "location", self.answer_.location);
  }
  return size * count;
}

Delivery HttpLane::outcome(CURLcode code, int64_t now) const {
  HttpAnswer answer = answer_;
  curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  const std::string where = printable_url(config_.url);
  // An answer that goes on and on is an answer.
  const bool cut_by_us = code == CURLE_WRITE_ERROR && received_ > kReceivedBody;
  // For curl a connection that is closed within the headers ends the answer well.
  if (code == CURLE_OK && !answered_) {
    return undelivered(ErrorKind::kRetry,
                       "request failed: the connection was closed within the answer's headers",
                       where);
  }
  if (code == CURLE_OK || cut_by_us) return judge_answer(answer, where, now);
  const std::string what =
      std::string("request failed: ") + (why_[0] != '\0' ? why_.c_str() : curl_easy_strerror(code));
  switch (code) {
    case CURLE_URL_MALFORMAT:
      return undelivered(ErrorKind::kFatal, what + ". url must be one of http or https", where);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return undelivered(
          ErrorKind::kFatal,
          what + ". ca_file, cert_file and key_file must be PEM files that this process may read",
          where);
    case CURLE_PEER_FAILED_VERIFICATION:
      return undelivered(ErrorKind::kRetry,
                         what + ". ca_file names the certificate of the authority to trust", where);
    default:
      return undelivered(ErrorKind::kRetry, what, where);
  }
}

}  // namespace walspout
