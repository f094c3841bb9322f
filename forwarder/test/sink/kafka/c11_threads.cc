// ThreadSanitizer does not know the C11 threads and locks that librdkafka uses. These functions
// call those of POSIX, like the C library, which it does know.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <memory>

namespace {

int outcome(int error) {
  if (error == 0) return thrd_success;
  return error == ETIMEDOUT ? thrd_timedout : error == EBUSY ? thrd_busy : thrd_error;
}

pthread_mutex_t* mutex(mtx_t* mine) {
  return reinterpret_cast<pthread_mutex_t*>(mine);
}

pthread_cond_t* condition(cnd_t* mine) {
  return reinterpret_cast<pthread_cond_t*>(mine);
}

struct Start {
  thrd_start_t function;
  void* argument;
};

void* begin(void* from) {
  const std::unique_ptr<Start> start(static_cast<Start*>(from));
  return reinterpret_cast<void*>(static_cast<intptr_t>(start->function(start->argument)));
}

}  // namespace

extern "C" {

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  auto start = std::make_unique<Start>(Start{function, argument});
  const int error = pthread_create(thread, nullptr, begin, start.get());
  if (error == 0) (void)start.release();
  return outcome(error);
}

int thrd_join(thrd_t thread, int* result) {
  void* returned = nullptr;
  const int error = pthread_join(thread, &returned);
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<intptr_t>(returned));
  return outcome(error);
}

int thrd_detach(thrd_t thread) {
  return outcome(pthread_detach(thread));
}

int mtx_init(mtx_t* mine, int type) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  if ((type & mtx_recursive) != 0) {
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  }
  const int error = pthread_mutex_init(mutex(mine), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return outcome(error);
}

int mtx_lock(mtx_t* mine) {
  return outcome(pthread_mutex_lock(mutex(mine)));
}

int mtx_trylock(mtx_t* mine) {
  return outcome(pthread_mutex_trylock(mutex(mine)));
}

int mtx_unlock(mtx_t* mine) {
  return outcome(pthread_mutex_unlock(mutex(mine)));
}

void mtx_destroy(mtx_t* mine) {
  pthread_mutex_destroy(mutex(mine));
}

int cnd_init(cnd_t* mine) {
  return outcome(pthread_cond_init(condition(mine), nullptr));
}

int cnd_signal(cnd_t* mine) {
  return outcome(pthread_cond_signal(condition(mine)));
}

int cnd_broadcast(cnd_t* mine) {
  return outcome(pthread_cond_broadcast(condition(mine)));
}

int cnd_wait(cnd_t* mine, mtx_t* with) {
  return outcome(pthread_cond_wait(condition(mine), mutex(with)));
}

int cnd_timedwait(cnd_t* mine, mtx_t* with, const timespec* until) {
  return outcome(pthread_cond_timedwait(condition(mine), mutex(with), until));
}

void cnd_destroy(cnd_t* mine) {
  pthread_cond_destroy(condition(mine));
}

}  // extern "C"

#endif
#endif
