// libFuzzer: the input is what a NATS server sends. Its first byte says how the rest is split.
// Every split yields the same frames. The sink's code reads their contents, and nothing beyond
// their end.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "sink/nats/errors.h"
#include "sink/nats/json.h"
#include "sink/nats/wire.h"

namespace {

using walspout::NatsFrame;
using walspout::NatsFrameReader;

void read_json(std::string_view text, int depth) {
  for (const std::string_view item : walspout::json_items(text)) {
    if (depth > 0) read_json(item, depth - 1);
  }
  for (const char* name : {"error", "config", "streams", "max_payload", "nonce"}) {
    const auto member = walspout::json_member(text, name);
    if (member && (member->data() < text.data() ||
                   member->data() + member->size() > text.data() + text.size())) {
      std::abort();
    }
    static_cast<void>(walspout::json_text(text, name));
    static_cast<void>(walspout::json_number(text, name));
    if (member && depth > 0) read_json(*member, depth - 1);
  }
}

std::string frames(std::string_view bytes, size_t piece) {
  NatsFrameReader reader;
  std::string all;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    reader.feed(bytes.substr(at, piece));
    for (;;) {
      const auto frame = reader.next();
      if (!frame) return all + "end";
      if (!*frame) break;
      all += std::to_string(static_cast<int>((*frame)->kind)) + " " +
             std::to_string((*frame)->status()) + " ";
      for (const std::string_view part :
           {(*frame)->text, (*frame)->subject, (*frame)->headers, (*frame)->body}) {
        all += part;
        all += '\n';
        read_json(part, 2);
      }
      if ((*frame)->kind == NatsFrame::Kind::kError) {
        const walspout::Error error = walspout::nats_refusal((*frame)->text, "x", "w", "h");
        if (error.what.empty()) std::abort();
        static_cast<void>(walspout::nats_denied_subject((*frame)->text));
      } else if (!(*frame)->body.empty()) {
        static_cast<void>(walspout::nats_stream_error((*frame)->body, "x", "h"));
      }
    }
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (frames(bytes, data[0] + size_t{1}) != frames(bytes, bytes.size() + 1)) std::abort();
  return 0;
}
