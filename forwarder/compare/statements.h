// The statements that look at a table, of the source or of the target.
//
// A row is known by the texts of its key, and by a hash of its columns' texts. Both sides make the
// same texts of equal values. A piece of a table has the rows between two keys. Pieces follow each
// other without a gap. So each row is in a piece, even where the two servers sort differently: then
// perhaps in several.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace walspout {

using KeyTexts = std::vector<std::string>;  // of each column of the key

// The table is called t in all that is SQL here.
struct TableSide {
  std::string from;                    // without the alias
  std::string rows;                    // which rows count; empty: all
  std::vector<std::string> keys;       // columns
  std::vector<std::string> key_texts;  // their texts
  std::vector<std::string> key_types;  // as which the texts are read
  std::vector<bool> key_numbers;       // of whole numbers, of whatever size
  std::vector<std::string> values;     // texts of all columns that are compared
  bool portable = false;               // the servers' own hashes differ
};

struct Piece {
  std::optional<KeyTexts> after;  // nothing: from the first row on
  std::optional<KeyTexts> up_to;  // nothing: up to the last row
  // Where the servers sort differently: the rows whose keys have one of these hashes, modulo
  // kBuckets.
  std::vector<int> buckets = {};
};
inline constexpr int kBuckets = 4096;

// In front of each statement, in one message. Values are printed alike in all versions, and nothing
// is written.
std::string fixed_settings();

// Whether the servers' own hashes are the same; the encoding of the database.
std::string find_hash_probe();

// Two columns: number of rows, and the sum of their hashes.
std::string find_sum(const TableSide& side, const Piece& piece);

// The key's texts of the row that so many rows lead up to; none: there are fewer.
std::string find_bound(const TableSide& side, const std::optional<KeyTexts>& after, uint64_t rows);

// The key's texts of each row after so many rows.
std::string find_bounds(const TableSide& side, const Piece& piece, uint64_t step);

// A row for each bucket: its number, number of rows, sum of hashes.
std::string find_buckets(const TableSide& side);

// The key's texts, and the hash.
std::string find_rows(const TableSide& side, const Piece& piece);

// The key's texts, the hash, and what tells versions of the row apart.
std::string find_versions(const TableSide& side, const std::vector<KeyTexts>& keys);

// The hash of each column; one row, or none.
std::string find_columns(const TableSide& side, const KeyTexts& key);

// How many rows the planner expects.
std::string find_estimate(const std::string& schema, const std::string& table);

}  // namespace walspout
