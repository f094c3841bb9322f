// libFuzzer: the input is one or more messages, each preceded by its size in two bytes.
#include <cstdint>
#include <cstdlib>

#include "backfill/overlay.h"
#include "source/frames.h"
#include "source/members.h"
#include "test/source/messages.h"

namespace {

using namespace walspout;

// Decodes the message as one of the function that reads rows, placed in the stream.
void read_rows(std::string_view bytes) {
  FrameDecoder decoder;
  Chunk chunk;
  std::optional<RowsRead> read;
  if (!decoder.decode_rows(test::MessageBuilder::copy(bytes), chunk, read)) return;
  KeptBudget budget{1 << 16};
  Kept kept(budget);
  const std::optional<Snapshot> snapshot = Snapshot::parse("3:5:3");
  for (const EventDetail& detail : chunk.details) {
    if (detail.members.empty()) continue;
    Event change = chunk.events[detail.event];
    change.op = 'u';
    kept.add(4, change, detail, chunk.tables.front());
    break;
  }
  RowsPlace place{Lsn{1000}, 0, 0};
  if (!apply_newer(chunk, Kept::Newer(kept, *snapshot), place)) std::abort();
  for (const Event& event : chunk.events) {
    if (event.document.empty() || event.after().size() > event.document.size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace walspout;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  FrameDecoder decoder;
  while (rest.size() >= 2) {
    size_t length = static_cast<uint8_t>(rest[0]) * 256u + static_cast<uint8_t>(rest[1]);
    rest.remove_prefix(2);
    std::string_view bytes = rest.substr(0, length);
    rest.remove_prefix(bytes.size());
    read_rows(bytes);
    Result<Chunk> chunk = decoder.decode(test::MessageBuilder::copy(bytes));
    if (!chunk) {
      decoder.reset();
      continue;
    }
    std::string_view whole = chunk->messages.front().bytes();
    size_t sum = 0;
    for (const Event& event : chunk->events) {
      if (event.document.data() < whole.data() ||
          event.document.data() + event.document.size() > whole.data() + whole.size()) {
        std::abort();
      }
      const char* end = event.document.data();
      for (std::string_view object : {event.key(), event.before(), event.after()}) {
        if (object.empty()) continue;
        if (object.data() < end || object.front() != '{' || object.back() != '}') std::abort();
        end = object.data() + object.size();
      }
      if (end > event.document.data() + event.document.size()) std::abort();
      for (char c : event.prefix()) sum += static_cast<uint8_t>(c);
      for (char c : event.document) sum += static_cast<uint8_t>(c);
      sum += event.schema().size() + event.table_name().size();
    }
    for (const auto& table : chunk->tables) {
      if (table->columns.size() > whole.size()) std::abort();
      for (const Column& column : table->columns) sum += column.name.size() + column.type.size();
    }
    for (const EventDetail& detail : chunk->details) {
      const std::string_view before = chunk->events[detail.event].before();
      const std::string old = old_key(detail.old_key, before);
      if (old.size() > before.size() || old.empty() != detail.old_key.empty()) std::abort();
    }
    for (const Commit& commit : chunk->commits) {
      if (commit.events_before > chunk->events.size()) std::abort();
    }
    if (sum == SIZE_MAX) std::abort();
  }
  return 0;
}
