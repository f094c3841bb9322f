#include "source/frames.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "source/members.h"

namespace walspout {

namespace {

constexpr std::string_view kMagic = "WS";
constexpr size_t kHeaderSize = 4;

// Flags of an event.
constexpr uint8_t kBarrier = 0x01;
constexpr uint8_t kKey = 0x02;
constexpr uint8_t kBefore = 0x04;
constexpr uint8_t kAfter = 0x08;
constexpr uint8_t kMembers = 0x10;
constexpr uint8_t kOpenId = 0x20;
constexpr uint8_t kOldKey = 0x40;
constexpr uint8_t kKeyAside = 0x80;

// Flag of a cursor.
constexpr uint8_t kEnd = 0x01;

// Flags of a column.
constexpr uint8_t kInKey = 0x01;
constexpr uint8_t kNotNull = 0x02;

Failure malformed(std::string what) {
  return retry("malformed message from the output plugin: " + what);
}

size_t key_columns(const Table& table) {
  return static_cast<size_t>(std::count_if(table.columns.begin(), table.columns.end(),
                                           [](const Column& column) { return column.in_key; }));
}

// Whether the document begins with an empty id, and no object of the event overlaps the id.
bool has_open_id(const Event& event) {
  const auto behind = [](Span span) { return span.size == 0 || span.begin >= kOpenIdSize; };
  const std::string_view begin = event.document.substr(0, kOpenIdSize);
  return begin.size() == kOpenIdSize && begin.starts_with(kIdBegin) && begin.ends_with(kIdEnd) &&
         behind(event.key_span) && behind(event.before_span()) && behind(event.after_span());
}

// We request our version, so only a plugin that ignores the request sends another version.
Failure other_version(unsigned version) {
  return fatal("the output plugin writes version " + std::to_string(version) +
               " of the frames, and this program reads version " + std::to_string(kFramesVersion) +
               ": upgrade " +
               (version < kFramesVersion ? "the walspout plugin on the server" : "this program"));
}

}  // namespace

// Reads numbers in network byte order from the front of some bytes. A read past the end yields
// zeroes, and good() is false from then on.
class FrameDecoder::Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T number() {
    using Unsigned = std::make_unsigned_t<T>;
    Unsigned value = 0;
    for (char c : bytes(sizeof(T))) {
      value = static_cast<Unsigned>(static_cast<uint64_t>(value) << 8 | static_cast<uint8_t>(c));
    }
    return static_cast<T>(value);
  }

  // A number of at most 32 bits: seven bits in each byte, the lowest first.
  uint32_t packed() {
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const auto byte = number<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value > UINT32_MAX) break;
        return static_cast<uint32_t>(value);
      }
    }
    good_ = false;
    return 0;
  }

  std::string_view bytes(size_t size) {
    if (size > rest_.size()) {
      good_ = false;
      rest_ = {};
      return {};
    }
    std::string_view front = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return front;
  }

  // The position of the document's next object, which follows the one that ends at `end`; moves
  // `end`. Without an object there, good() is false from then on.
  Span object(std::string_view document, uint64_t& end) {
    const uint64_t begin = end + packed();
    const uint32_t size = packed();
    end = begin + size;
    if (!good_ || size < 2 || end > document.size() || document[begin] != '{' ||
        document[end - 1] != '}') {
      good_ = false;
      return {};
    }
    return {static_cast<uint32_t>(begin), size};
  }

  std::string_view rest() const { return rest_; }
  bool good() const { return good_; }

 private:
  std::string_view rest_;
  bool good_ = true;
};

void FrameDecoder::reset(StreamPosition after) {
  relations_.clear();
  tables_.clear();
  told_schemas_.forget();
  after_ = after;
  repeated_ = false;
  other_log_ = false;
  open_ = false;
}

Result<void> FrameDecoder::decode(Message message, Chunk& chunk) {
  return decode_into(std::move(message), chunk);
}

Result<void> FrameDecoder::decode_rows(Message message, Chunk& chunk,
                                       std::optional<RowsRead>& read) {
  read_ = &read;
  Result<void> decoded = decode_into(std::move(message), chunk);
  read_ = nullptr;
  return decoded;
}

Result<void> FrameDecoder::decode_into(Message message, Chunk& chunk) {
  size_t events = chunk.events.size();
  size_t commits = chunk.commits.size();
  size_t details = chunk.details.size();
  size_t marks = chunk.marks.size();
  if (chunk.messages.empty()) chunks_++;
  Result<void> decoded = frames(message.bytes(), chunk);
  if (!decoded) {
    chunk.events.resize(events);
    chunk.commits.resize(commits);
    chunk.details.resize(details);
    chunk.marks.resize(marks);
    return decoded;
  }
  chunk.message_bytes += message.bytes().size();
  chunk.messages.push_back(std::move(message));
  return {};
}

Result<Chunk> FrameDecoder::decode(Message message) {
  Chunk chunk;
  Result<void> decoded = decode(std::move(message), chunk);
  if (!decoded) return Failure(std::move(decoded.error()));
  return chunk;
}

Result<void> FrameDecoder::frames(std::string_view bytes, Chunk& chunk) {
  if (bytes.size() < kHeaderSize || bytes.substr(0, 2) != kMagic) {
    return malformed("it is not in the format \"frames\"");
  }
  if (bytes[2] != kFramesVersion) {
    return other_version(static_cast<uint8_t>(bytes[2]));
  }

  prefix_ = {};
  due_.reset();
  ending_ = false;
  Reader reader(bytes.substr(kHeaderSize));
  while (!reader.rest().empty()) {
    char kind = reader.number<char>();
    auto flags = reader.number<uint8_t>();
    auto sixteen = reader.number<uint16_t>();
    auto length = reader.number<uint32_t>();
    std::string_view body = reader.bytes(length);
    if (!reader.good()) return malformed("a frame is longer than its message");
    Result<void> done = frame(kind, flags, sixteen, body, chunk);
    if (!done) return Failure(std::move(done.error()));
  }
  if (due_ || ending_) {
    return malformed("something is missing behind a schema, or at the ends of a transaction");
  }
  return {};
}

Result<void> FrameDecoder::frame(char kind, uint8_t flags, uint16_t sixteen, std::string_view body,
                                 Chunk& chunk) {
  switch (kind) {
    case 'B':
      return begin(Reader(body));
    case 'R':
      return relation(Reader(body));
    case 'C':
      return commit(Reader(body), chunk);
    case 'M':
      if (!open_) return malformed("a mark outside of a transaction");
      chunk.marks.push_back({body, lsn_, {}, commit_time_, xid_});
      marked_ = true;
      return {};
    case 'K':
      return cursor(flags, Reader(body));
    case 'P':
      prefix_ = body;
      return {};
    default:
      if (kind >= 'a' && kind <= 'z') return event(kind, flags, sixteen, Reader(body), chunk);
      if (kind >= 'A' && kind <= 'Z') return {};  // of a later version
      return malformed("a frame of kind " + std::to_string(static_cast<uint8_t>(kind)));
  }
}

Result<void> FrameDecoder::begin(Reader body) {
  Lsn lsn{body.number<uint64_t>()};
  auto commit_time = body.number<int64_t>();
  auto xid = body.number<uint32_t>();
  if (!body.good()) return malformed("a begin frame is too short");
  if (open_) return malformed("a transaction begins within another one");
  if (read_) return malformed("a transaction among rows");
  repeated_ = lsn <= after_.lsn;
  if (!after_.complete && lsn >= after_.lsn) {
    other_log_ = lsn != after_.lsn || commit_time != after_.commit_time;
    if (other_log_)
      return retry("the server does not repeat a transaction that was received in part");
    after_.complete = true;  // this is the expected transaction
  }
  open_ = true;
  lsn_ = lsn;
  commit_time_ = commit_time;
  xid_ = xid;
  marked_ = false;
  events_ = 0;
  next_index_ = 0;
  return {};
}

Result<void> FrameDecoder::relation(Reader body) {
  auto id = body.number<uint32_t>();
  auto schema_size = body.number<uint16_t>();
  auto table_size = body.number<uint16_t>();
  auto columns = body.number<uint16_t>();
  Table table{std::string(body.bytes(schema_size)), std::string(body.bytes(table_size))};
  for (int i = 0; i < columns && body.good(); i++) {
    Column& column = table.columns.emplace_back();
    auto flags = body.number<uint8_t>();
    column.in_key = flags & kInKey;
    column.not_null = flags & kNotNull;
    column.type_oid = body.number<uint32_t>();
    column.type_modifier = body.number<int32_t>();
    auto name_size = body.number<uint16_t>();
    auto type_size = body.number<uint16_t>();
    column.name = body.bytes(name_size);
    column.type = body.bytes(type_size);
  }
  if (!body.good()) return malformed("a relation frame is too short");
  if (id == 0) return malformed("a relation has the id 0");
  Known& known = relations_[id];
  if (!known.table || *known.table != table) known = {share(std::move(table)), 0};
  return {};
}

// Partitions that are published as their root have different ids, but mostly the same columns. They
// share one Table, because sinks compare the tables of events.
std::shared_ptr<const Table> FrameDecoder::share(Table table) {
  auto& latest = tables_[{table.schema, table.name}];
  if (!latest || *latest != table) latest = std::make_shared<const Table>(std::move(table));
  return latest;
}

Result<void> FrameDecoder::commit(Reader body, Chunk& chunk) {
  Lsn lsn{body.number<uint64_t>()};
  Lsn end_lsn{body.number<uint64_t>()};
  auto events = body.number<uint64_t>();
  if (!body.good()) return malformed("a commit frame is too short");
  if (due_) return malformed("something is missing behind a schema, or behind a begin");
  ending_ = false;
  if (!open_ || lsn != lsn_) return malformed("a commit of a transaction that has not begun");
  if (end_lsn < lsn) return malformed("a transaction ends before its commit");
  if (events != events_) {
    return malformed("a transaction of " + std::to_string(events) + " events came with " +
                     std::to_string(events_));
  }
  open_ = false;
  if (std::exchange(marked_, false)) {
    if (chunk.marks.empty()) return malformed("a mark in another message than its commit");
    chunk.marks.back().end_lsn = end_lsn;
  }
  chunk.commits.push_back({lsn, end_lsn, chunk.events.size(), commit_time_, xid_});
  return {};
}

Result<void> FrameDecoder::cursor(uint8_t flags, Reader body) {
  if (!read_) return {};  // of a later version
  RowsRead read;
  read.end = flags & kEnd;
  read.rows = body.number<uint64_t>();
  const auto columns = body.number<uint16_t>();
  for (int i = 0; i < columns && body.good(); i++) {
    const auto size = body.number<uint32_t>();
    read.last.emplace_back(body.bytes(size));
  }
  if (!body.good()) return malformed("a cursor is too short");
  *read_ = std::move(read);
  return {};
}

// Reads the numbers about columns, behind the spans. `flags`: of the frame, not of the event.
Result<void> FrameDecoder::members(uint8_t flags, const Event& event, std::string_view numbers,
                                   EventDetail& detail) {
  if (flags & kMembers) {
    detail.members = numbers;
    if (!event.table || !(flags & kAfter) ||
        !members_fit(detail.members, event.table->columns.size(), event.after())) {
      return malformed("members that are not in their row");
    }
    numbers.remove_prefix(detail.members.size());
  }
  if (flags & kOldKey) {
    detail.old_key = numbers;
    if (!event.table || !(flags & kBefore) ||
        !old_key_fits(detail.old_key, key_columns(*event.table), event.before())) {
      return malformed("an old key that is not in its row");
    }
  }
  return {};
}

// A schema and its change, or a begin and its first event, are in one message. A stream breaks only
// between messages, so receivers get both or neither.
Result<void> FrameDecoder::follow(const Event& event, uint32_t relation) {
  const auto due = std::exchange(due_, std::nullopt).value_or(kAnyIndex);
  if (ending_ || (due != kAnyIndex && due != event.index)) {
    return malformed("something is missing behind a schema, or behind the end of a transaction");
  }
  if (event.is_schema()) {
    if (!relation) return malformed("a schema of no relation");
    due_ = event.index;
  } else if (event.op == kBeginOp) {
    if (events_ > 0) return malformed("a transaction begins within itself");
    due_ = kAnyIndex;
  } else if (event.op == kEndOp) {
    ending_ = true;
  }
  return {};
}

Result<void> FrameDecoder::event(char op, uint8_t flags, uint16_t spans_size, Reader body,
                                 Chunk& chunk) {
  Event event;
  event.op = op;
  auto relation = body.number<uint32_t>();
  event.key_hash = body.number<uint64_t>();
  event.index = body.number<uint64_t>();
  if (!body.good() || spans_size > body.rest().size()) {
    return malformed("an event's frame is too short");
  }
  event.document = body.bytes(body.rest().size() - spans_size);
  if (!open_ && !read_) return malformed("an event outside of a transaction");
  if (read_ && op != 'r' && op != kSchemaOp) return malformed("a change among rows");
  if (event.document.empty()) return malformed("an event without a document");
  uint64_t end = 0;
  const Span key = flags & kKey ? body.object(event.document, end) : Span{};
  const Span before = flags & kBefore ? body.object(event.document, end) : Span{};
  const Span after = flags & kAfter ? body.object(event.document, end) : Span{};
  if (!body.good()) return malformed("a key or row that is not in its document");
  if (flags & kKeyAside) {
    if (key.size == 0 || key.begin == 0 || key.begin + key.size != event.document.size() ||
        flags & (kBefore | kAfter)) {
      return malformed("a key that is not behind its document");
    }
    event.document = event.document.substr(0, key.begin);
  }
  event.key_span = key;
  if (op == 'm') {
    event.set_prefix(prefix_);
  } else {
    event.set_row(before, after);
  }
  if (!read_ && event.index < next_index_) return malformed("the events' indexes do not grow");
  if (auto follows = follow(event, relation); !follows) return follows;
  if (relation) {
    auto known = relations_.find(relation);
    if (known == relations_.end()) {
      return malformed("relation " + std::to_string(relation) + " has not been named");
    }
    event.table = known->second.table.get();
    if (known->second.chunk != chunks_) {
      known->second.chunk = chunks_;
      chunk.tables.push_back(known->second.table);
    }
  }
  EventDetail detail;
  Result<void> told = members(flags, event, body.rest(), detail);
  if (!told) return told;
  detail.open_id = flags & kOpenId;
  if (detail.open_id && !has_open_id(event)) return malformed("an id that is not in its document");
  event.lsn = read_ ? Lsn{} : lsn_;
  event.commit_time = read_ ? 0 : commit_time_;
  prefix_ = {};
  event.barrier = flags & kBarrier;
  next_index_ = read_ ? 0 : event.index + !event.is_no_change();
  if (!read_ && !event.is_no_change()) events_++;
  if (!read_ && event.is_schema() && !told_schemas_.is_news(event)) return {};
  if (!read_ && repeated_ && (lsn_ < after_.lsn || event.index <= after_.index)) return {};
  if (flags & (kMembers | kOpenId | kOldKey)) {
    detail.event = chunk.events.size();
    chunk.details.push_back(detail);
  }
  chunk.events.push_back(event);
  return {};
}

}  // namespace walspout
