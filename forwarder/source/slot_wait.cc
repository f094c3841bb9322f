#include "source/slot_wait.h"

#include <poll.h>
#include <pthread.h>

#include <exception>
#include <system_error>

#include "base/log.h"

namespace walspout {

namespace {

constexpr Duration kFirst = std::chrono::seconds(1);
constexpr Duration kInterval = std::chrono::seconds(5);
constexpr Duration kPatience = std::chrono::seconds(5);
constexpr size_t kNamed = 3;  // transactions that are named

// Process 0 stands for a prepared transaction. For sessions of other roles the server may show only
// the process.
std::string question(int process) {
  return "SELECT b.pid, a.application_name, a.usename, a.xact_start::pg_catalog.text, "
         "pg_catalog.pg_is_in_recovery() FROM (SELECT true) one LEFT JOIN "
         "pg_catalog.unnest(pg_catalog.pg_blocking_pids(" +
         std::to_string(process) +
         ")) b(pid) ON true LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) "
         "ORDER BY a.xact_start, b.pid";
}

std::string transaction(const Row& row) {
  if (text(row, 0) == "0") return "a prepared transaction (pg_prepared_xacts)";
  std::string who = text(row, 1);
  if (!text(row, 2).empty()) who += (who.empty() ? "role " : ", role ") + text(row, 2);
  return "the open transaction of process " + text(row, 0) + (who.empty() ? "" : " (" + who + ")") +
         (text(row, 3).empty() ? "" : ", since " + text(row, 3));
}

}  // namespace

SlotWait::SlotWait(const Connection& maker, const Secret& dsn, Say say)
    : server_(maker.address()), process_(maker.server_process()), dsn_(dsn), say_(std::move(say)) {
  try {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "slot wait");
      try {
        run();
      } catch (const std::exception& error) {
        log(LogLevel::kDebug, "what the slot waits for is not known", {{"error", error.what()}});
      }
    });
  } catch (const std::system_error&) {
    // Without the thread nothing is reported.
  }
}

SlotWait::~SlotWait() {
  stop_ = true;
  wake_();
  if (thread_.joinable()) thread_.join();
}

void SlotWait::wait(Duration time) {
  const TimePoint until = Clock::now() + time;
  while (!stop_ && Clock::now() < until) {
    pollfd fd{wake_.fd(), POLLIN, 0};
    const auto left = std::chrono::ceil<Milliseconds>(until - Clock::now()).count();
    poll(&fd, 1, static_cast<int>(std::max<int64_t>(0, left)));
    if (fd.revents) wake_.clear();
  }
}

void SlotWait::run() {
  std::string said;
  for (wait(kFirst); !stop_; wait(kInterval)) {
    const std::string what = look();
    if (!what.empty() && what != said && !stop_) say_(what);
    if (!what.empty()) said = what;
  }
}

// Empty: unknown, or the slot waits for nothing now.
std::string SlotWait::look() {
  auto connection =
      Connection::open_at(server_, dsn_, Connection::Mode::kOrdinary, Clock::now() + kPatience,
                          wake_, [this] { return stop_.load(); });
  if (!connection) return "";
  auto rows = connection->query(question(process_), Clock::now() + kPatience);
  if (!rows || rows->empty()) return "";
  if (text(rows->front(), 0).empty()) {
    return text(rows->front(), 4) == "t" ? "the primary to log which transactions run: SELECT "
                                           "pg_catalog.pg_log_standby_snapshot() there"
                                         : "";
  }
  std::string what;
  for (size_t i = 0; i < std::min(rows->size(), kNamed); i++) {
    what += (i > 0 ? "; " : "") + transaction((*rows)[i]);
  }
  if (rows->size() > kNamed) what += "; and " + std::to_string(rows->size() - kNamed) + " more";
  return what;
}

}  // namespace walspout
