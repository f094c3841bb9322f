// Turns the rows of a backfill into events, at the mark's place in the stream.
//
// Delivered changes that are newer are laid over the rows. A row is dropped if the receiver has the
// whole row, or knows that it is gone. If the receiver has newer values of some columns, the row is
// sent with these values and its own values of the others. So no value is lost, and no value
// returns to an older one. JSON is not parsed: frames say where the members of a row are.
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

// Gives the chunk's rows and schemas their ids, and lays newer changes over them. Removes dropped
// events from the chunk, which may become empty. Advances the place's index. Returns the keys of
// rows to read again because the table's columns have changed. Nothing: not enough memory; then
// chunk and place are unusable. `allocate` works like malloc().
using Allocate = void* (*)(size_t);
std::optional<std::vector<std::string>> apply_newer(Chunk& rows, const Kept::Newer& newer,
                                                    RowsPlace& place,
                                                    Allocate allocate = std::malloc);

// Removes schemas without a row behind them, which was dropped. No two schemas may have one index.
void drop_lone_schemas(std::vector<Chunk>& rows);

}  // namespace walspout
