// The statements that look at a table, of the source or of the target.
//
// A row is known by the texts of its key, and by a hash of its columns' texts. Both sides make the
// same texts of equal values. A piece of a table has the rows between two keys. Pieces follow each
// other without a gap. So each row is in a piece. If the two servers sort differently, a row may be
// in several.
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace walspout {

using KeyTexts = std::vector<std::string>;  // of each column of the key

// All SQL here calls the table t.
struct TableSide {
  std::string from;                    // for FROM, without the alias
  std::string rows;                    // a condition; empty: all rows
  std::string unkeyed{};               // a condition for rows with NULL in the key; empty: none has
  std::vector<std::string> keys;       // columns
  std::vector<std::string> key_texts;  // their texts.
  std::vector<std::string> key_types;  // the types to read these texts as.
  std::vector<bool> key_numbers;       // whether the column holds whole numbers, of any size.
  std::vector<std::string> values;     // texts of all compared columns.
  bool portable = false;               // true: the servers' own hashes differ.
};

struct Piece {
  std::optional<KeyTexts> after;  // nothing: from the first row on
  std::optional<KeyTexts> up_to;  // nothing: up to the last row
  std::vector<int> buckets = {};
};
inline constexpr int kBuckets = 4096;

// Put in front of each statement, in one message. All versions then print values alike, and nothing
// is written.
std::string fixed_settings();

// Asks for the servers' own hashes, to compare them, and for the database's encoding.
std::string find_hash_probe();

// Two columns: number of rows, and the sum of their hashes.
std::string find_sum(const TableSide& side, const Piece& piece);

// The number of rows with NULL in the key, which all other statements leave out.
std::string find_unkeyed(const TableSide& side);

// The key's texts of the last of so many rows; no row: there are fewer.
std::string find_bound(const TableSide& side, const std::optional<KeyTexts>& after, uint64_t rows);

// The key's texts of every `step`-th row.
std::string find_bounds(const TableSide& side, const Piece& piece, uint64_t step);

// A row for each bucket: its number, number of rows, sum of hashes.
std::string find_buckets(const TableSide& side);

// The key's texts, and the hash.
std::string find_rows(const TableSide& side, const Piece& piece);

// The key's texts, the hash, and what tells versions of the row apart.
std::string find_versions(const TableSide& side, const std::vector<KeyTexts>& keys);

// The hash of each column; one row, or no row.
std::string find_columns(const TableSide& side, const KeyTexts& key);

// The number of rows that the planner expects.
std::string find_estimate(const std::string& schema, const std::string& table);

}  // namespace walspout
