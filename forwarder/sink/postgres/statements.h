// The statements that change rows of a target. Documents go in as they are, many in one parameter,
// and the server takes them apart: json_to_recordset is faster than the functions for jsonb, and
// than those that give a row at a time.
//
// Pure.
#pragma once

#include <string>

#include "sink/postgres/shape.h"

namespace walspout {

enum class Change {
  kInsert,    // rows that the target most likely lacks
  kUpsert,    // rows that the target may have
  kUpdate,    // rows that the target should have
  kPatch,     // likewise, and the rows lack columns
  kDelete,    // by key
  kMakeRoom,  // before kMove: no other row has the new key
  kMove,      // another key, behind kMakeRoom
  kTruncate,  // several tables; see truncate_statement()
};

// Parameter 1 is a JSON array. For kInsert, kUpsert and kUpdate, of rows; for kDelete, of keys. For
// kPatch, kMakeRoom and kMove, of objects {"after":…,"unchanged":[…],"elided":{…}}; parameter 2 is
// then, but for kPatch, an array with the old key.
[[nodiscard]] std::string change_statement(Change change, const Shape& shape);

}  // namespace walspout
