// Rows that a backfill has read become events, at the place in the stream where its mark came.
//
// What was delivered and is newer than the rows is laid over them. A row that the receiver has as a
// whole, or knows to be gone, is dropped. A row of which it has newer values of some columns goes
// out with these values, and with its own ones for all other columns. So no value is lost, and no
// value goes back to an older one. JSON is not parsed: frames say where the members of a row are.
//
// Pure.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "backfill/kept.h"
#include "stream/chunk.h"

namespace walspout {

// Where rows are placed: in a transaction that has no other events.
struct RowsPlace {
  Lsn lsn;             // of the mark's commit record
  int64_t time = 0;    // of its commit
  uint64_t index = 0;  // of the next event
};

// Gives the chunk's rows their ids, and lays over them what is newer. Events that are dropped are
// taken out of the chunk; it may have none then. Moves the place's index on. Returns the keys of
// rows that have to be read again, as their columns have changed meanwhile. Nothing: there is no
// memory for that, and neither chunk nor place are of use. `allocate` is as malloc().
using Allocate = void* (*)(size_t);
std::optional<std::vector<std::string>> lay_over(Chunk& rows, const Kept::Newer& newer,
                                                 RowsPlace& place, Allocate allocate = std::malloc);

}  // namespace walspout
