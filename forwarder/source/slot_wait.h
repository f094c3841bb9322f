// Says what the making of a slot waits for: transactions that are open. The server says nothing of
// it to the connection that makes the slot, so the server is asked beside it.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/secret.h"
#include "base/wake.h"
#include "postgres/connection.h"

namespace walspout {

class SlotWait {
 public:
  // Called on a thread of its own, when there is something to say, and when it changes: "the open
  // transaction of process 4711 (psql, role alice), since 2026-11-27 03:00:00+00".
  using Say = std::function<void(const std::string& what)>;

  // `maker` is about to make a slot. Nothing is asked within the first second.
  SlotWait(const Connection& maker, const Secret& dsn, Say say);
  ~SlotWait();  // the slot is made
  SlotWait(const SlotWait&) = delete;
  SlotWait& operator=(const SlotWait&) = delete;

 private:
  void run();
  void wait(Duration time);
  std::string look();

  const ServerAddress server_;
  const int process_;
  const Secret dsn_;
  const Say say_;
  Wake wake_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace walspout
