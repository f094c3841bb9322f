// What a backfill asks the server: the text of its statements, and rows that are read of them.
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

// The prefix of messages that are no messages, but places in the stream.
inline constexpr std::string_view kMarkPrefix = "walspout.mark";

// What the first COPY of read_first() sends if all is well; else names of tables follow.
inline constexpr std::string_view kNotRewritten = "x";

inline constexpr std::string_view kNoKey =
    "the table has no key. Its rows can only be read all at once, with the snapshot of a slot that "
    "is made. Give it a primary key that is not deferrable, or name a unique index with ALTER "
    "TABLE "
    "... REPLICA IDENTITY USING INDEX; or drop the slot (walspout drop), empty the receiver's "
    "table, and start again";

// The content of a mark by which a change of the table of requests is told.
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

// In front of statements that commit: they do not wait for standbys, which may be gone, and the log
// is written, and decoded, at once.
inline constexpr std::string_view kLocalCommit = "SET LOCAL synchronous_commit = 'local'; ";

// Whether the extension is there, with what a backfill needs; whether the server is a standby; and
// whether the role may read and write the requests. Raises for no role.
std::string find_extension();

// Whether a table has a key by which it can be read in pieces, as an expression on pg_class.
std::string has_key(const std::string& table);

// Requests of a slot that are not finished, and claimed: `loaded` are known already; at most `most`
// that have not begun.
std::string find_requests(const std::string& slot, const std::string& nonce,
                          const std::vector<int64_t>& loaded, size_t most);

// From now on only who has this nonce saves how far the requests of the slot are: another process,
// which had the slot before, may wake up late. `all`: also those that somebody else has.
std::string claim_requests(const std::string& slot, const std::string& nonce, bool all);

// The bytes of WAL that are not confirmed, of a slot that has requests which are not finished.
std::string find_kept(const std::string& slot);

// Nothing if the row is not of find_requests().
std::optional<BackfillRecord> request_of(const Row& row);

// The states of requests that are loaded: id and state.
std::string find_states(const std::vector<int64_t>& loaded);

// Ends what is left of another slot of that name.
std::string cancel_requests(const std::string& slot);

// Whether the role may remove requests, and whether it may cancel them; no row: there are none in
// this database. And removes those of a slot: one row for each.
std::string find_rights_to_drop();
std::string drop_requests_of(const std::string& slot);

// Forgets the keys of requests of a slot that are finished.
std::string forget_keys(const std::string& slot);

std::string save_record(const BackfillRecord& record, const std::vector<std::string>& cursor,
                        const std::string& nonce);
std::string save_keys(int64_t id, const KeyChanges& changes, const std::string& nonce);

// Who holds up the barrier, in words.
std::string find_holder(uint64_t barrier);

// How much a table's part of a round may have.
struct RoundLimits {
  size_t rows = 0;
  size_t bytes = 0;
  int milliseconds = 0;
};

// The snapshot of a round, the shapes of its tables, and their rows.
std::string read_round(const SourceConfig& config, const std::vector<ReadRequest>& requests,
                       const RoundLimits& limits);

// The shape of a table, as read_round() says it.
std::string find_shape(uint32_t relation);

// The rows of tables without a key, all of them, with the snapshot of the slot.
std::string read_first(const SourceConfig& config, const std::vector<BackfillRecord>& tables,
                       const std::string& snapshot);

// Requests that are to be served with that snapshot: id, OID, schema, table and condition.
std::string find_first(const std::string& slot);
BackfillRecord first_of(const Row& row);

// Fails if the table cannot be read, or the condition is not valid SQL.
std::string try_to_read(const BackfillRecord& table);

// The mark behind a round.
std::string emit_mark(const std::string& content);

}  // namespace walspout
