#include "backfill/first_rows.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "backfill/overlay.h"
#include "backfill/statements.h"
#include "source/options.h"

namespace walspout {

namespace {

constexpr Duration kConnect = std::chrono::seconds(10);
constexpr Duration kImport = std::chrono::seconds(60);
constexpr size_t kMostBytes = 8u << 20;  // of rows that wait to be placed

}  // namespace

FirstRows::FirstRows(SourceConfig config, std::vector<BackfillRecord> tables, Lsn at)
    : config_(std::move(config)), tables_(std::move(tables)), at_(at) {}

Result<void> FirstRows::start(const std::string& snapshot) {
  auto connection =
      Connection::open(rendering_dsn(config_), Connection::Mode::kOrdinary, Clock::now() + kConnect,
                       wake_, [this] { return leave_.load(); });
  if (!connection) return Failure(std::move(connection.error()));
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  time_ = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  thread_ = std::thread([this, message = read_first(config_, tables_, snapshot),
                         opened = std::move(*connection)]() mutable {
    pthread_setname_np(pthread_self(), "first rows");
    run(std::move(opened), message);
  });
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kImport, [this] { return in_use_ || over_ || leave_; });
  if (in_use_) return {};
  const std::string error = error_.empty() ? "the snapshot could not be used in time" : error_;
  lock.unlock();
  stop();
  return retry(error);
}

void FirstRows::run(Connection connection, const std::string& message) {
  std::string error;
  try {
    std::vector<FrameDecoder> decoders(tables_.size());
    auto read = connection.copy({message}, TimePoint::max(), [&](size_t copy, Message value) {
      return take(copy, std::move(value), decoders);
    });
    if (!read) error = read.error().error.message();
  } catch (const std::exception& thrown) {
    error = std::string("a library threw: ") + thrown.what();
  }
  finish(error);
}

void FirstRows::finish(const std::string& error) {
  std::lock_guard lock(mutex_);
  over_ = true;
  error_ = error;
  changed_.notify_all();
}

// The first COPY names tables that were rewritten between the snapshot and the lock. They look
// empty in the snapshot.
Result<void> FirstRows::take(size_t copy, Message message, std::vector<FrameDecoder>& decoders) {
  if (copy == 0) {
    const std::string_view rewritten = message.bytes();
    if (rewritten != kNotRewritten) {
      return retry("the table was rewritten just when the slot was created: " +
                   std::string(rewritten.substr(kNotRewritten.size())));
    }
    std::lock_guard lock(mutex_);
    in_use_ = true;
    changed_.notify_all();
    return {};
  }
  if (copy > tables_.size()) return retry("the server sent more than was asked for");
  Part part;
  part.id = tables_[copy - 1].id;
  std::optional<RowsRead> read;
  Result<void> decoded = decoders[copy - 1].decode_rows(std::move(message), part.rows, read);
  if (!decoded) return decoded;
  part.end = read && read->end;
  KeptBudget budget;
  const Kept kept(budget);
  const Kept::Newer nothing(kept, Snapshot());
  // No WAL record begins there, so no other event has these ids.
  RowsPlace place{Lsn{at_.value - 1}, time_, index_};
  apply_newer(part.rows, nothing, place);
  index_ = place.index;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return bytes_ < kMostBytes || leave_; });
  if (leave_) return retry("it was told to stop");
  bytes_ += part.rows.bytes();
  parts_.push_back(std::move(part));
  return {};
}

std::optional<FirstRows::Part> FirstRows::next() {
  std::lock_guard lock(mutex_);
  if (parts_.empty()) return std::nullopt;
  Part part = std::move(parts_.front());
  parts_.pop_front();
  bytes_ -= part.rows.bytes();
  changed_.notify_all();
  return part;
}

bool FirstRows::is_over() const {
  std::lock_guard lock(mutex_);
  return over_;
}

std::string FirstRows::failed() const {
  std::lock_guard lock(mutex_);
  return error_;
}

void FirstRows::leave() {
  leave_ = true;
  wake_();
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void FirstRows::stop() {
  leave();
  if (thread_.joinable()) thread_.join();
}

}  // namespace walspout
