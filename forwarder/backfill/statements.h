// The statements of a backfill, and the parsing of their rows.
//
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backfill/ledger.h"
#include "postgres/connection.h"
#include "source/config.h"

namespace walspout {

// The prefix of logical messages that mark places in the stream.
inline constexpr std::string_view kMarkPrefix = "walspout.mark";

// The result of read_first()'s first COPY if no table was rewritten. Otherwise table names follow.
inline constexpr std::string_view kNotRewritten = "x";

inline constexpr std::string_view kNoKey =
    "the table has no key. Its rows can only be read all at once, with the snapshot of a new slot. "
    "Give it a primary key that is not deferrable, or name a unique index with ALTER "
    "TABLE "
    "... REPLICA IDENTITY USING INDEX; or drop the slot (walspout drop), empty the receiver's "
    "table, and start again";

// The content of a mark that announces a change of the table of requests.
inline constexpr std::string_view kLook = "look";

inline constexpr std::string_view kNoStandby =
    "this server is a standby, and the snapshots of a standby do not tell which transactions they "
    "see: let the pipeline read the primary";

inline constexpr std::string_view kNoExtension =
    "the extension is not in this database: CREATE EXTENSION walspout";
inline constexpr std::string_view kNoRights =
    "the role may not use walspout.backfills: grant what docs/backfill.md names under What the "
    "role "
    "needs";

// A prefix of statements that commit: they do not wait for standbys, which may be gone, and the WAL
// is written and decoded at once.
inline constexpr std::string_view kLocalCommit = "SET LOCAL synchronous_commit = 'local'; ";

// Three answers: whether the extension exists with all that a backfill needs, whether the server is
// a standby, and whether the role may write the requests. Never raises for lack of rights.
std::string find_extension();

// An expression on pg_class: whether a table has a key for reading in pieces.
std::string has_key(const std::string& table);

// Unfinished requests of a slot that are claimed by `nonce`, without those in `loaded`. At most
// `most` of them have not begun.
std::string find_requests(const std::string& slot, const std::string& nonce,
                          const std::vector<int64_t>& loaded, size_t most);

// From now on only the process with this nonce saves the progress of the slot's requests. So a
// previous reader that wakes up late cannot. `all`: also claims requests of other processes.
std::string claim_requests(const std::string& slot, const std::string& nonce, bool all);

// The bytes of unconfirmed WAL, for a slot with unfinished requests.
std::string find_kept(const std::string& slot);

// Parses a row of find_requests(); nothing: it is no such row.
std::optional<BackfillRecord> request_of(const Row& row);

// The states of the loaded requests: id and state.
std::string find_states(const std::vector<int64_t>& loaded);

// The requests of an earlier slot of that name, which was lost: they begin with the first row
// again. Returns the names of their tables.
std::string begin_requests_again(const std::string& slot);

// Cancels the unfinished requests of the slot.
std::string cancel_requests(const std::string& slot);

// find_rights_to_drop(): whether the role may delete requests, and whether it may cancel them; no
// row: this database has no requests. drop_requests_of() deletes those of a slot, and returns one
// row for each.
std::string find_rights_to_drop();
std::string drop_requests_of(const std::string& slot);

// Deletes the keys of the slot's finished requests.
std::string forget_keys(const std::string& slot);

std::string save_record(const BackfillRecord& record, const std::vector<std::string>& cursor,
                        const std::string& nonce);
std::string save_keys(int64_t id, const KeyChanges& changes, const std::string& nonce);

// Describes the transaction that the barrier waits for.
std::string find_holder(uint64_t barrier);

// The limits of a table's part of a round.
struct RoundLimits {
  size_t rows = 0;
  size_t bytes = 0;
  int milliseconds = 0;
};

// The snapshot of a round, the shapes of its tables, and their rows.
std::string read_round(const SourceConfig& config, const std::vector<ReadRequest>& requests,
                       const RoundLimits& limits);

// Reads no row of a table, in the way in which rows are read: raises if that is not possible.
// `table`: its name as in SQL.
std::string check_request(const SourceConfig& config, const std::string& table,
                          const std::string& condition);

// The shape of a table, as in read_round().
std::string find_shape(uint32_t relation);

// All rows of tables without a key, with the slot's snapshot.
std::string read_first(const SourceConfig& config, const std::vector<BackfillRecord>& tables,
                       const std::string& snapshot);

// Requests to read with that snapshot: id, OID, schema, table and condition.
std::string find_first(const std::string& slot);
BackfillRecord first_of(const Row& row);

// Fails if the table cannot be read, or the condition is not valid SQL.
std::string try_to_read(const BackfillRecord& table);

// Writes the mark behind a round.
std::string emit_mark(const std::string& content);

}  // namespace walspout
