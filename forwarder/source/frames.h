// Messages of the plugin's format "frames" become events. plugin/README.md specifies the format.
//
// The decoder does no I/O and trusts nothing: a message is checked to its last byte, and one that
// is not well-formed yields an error and no event. Documents are not copied, and not looked into
// but where the frame says that an object begins and ends.
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
#include "stream/chunk.h"

namespace walspout {

// The version of the format, which START_REPLICATION asks for and each message names.
inline constexpr int kFramesVersion = 2;

// What a document begins with where there is room for its id, which has up to 41 characters.
inline constexpr std::string_view kIdBegin = R"({"id":")";
inline constexpr std::string_view kIdEnd = R"(",)";
inline constexpr size_t kOpenIdSize = kIdBegin.size() + 41 + kIdEnd.size();

// The last event that was taken over from a stream that broke.
struct StreamPosition {
  Lsn lsn;  // of its transaction, as in the event's id; 0: no event yet
  uint64_t index = 0;
  int64_t commit_time = 0;
  bool complete = true;  // the whole transaction was received
};

// How far a call of the function that reads rows has come.
struct RowsRead {
  bool end = false;               // of the table
  uint64_t rows = 0;              // that were read; those that the filter left out count, too
  std::vector<std::string> last;  // the key of the last one; empty: no row was read
};

class FrameDecoder {
 public:
  // Decodes one message and appends it to a chunk; after an error the chunk is as it was. The
  // decoder is to be reset then: what the connection sends from there on has no meaning.
  Result<void> decode(Message message, Chunk& chunk);

  // The same, with a chunk of its own.
  Result<Chunk> decode(Message message);

  // Decodes one message of the function that reads rows: its events belong to no transaction, and
  // have no LSN yet. Sets `read` when the message says how far the call has come.
  Result<void> decode_rows(Message message, Chunk& chunk, std::optional<RowsRead>& read);

  // For a new connection: relations are named again, and no transaction is open. Events up to
  // `after` yield nothing when they come again. If its transaction was not complete the server has
  // to send that again, and an error is yielded where it does not: the log is another one.
  void reset(StreamPosition after = {});

  // Whether that error has been yielded.
  bool is_other_log() const { return other_log_; }

  // Whether all that the server has before this position may have come, as it says.
  bool may_have_sent(Lsn sent) const { return after_.complete || sent <= after_.lsn; }

  // Whether a transaction has begun whose commit has not been seen.
  bool in_transaction() const { return open_; }

  // That transaction, or the last one.
  uint32_t xid() const { return xid_; }

 private:
  struct Known {
    std::shared_ptr<const Table> table;
    uint64_t chunk = 0;  // the last one that keeps it
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
  StreamPosition after_;
  bool repeated_ = false;  // the open transaction begins with events that came before
  bool other_log_ = false;
  bool open_ = false;
  Lsn lsn_;                                  // of the open transaction
  int64_t commit_time_ = 0;                  // likewise
  uint32_t xid_ = 0;                         // likewise
  bool marked_ = false;                      // it has a mark, the chunk's last one
  std::optional<RowsRead>* read_ = nullptr;  // while rows are decoded
  uint64_t events_ = 0;                      // received of it
  uint64_t next_index_ = 0;                  // least index that its next event may have
  // What came last is to be followed, within the message, by an event of this index, or of any; or
  // by the commit.
  static constexpr uint64_t kAnyIndex = UINT64_MAX;
  std::optional<uint64_t> due_;
  bool ending_ = false;
  std::string_view prefix_;  // of the message that comes next; in the message being decoded
};

}  // namespace walspout
