// Messages of the plugin's format "frames" become events. plugin/README.md specifies the format.
//
// The decoder does no I/O and trusts nothing: it checks a message to its last byte, and a malformed
// message yields an error and no event. Documents are not copied. The decoder looks into them only
// where the frame says that an object begins or ends.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/lsn.h"
#include "base/result.h"
#include "source/told_schemas.h"
#include "stream/chunk.h"

namespace walspout {

// The version of the format. START_REPLICATION requests it, and each message names it.
inline constexpr int kFramesVersion = 2;

// The begin of a document whose id is still to be filled in. An id has up to 41 characters.
inline constexpr std::string_view kIdBegin = R"({"id":")";
inline constexpr std::string_view kIdEnd = R"(",)";
inline constexpr size_t kOpenIdSize = kIdBegin.size() + 41 + kIdEnd.size();

// The last event received from a broken stream.
struct StreamPosition {
  Lsn lsn;  // of the transaction, as in the event's id; 0: no event yet
  uint64_t index = 0;
  int64_t commit_time = 0;
  bool complete = true;  // the whole transaction was received
};

// The progress of a call of the function that reads rows.
struct RowsRead {
  bool end = false;               // of the table
  uint64_t rows = 0;              // read, including rows that the filter left out
  std::vector<std::string> last;  // key of the last row; empty: no row was read
};

class FrameDecoder {
 public:
  // Decodes one message and appends it to a chunk. After an error the chunk is unchanged, and the
  // caller must reset the decoder: later messages of the connection have no meaning.
  Result<void> decode(Message message, Chunk& chunk);

  // The same, into a new chunk.
  Result<Chunk> decode(Message message);

  // Decodes one message of the function that reads rows: its events belong to no transaction, and
  // have no LSN yet. Sets `read` if the message has the call's progress.
  Result<void> decode_rows(Message message, Chunk& chunk, std::optional<RowsRead>& read);

  // For a new connection: the server names relations again, and no transaction is open. Repeated
  // events up to `after` are dropped. If the transaction of `after` was incomplete and the server
  // does not send it again, decoding fails: the WAL is another one.
  void reset(StreamPosition after = {});

  // Whether decoding failed because the WAL is another one.
  bool is_other_log() const { return other_log_; }

  // Whether the server can have sent everything before this position, as it says.
  bool may_have_sent(Lsn sent) const { return after_.complete || sent <= after_.lsn; }

  // Whether a transaction is open: begun, and not committed yet.
  bool in_transaction() const { return open_; }

  // The open transaction, or the last one.
  uint32_t xid() const { return xid_; }

  // Schemas that equal the last one of their table are dropped. Rows that enter the stream beside
  // this decoder bring schemas, too.
  ToldSchemas& told_schemas() { return told_schemas_; }

 private:
  struct Known {
    std::shared_ptr<const Table> table;
    uint64_t chunk = 0;  // the last chunk that keeps the table
  };
  class Reader;

  Result<void> decode_into(Message message, Chunk& chunk);
  Result<void> frames(std::string_view bytes, Chunk& chunk);
  Result<void> frame(char kind, uint8_t flags, uint16_t sixteen, std::string_view body,
                     Chunk& chunk);
  Result<void> begin(Reader body);
  Result<void> relation(Reader body);
  Result<void> commit(Reader body, Chunk& chunk);
  Result<void> follow(const Event& event, uint32_t relation);
  Result<void> event(char op, uint8_t flags, uint16_t spans_size, Reader body, Chunk& chunk);
  static Result<void> members(uint8_t flags, const Event& event, std::string_view numbers,
                              EventDetail& detail);
  Result<void> cursor(uint8_t flags, Reader body);
  std::shared_ptr<const Table> share(Table table);

  std::unordered_map<uint32_t, Known> relations_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const Table>> tables_;  // by names
  uint64_t chunks_ = 0;
  ToldSchemas told_schemas_;
  StreamPosition after_;
  bool repeated_ = false;  // the open transaction begins with events that were received before
  bool other_log_ = false;
  bool open_ = false;
  Lsn lsn_;                  // of the open transaction.
  int64_t commit_time_ = 0;  // likewise.
  uint32_t xid_ = 0;         // likewise.
  bool marked_ = false;      // the open transaction has a mark, the last one of the chunk.
  std::optional<RowsRead>* read_ = nullptr;  // set while rows are decoded.
  uint64_t events_ = 0;                      // received of the open transaction.
  uint64_t next_index_ = 0;                  // the least index that the next event may have.
  // What must follow in the same message: an event of this index (or of any index), or the commit.
  static constexpr uint64_t kAnyIndex = UINT64_MAX;
  std::optional<uint64_t> due_;
  bool ending_ = false;
  std::string_view prefix_;  // of the next logical message; a view of the decoded message
};

}  // namespace walspout
