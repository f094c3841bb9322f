// The statements that change rows of a target. Documents go in as they are, many in one parameter,
// and the server takes them apart. A function of the extension does that, which is faster than
// json_to_recordset; where the target lacks it json_to_recordset does, which is faster than the
// functions for jsonb, and than those that give a row at a time.
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
  kPatch,     // likewise, and the rows lack columns
  kDelete,    // by key
  kMark,      // likewise, and the row stays, with the time
  kMakeRoom,  // before kMove: no other row has the new key
  kMove,      // another key, behind kMakeRoom
  // Of tables with a history:
  kVersion,          // rows that the target may have
  kNewVersion,       // rows that the target should have; those that it lacks begin here
  kNextVersion,      // likewise, and those that it lacks do not; the rows may lack columns
  kClose,            // deletes, by key
  kMoveVersion,      // another key; a row that the target lacks begins here
  kMoveNextVersion,  // likewise, and does not
  kTruncate,         // several tables; see truncate_statements()
};

inline bool is_of_history(Change change) {
  return change >= Change::kVersion && change <= Change::kMoveNextVersion;
}

// Parameter 2 is there.
inline bool takes_old_key(Change change) {
  return change == Change::kMakeRoom || change == Change::kMove || change == Change::kMoveVersion ||
         change == Change::kMoveNextVersion;
}

// A setting with such a name is unknown to each server. The error is one that a statement here has
// raised, for the sake of a row; the name goes on with what is wrong.
inline constexpr std::string_view kRefusalMark = "walspout: ";
inline constexpr std::string_view kRefusalState = "42704";

// Whether this session may call the extension's function: a condition. Only superusers make
// functions in C, so no other role's function is called.
inline constexpr std::string_view kHasReader =
    "EXISTS (SELECT FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_namespace s ON s.oid = "
    "f.pronamespace JOIN pg_catalog.pg_language l ON l.oid = f.prolang WHERE s.nspname = "
    "'walspout' AND f.proname = 'read_documents' AND f.pronargs = 1 AND f.proargtypes[0] = "
    "'pg_catalog.text'::pg_catalog.regtype AND l.lanname = 'c' AND "
    "pg_catalog.has_schema_privilege(s.oid, 'USAGE') AND pg_catalog.has_function_privilege(f.oid, "
    "'EXECUTE'))";

// Parameter 1 is a JSON array. For kInsert, kUpsert and kUpdate, of rows; for kDelete, of keys; for
// kMark and kClose, of objects {"at":time,"key":…}. For all others, of objects
// {"at":time,"after":…,"unchanged":[…],"elided":{…}}, of which kPatch and kMove need no time.
// Parameter 2 of those that change a key is an array with the old key.
[[nodiscard]] std::string change_statement(Change change, const Shape& shape);

// Which rows stand for rows of the source: those with its constants, and versions that have no end.
// A condition on the alias t; empty: all rows.
[[nodiscard]] std::string current_rows(const Shape& shape);

// For tables that are truncated together at that time; the order does not matter.
[[nodiscard]] std::vector<std::string> truncate_statements(const std::vector<const Shape*>& shapes,
                                                           const std::string& time);

}  // namespace walspout
