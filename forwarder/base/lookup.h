// Looks up addresses of a host with a deadline. getaddrinfo() has none: if name servers do not
// answer, it takes as long as resolv.conf says, half a minute or more.
#pragma once

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/result.h"

namespace walspout {

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
// Never empty. Several threads may read it.
using Addresses = std::shared_ptr<const addrinfo>;

namespace lookup {

struct Question {
  std::mutex mutex;
  std::condition_variable answered;
  bool is_answered = false;
  Addresses found;
  std::string why;  // why there are no addresses
};

// The questions in progress, by host and port. A silent name server costs one thread a host,
// however many callers ask. Threads outlive main(), and so does this.
struct Questions {
  std::mutex mutex;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Question>> open;
};
inline Questions& questions() {
  static auto* all = new Questions;
  return *all;
}

inline void ask(const std::string& host, const std::string& port, int flags, Question& question) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list);
  const std::string why = code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code);
  const std::scoped_lock lock(question.mutex);
  if (code == 0) question.found = Addresses(list, FreeAddresses());
  if (code != 0) question.why = why;
  question.is_answered = true;
  question.answered.notify_all();
}

// The question about this host, which a thread of its own asks. Throws std::system_error if no
// thread can be started.
inline std::shared_ptr<Question> begin(const std::string& host, const std::string& port) {
  const std::pair key(host, port);
  const std::scoped_lock lock(questions().mutex);
  std::shared_ptr<Question>& question = questions().open[key];
  if (question) return question;
  question = std::make_shared<Question>();
  const auto begun = question;
  try {
    std::thread([key, begun] {
      ask(key.first, key.second, 0, *begun);
      const std::scoped_lock done(questions().mutex);
      questions().open.erase(key);
    }).detach();
  } catch (const std::system_error&) {
    questions().open.erase(key);
    throw;
  }
  return begun;
}

}  // namespace lookup

// The addresses of a host, in the order in which to try them. Error: kRetry, there are none, or no
// answer came by the deadline.
[[nodiscard]] inline Result<Addresses> addresses_of(const std::string& host, int port,
                                                    TimePoint deadline) {
  const std::string service = port > 0 ? std::to_string(port) : "0";
  // An address needs no thread.
  lookup::Question plain;
  lookup::ask(host, service, AI_NUMERICHOST, plain);
  if (plain.found) return plain.found;
  std::shared_ptr<lookup::Question> question;
  try {
    question = lookup::begin(host, service);
  } catch (const std::system_error& error) {
    return retry("could not look up " + host + ": no thread can be created: " +
                 error.code().message() + ". Raise the limit of processes (ulimit -u, TasksMax)");
  }
  std::unique_lock lock(question->mutex);
  if (!question->answered.wait_until(lock, deadline, [&] { return question->is_answered; })) {
    return retry("no address of " + host +
                 " is known: no name server has answered in time. Look at /etc/resolv.conf");
  }
  if (question->found) return question->found;
  return retry("no address of " + host + " is known: " + question->why);
}

}  // namespace walspout
