// libFuzzer: the input is a webhook's answer: two bytes of status, then the headers Retry-After and
// Location and the body, separated by line breaks. The judgement is always one of those that the
// header documents.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sink/http/answer.h"

namespace {

std::string line(std::string_view& rest) {
  std::string_view text = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), text.size() + 1));
  return std::string(text);
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace walspout;
  constexpr int64_t kNow = 1'790'000'000;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  if (rest.size() < 2) return 0;
  HttpAnswer answer;
  answer.status = (data[0] * 256 + data[1]) % 1100;
  rest.remove_prefix(2);
  answer.retry_after = line(rest);
  answer.location = line(rest);
  answer.body = std::string(rest);

  const auto pause = parse_retry_after(answer.retry_after, kNow);
  if (pause) require(pause->count() >= 0 && pause->count() <= 24 * 60 * 60);
  const bool negative = answer.retry_after.starts_with('-') &&
                        answer.retry_after.find_first_not_of("0123456789", 1) == std::string::npos;
  if (pause && negative) require(pause->count() == 0);

  HttpConfig config;
  config.url = "http://receiver";
  const Delivery delivery = judge_answer(answer, config, kNow);
  require(delivery.has_value() == (answer.status >= 200 && answer.status < 300));
  if (delivery) return 0;
  const Error& error = delivery.error().error;
  require(error.what.size() < 1000);
  for (char c : error.what) require(static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
  require(!delivery.error().retry_after || error.kind == ErrorKind::kRetry);
  if (answer.status >= 500 || answer.status == 408 || answer.status == 429) {
    require(error.kind == ErrorKind::kRetry);
  }
  return 0;
}
