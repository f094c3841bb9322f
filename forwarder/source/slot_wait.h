// Reports the open transactions that the creation of a slot waits for. The connection that creates
// the slot does not learn them, so another connection asks the server.
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
  // Called on a separate thread with a new text: "the open transaction of process 4711 (psql, role
  // alice), since 2026-11-27 03:00:00+00".
  using Say = std::function<void(const std::string& what)>;

  // `maker` is about to create a slot. The first query comes after one second.
  SlotWait(const Connection& maker, const Secret& dsn, Say say);
  ~SlotWait();  // call it when the slot is created
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
