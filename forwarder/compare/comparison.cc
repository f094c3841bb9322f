#include "compare/comparison.h"

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

namespace walspout {
namespace {

constexpr Duration kAllRows = std::chrono::minutes(60);  // a table without a key is read as a whole
constexpr Duration kArrivalLook = std::chrono::milliseconds(50);
constexpr uint64_t kPiece = 50'000;  // rows
constexpr uint64_t kParts = 16;      // of a piece that differs
constexpr uint64_t kLeaf = 1'000;    // rows to compare one by one

uint64_t number(const std::string& text) {
  return std::stoull("0" + text);
}

Result<std::vector<Row>> ask(Connection& connection, const std::string& statement) {
  auto rows = connection.query(fixed_settings() + statement, Clock::now() + kAllRows);
  if (!rows) return Failure(comparison_error(std::move(rows.error())));
  return std::move(*rows);
}

// The two servers work at the same time.
std::pair<Result<std::vector<Row>>, Result<std::vector<Row>>> ask_both(
    Connection& source, const std::string& of_source, Connection& target,
    const std::string& of_target) {
  auto there = std::async(std::launch::async, [&] { return ask(target, of_target); });
  auto here = ask(source, of_source);
  return {std::move(here), there.get()};
}

KeyTexts key_of(const Row& row, size_t width) {
  KeyTexts key;
  for (size_t i = 0; i < width; i++) key.push_back(text(row, i));
  return key;
}

}  // namespace

Comparison::Comparison(Connection& source, Connection& target, ComparePosition& position,
                       const TablePair& pair, CompareSettings settings, Found found, Moved moved)
    : source_(source),
      target_(target),
      position_(position),
      pair_(pair),
      settings_(settings),
      found_(std::move(found)),
      moved_(std::move(moved)),
      settler_(source, target, position, pair, settings.settle) {}

Result<TableOutcome> Comparison::run() {
  auto done = pair_.key.empty() ? compare_as_whole()
              : pair_.has_order ? by_key()
                                : compare_buckets();
  if (done && is_disordered_) {
    outcome_.source_rows = outcome_.target_rows = 0;
    done = compare_buckets();
  }
  if (done) done = count_unkeyed();
  if (!done) return Failure(explained(done.error()));
  return outcome_;
}

// Says which columns may have the value that is at fault.
Error Comparison::explained(Error error) const {
  if (error.kind != ErrorKind::kReject || pair_.read.empty()) return error;
  std::string columns;
  for (const std::string& column : pair_.read) columns += (columns.empty() ? "" : ", ") + column;
  error.what =
      "a value of the source does not fit the type of its column in the target: " + error.what +
      ". The sink rejects such a row. These columns differ in type: " + columns +
      ". Change the value, or the type in the target (ALTER TABLE " + pair_.target.from +
      " ALTER COLUMN ... TYPE ...)";
  return error;
}

// No row of the source has NULL in its key.
Result<void> Comparison::count_unkeyed() {
  if (!pair_.finds_extra || pair_.target.unkeyed.empty()) return {};
  auto rows = ask(target_, find_unkeyed(pair_.target));
  if (!rows) return Failure(rows.error());
  const std::string count = text(rows->front(), 0);
  if (count == "0") return {};
  outcome_.whole = count + (count == "1" ? " row of the target has" : " rows of the target have") +
                   " NULL in a column of the key, as no row of the source has";
  return {};
}

Result<Comparison::Sum> Comparison::sum(Connection& connection, const TableSide& side) {
  auto rows = ask(connection, find_sum(side, {}));
  if (!rows) return Failure(rows.error());
  return Sum{number(text(rows->front(), 0)), text(rows->front(), 1)};
}

Result<Comparison::Sums> Comparison::sums(const Piece& piece) {
  auto [here, there] =
      ask_both(source_, find_sum(pair_.source, piece), target_, find_sum(pair_.target, piece));
  if (!here) return Failure(here.error());
  if (!there) return Failure(there.error());
  return Sums{{number(text(here->front(), 0)), text(here->front(), 1)},
              {number(text(there->front(), 0)), text(there->front(), 1)}};
}

bool Comparison::may_differ(const Sums& found) const {
  return !(found.source == found.target) && (pair_.finds_extra || found.source.rows > 0);
}

uint64_t Comparison::size(const Sums& found) const {
  return found.source.rows + (pair_.finds_extra ? found.target.rows : 0);
}

Result<void> Comparison::by_key() {
  Piece piece;
  bool goes_on = true;
  do {
    auto bound = ask(source_, find_bound(pair_.source, piece.after, kPiece));
    if (!bound) return Failure(bound.error());
    piece.up_to.reset();
    if (!bound->empty()) piece.up_to = key_of(bound->front(), pair_.key.size());
    auto looked = look(piece, 0);
    if (!looked) return Failure(looked.error());
    goes_on = *looked && piece.up_to.has_value();
    piece.after = piece.up_to;
  } while (goes_on);
  if (outcome_.stopped || is_disordered_) return {};
  auto settled = settle(true);
  if (!settled) return Failure(settled.error());
  return {};
}

Result<bool> Comparison::look(const Piece& piece, uint64_t of) {
  auto found = sums(piece);
  if (!found) return Failure(found.error());
  if (of == 0) {
    outcome_.source_rows += found->source.rows;
    outcome_.target_rows += found->target.rows;
    moved_(outcome_.source_rows);
  }
  // Of servers that sort alike, a part has at most three quarters of the rows. Of others, parts
  // could be divided for ever. Versions of a collation and labels of an enum may be in another
  // order.
  if (of > 0 && size(*found) > of / 8 * 7) {
    is_disordered_ = true;
    return false;
  }
  if (!may_differ(*found)) return true;
  const uint64_t rows =
      pair_.finds_extra ? std::max(found->source.rows, found->target.rows) : found->source.rows;
  return rows <= kLeaf ? rows_of(piece) : divide(piece, *found);
}

// Divides by the rows of the side that has more of them: else the parts could stay as large.
Result<bool> Comparison::divide(const Piece& piece, const Sums& found) {
  const bool by_target = pair_.finds_extra && found.target.rows > found.source.rows;
  const uint64_t rows = by_target ? found.target.rows : found.source.rows;
  const uint64_t step = std::max(kLeaf / 2, rows / kParts + 1);
  auto bounds = by_target ? ask(target_, find_bounds(pair_.target, piece, step))
                          : ask(source_, find_bounds(pair_.source, piece, step));
  if (!bounds) return Failure(bounds.error());
  if (bounds->empty()) return rows_of(piece);
  Piece part;
  part.after = piece.after;
  for (const Row& bound : *bounds) {
    part.up_to = key_of(bound, pair_.key.size());
    auto looked = look(part, size(found));
    if (!looked || !*looked) return looked;
    part.after = part.up_to;
  }
  part.up_to = piece.up_to;
  return look(part, size(found));
}

// If the copy keeps rows that the source has deleted, asks only for the rows of the source.
Result<bool> Comparison::rows_of(const Piece& piece) {
  const size_t width = pair_.key.size();
  std::map<KeyTexts, std::string> here;
  const auto note = [&](const KeyTexts& key, const std::string& hash) {
    const auto known = here.find(key);
    if (known == here.end()) {
      if (pair_.finds_extra) settler_.add(key);
      return;
    }
    if (known->second != hash) settler_.add(key);
    here.erase(known);
  };
  if (pair_.finds_extra) {
    auto [rows, others] =
        ask_both(source_, find_rows(pair_.source, piece), target_, find_rows(pair_.target, piece));
    if (!rows) return Failure(rows.error());
    if (!others) return Failure(others.error());
    for (const Row& row : *rows) here[key_of(row, width)] = text(row, width);
    for (const Row& row : *others) note(key_of(row, width), text(row, width));
  } else {
    auto rows = ask(source_, find_rows(pair_.source, piece));
    if (!rows) return Failure(rows.error());
    std::vector<KeyTexts> keys;
    for (const Row& row : *rows) {
      keys.push_back(key_of(row, width));
      here[keys.back()] = text(row, width);
    }
    if (keys.empty()) return true;
    auto others = Settler::rows(target_, pair_.target, keys, Clock::now() + kAllRows);
    if (!others) return Failure(others.error());
    for (const auto& [key, seen] : *others) note(key, seen.hash);
  }
  for (const auto& [key, hash] : here) settler_.add(key);
  return settle(false);
}

Result<bool> Comparison::settle(bool all) {
  while (settler_.size() >= (all ? 1 : Settler::kRows)) {
    auto found = settler_.settle();
    if (!found) return Failure(found.error());
    for (const Difference& difference : *found) {
      if (reported_.contains(difference.key)) continue;
      if (outcome_.differences() >= settings_.limit) {
        outcome_.stopped = true;
        return false;
      }
      reported_.insert(difference.key);
      switch (difference.kind) {
        case Difference::Kind::kMissing:
          outcome_.missing++;
          break;
        case Difference::Kind::kExtra:
          outcome_.extra++;
          break;
        case Difference::Kind::kDifferent:
          outcome_.different++;
          break;
        case Difference::Kind::kUnsettled:
          outcome_.unsettled++;
          break;
      }
      found_(difference);
    }
  }
  return true;
}

Result<std::map<int, Comparison::Sum>> Comparison::buckets(Connection& connection,
                                                           const TableSide& side) {
  auto rows = ask(connection, find_buckets(side));
  if (!rows) return Failure(rows.error());
  std::map<int, Sum> made;
  for (const Row& row : *rows) {
    made[static_cast<int>(number(text(row, 0)))] = {number(text(row, 1)), text(row, 2)};
  }
  return made;
}

// For servers that sort keys differently: a range of keys has different rows in each of them.
Result<void> Comparison::compare_buckets() {
  auto there = std::async(std::launch::async, [this] { return buckets(target_, pair_.target); });
  auto here = buckets(source_, pair_.source);
  auto others = there.get();
  if (!here) return Failure(here.error());
  if (!others) return Failure(others.error());
  for (const auto& [bucket, sum] : *here) outcome_.source_rows += sum.rows;
  for (const auto& [bucket, sum] : *others) outcome_.target_rows += sum.rows;
  moved_(outcome_.source_rows);
  Piece piece;
  uint64_t rows = 0;
  for (int bucket = 0; bucket < kBuckets; bucket++) {
    const Sums found{(*here)[bucket], (*others)[bucket]};
    if (may_differ(found)) {
      piece.buckets.push_back(bucket);
      rows += std::max(found.source.rows, found.target.rows);
    }
    const bool is_last = bucket + 1 == kBuckets;
    if (piece.buckets.empty() || (rows < kPiece && !is_last)) continue;
    auto looked = rows_of(piece);
    if (!looked) return Failure(looked.error());
    if (!*looked) return {};
    piece.buckets.clear();
    rows = 0;
  }
  auto settled = settle(true);
  if (!settled) return Failure(settled.error());
  return {};
}

// Rows without a key cannot be told apart.
Result<void> Comparison::compare_as_whole() {
  const TimePoint until = Clock::now() + settings_.settle;
  while (true) {
    const auto before = sum(source_, pair_.source);
    if (!before) return Failure(before.error());
    const auto lsn = position_.now(Clock::now() + kAllRows);
    if (!lsn) return Failure(lsn.error());
    bool reached = false;
    do {
      auto passed = position_.has_passed(*lsn, Clock::now() + kAllRows);
      if (!passed) return Failure(passed.error());
      reached = *passed;
      if (!reached) std::this_thread::sleep_for(kArrivalLook);
    } while (!reached && Clock::now() < until);
    const auto there = sum(target_, pair_.target);
    if (!there) return Failure(there.error());
    const auto after = sum(source_, pair_.source);
    if (!after) return Failure(after.error());
    outcome_.source_rows = after->rows;
    outcome_.target_rows = there->rows;
    moved_(outcome_.source_rows);
    if (*there == *before || *there == *after) return {};
    if (reached && *before == *after) {
      if (!pair_.finds_extra && there->rows > after->rows) {
        return retry(
            "cannot be compared: it has no key, and its copy keeps rows that the source has "
            "deleted");
      }
      outcome_.whole = there->rows == after->rows ? "rows differ" : "numbers of rows differ";
      return {};
    }
    if (Clock::now() < until) continue;
    outcome_.unsettled++;
    outcome_.whole = reached ? "it changed all the time" : "the target lagged behind";
    return {};
  }
}

}  // namespace walspout
