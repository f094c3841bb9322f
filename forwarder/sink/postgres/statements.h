// The statements that change rows of a target. Documents go in unchanged, many in one parameter,
// and the server takes them apart. A function of the extension is the fastest way. Without the
// function json_to_recordset() does it, which is faster than the functions for jsonb or single
// rows.
//
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sink/postgres/shape.h"

namespace walspout {

enum class Change {
  kInsert,    // rows that the target most likely lacks
  kUpsert,    // rows that the target may have
  kUpdate,    // rows that the target should have
  kPatch,     // likewise, if rows lack columns
  kDelete,    // by key
  kMark,      // by key: the row stays, and gets the time
  kMakeRoom,  // before kMove: deletes another row with the new key
  kMove,      // a change of the key, after kMakeRoom
  // Of tables with a history:
  kVersion,          // rows that the target may have
  kNewVersion,       // rows that the target should have; missing ones begin here
  kNextVersion,      // likewise, without missing ones; rows may lack columns
  kClose,            // deletes, by key
  kMoveVersion,      // a change of the key; a missing row begins here
  kMoveNextVersion,  // likewise, but a missing row does not begin
  kTruncate,         // several tables; see truncate_statements()
};

inline bool is_of_history(Change change) {
  return change >= Change::kVersion && change <= Change::kMoveNextVersion;
}

// Whether the statement has parameter 2.
inline bool takes_old_key(Change change) {
  return change == Change::kMakeRoom || change == Change::kMove || change == Change::kMoveVersion ||
         change == Change::kMoveNextVersion;
}

// No server has a setting whose name begins so. A statement uses such a name to raise an error for
// a row; the rest of the name says what is wrong.
inline constexpr std::string_view kRefusalMark = "walspout: ";
inline constexpr std::string_view kRefusalState = "42704";

// Whether this session may call the extension's function: a condition. Only superusers create
// functions in C, so no other role's function is called.
inline constexpr std::string_view kHasReader =
    "EXISTS (SELECT FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace s ON s.oid = "
    "f.pronamespace JOIN pg_catalog.pg_language l ON l.oid = f.prolang WHERE s.nspname = "
    "'walspout' AND f.proname = 'read_documents' AND f.pronargs = 1 AND f.proargtypes[0] = "
    "'pg_catalog.text'::pg_catalog.regtype AND l.lanname = 'c' AND "
    "pg_catalog.has_schema_privilege(s.oid, 'USAGE') AND pg_catalog.has_function_privilege(f.oid, "
    "'EXECUTE'))";

// Parameter 1 is a JSON array. For kInsert, kUpsert and kUpdate it has rows; for kDelete keys; for
// kMark and kClose objects {"at":time,"key":…}. For all others it has objects
// {"at":time,"after":…,"unchanged":[…],"elided":{…}}; kPatch and kMove need no time. Parameter 2,
// for a change of the key, is an array with the old key.
[[nodiscard]] std::string change_statement(Change change, const Shape& shape);

// A condition on the alias t for rows that stand for rows of the source: rows with its constants,
// and current versions. Empty: all rows.
[[nodiscard]] std::string current_rows(const Shape& shape);

// Statements for tables that were truncated together at `time`, in any order.
[[nodiscard]] std::vector<std::string> truncate_statements(const std::vector<const Shape*>& shapes,
                                                           const std::string& time);

}  // namespace walspout
