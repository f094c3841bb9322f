#include "sink/exec/trial.h"

#include <signal.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sink/exec/answer.h"
#include "sink/exec/outbox.h"
#include "sink/exec/process.h"

namespace walspout {
namespace {

constexpr std::chrono::seconds kPatience{10};  // for an answer
constexpr std::chrono::seconds kEnd{5};        // from end of file to the program's end
constexpr std::chrono::seconds kUnread{2};     // time without reading answers
constexpr size_t kMany = 1000;
constexpr size_t kLongLine = 1024 * 1024;
constexpr size_t kLongestAnswer = 64 * 1024;
constexpr uint64_t kFirstLsn = 27'439'048;
constexpr std::string_view kAnswers =
    R"(An answer is a line like {"id":"..."} or {"id":"...","error":"...","kind":"retry"}, with )"
    "no other keys than id, error and kind. Other output belongs on standard error";

struct Line {
  std::string id;
  std::string document;
};

// Events as the plugin makes them. Ids grow over all starts of the program.
class Documents {
 public:
  Line next(const std::string& text = "\"new\"") {
    return odd("\"op\":\"c\"," + kTable + ",\"ts\":\"2026-11-20T11:22:33.123456Z\",\"xid\":741" +
               ",\"key\":{\"id\":" + std::to_string(count_ + 1) +
               "},\"after\":{\"id\":" + std::to_string(count_ + 1) + ",\"status\":" + text + "}");
  }
  // An event with `members` after its id.
  Line odd(const std::string& members) {
    ++count_;
    const std::string id =
        std::to_string(kFirstLsn + count_ / 10 * 8) + "-" + std::to_string(count_ % 10);
    return {id, "{\"id\":\"" + id + "\"," + members + "}"};
  }
  std::vector<Line> many(size_t count) {
    std::vector<Line> lines;
    for (size_t i = 0; i < count; ++i) lines.push_back(next());
    return lines;
  }

  static inline const std::string kTable = R"("schema":"walspout_test","table":"orders")";

 private:
  uint64_t count_ = 0;
};

// A running program, the events that it was given, and its answers.
class Dialogue {
 public:
  explicit Dialogue(const ExecConfig& config) : config_(config), answers_(kLongestAnswer) {}

  // False: problem() has the reason.
  bool start() {
    talk_.listen([](std::string_view) {});
    auto started = ExecProcess::start(config_, talk_);
    if (!started) {
      problem_ = started.error().message();
      return false;
    }
    process_ = std::move(*started);
    return true;
  }

  // Makes the pipe so small that few answers fit.
  void narrow() { process_->narrow(); }

  void give(const Line& line) {
    const TimePoint until = Clock::now() + kPatience;
    while (!outbox_.has_room() && problem_.empty() && Clock::now() < until) step(until, true);
    if (!outbox_.has_room()) {
      if (problem_.empty()) problem_ = "it does not read its standard input";
      return;
    }
    outbox_.add(++count_, line.document);
    outbox_.keep_bytes();
    open_.insert(line.id);
    given_.insert(line.id);
  }
  void give(const std::vector<Line>& lines) {
    for (const Line& line : lines) give(line);
  }
  // Writes raw bytes.
  void give_bytes(std::string_view bytes, const std::string& id) {
    const TimePoint until = Clock::now() + kPatience;
    while (!bytes.empty() && problem_.empty() && Clock::now() < until) {
      const size_t written = process_->write(bytes);
      bytes.remove_prefix(written);
      if (written == 0) process_->wait(true, until);
      if (process_->has_ended()) note_end();
    }
    open_.insert(id);
    given_.insert(id);
  }

  // Whether all events are answered. `patience`: the longest time without an answer.
  bool all_answered(Duration patience = kPatience) {
    TimePoint until = Clock::now() + patience;
    while (problem_.empty() && (!open_.empty() || !outbox_.empty())) {
      const size_t before = open_.size();
      step(until, true);
      if (open_.size() < before) until = Clock::now() + patience;
      if (Clock::now() < until || !problem_.empty()) continue;
      problem_ = open_.empty() ? "it does not read its standard input"
                               : "no answer for " + std::to_string(open_.size()) +
                                     " events, the first of them " + *open_.begin();
    }
    return problem_.empty();
  }

  // Whether `count` events are answered in time.
  bool answered(size_t count) {
    const TimePoint until = Clock::now() + kPatience;
    while (problem_.empty() && given_.size() - open_.size() < count && Clock::now() < until) {
      step(until, true);
    }
    return problem_.empty();
  }

  // Writes as much as the program takes, and reads nothing.
  void write_only(Duration time) {
    const TimePoint until = Clock::now() + time;
    while (problem_.empty() && !process_->has_ended() && Clock::now() < until) {
      step(std::min(until, Clock::now() + Milliseconds(50)), false);
      std::this_thread::sleep_for(Milliseconds(10));
    }
  }

  // Waits until all bytes are in the pipe.
  void flush() {
    const TimePoint until = Clock::now() + kPatience;
    while (problem_.empty() && !outbox_.empty() && Clock::now() < until) step(until, true);
  }
  void end_of_file() { process_->close_input(); }
  // Whether the program ended with status 0 after end of file, and answered for all events.
  bool ends() {
    const TimePoint until = Clock::now() + kEnd;
    while (problem_.empty() && Clock::now() < until) {
      const bool over = process_->has_ended();
      read();
      if (over && process_->has_failed()) note_end();
      if (over && problem_.empty() && !open_.empty()) {
        problem_ = "it ended without an answer for " + std::to_string(open_.size()) +
                   " events, the first of them " + *open_.begin();
      }
      if (over) return problem_.empty();
      process_->wait(false, until);
    }
    if (problem_.empty()) problem_ = "it still runs " + std::to_string(kEnd.count()) + " s later";
    return false;
  }
  void kill() {
    ::kill(process_->pid(), SIGKILL);
    process_.reset();
  }

  const std::string& problem() const { return problem_; }
  // What to do about the problem, if the problem alone shows that.
  const std::string& remedy() const { return remedy_; }
  std::string words() const { return talk_.last_lines(); }
  const std::set<std::string>& open() const { return open_; }
  const std::map<std::string, ExecAnswer>& errors() const { return errors_; }
  bool has_ended() const { return has_ended_; }
  bool in_order() const { return in_order_; }

 private:
  void step(TimePoint until, bool and_read) {
    while (!outbox_.empty()) {
      const size_t written = process_->write(outbox_.front());
      if (written == 0) break;
      outbox_.wrote(written);
    }
    const bool over = process_->has_ended();
    const size_t got = and_read ? read() : 0;
    process_->listen();
    if (over && and_read && !open_.empty()) note_end();
    if (got == 0 && and_read && problem_.empty()) process_->wait(!outbox_.empty(), until);
  }

  size_t read() {
    std::array<char, 16 * 1024> buffer;
    size_t all = 0;
    while (const size_t got = process_->read(buffer.data(), buffer.size())) {
      all += got;
      answers_.add({buffer.data(), got});
      while (const auto line = answers_.next()) hear(*line);
      if (answers_.is_too_long()) wrote_wrong("it wrote a line of more than 64 KiB", kAnswers);
      if (!problem_.empty() || all > kLongLine) break;
    }
    process_->listen();
    return all;
  }

  void hear(std::string_view line) {
    const auto answer = parse_exec_answer(line);
    if (!problem_.empty()) return;
    if (!answer) {
      wrote_wrong(
          "it wrote what is no answer: \"" + printable(line, 100) + "\" (" + answer.error() + ")",
          kAnswers);
      return;
    }
    if (!given_.contains(answer->id)) {
      wrote_wrong(
          "it answered for an event that it was not given: \"" + printable(answer->id, 100) + "\"",
          "Answer with the id of the event's document, as it is there");
      return;
    }
    if (open_.contains(answer->id) && *open_.begin() != answer->id) in_order_ = false;
    if (answer->error) errors_[answer->id] = *answer;
    open_.erase(answer->id);
  }

  void wrote_wrong(std::string problem, std::string_view remedy) {
    problem_ = std::move(problem);
    remedy_ = remedy;
  }

  void note_end() {
    has_ended_ = true;
    if (problem_.empty()) problem_ = "the program " + process_->how_it_ended();
  }

  const ExecConfig& config_;
  ExecTalk talk_;
  std::unique_ptr<ExecProcess> process_;
  ExecOutbox outbox_;
  ExecLines answers_;
  uint64_t count_ = 0;
  std::set<std::string> given_;
  std::set<std::string> open_;  // given, but not answered
  std::map<std::string, ExecAnswer> errors_;
  bool in_order_ = true;
  bool has_ended_ = false;
  std::string problem_;
  std::string remedy_;
};

class Trial {
 public:
  Trial(const ExecConfig& config, const SayTrial& say) : config_(config), say_(say) {}

  void run() {
    if (!starts()) return;
    if (!answers_alone()) return;
    answers_many();
    takes_repeats();
    takes_odd_documents();
    takes_pieces();
    bears_slow_reading();
    goes_on_after_a_crash();
    ends_at_end_of_file();
  }

 private:
  bool good(const std::string& what, const std::string& note = "") {
    say_({true, what, note});
    return true;
  }
  bool bad(const std::string& what, const Dialogue& dialogue, const std::string& remedy) {
    say_({false, what + ": " + dialogue.problem() + dialogue.words(),
          dialogue.remedy().empty() ? remedy : dialogue.remedy()});
    return false;
  }
  // The program answered with retry errors; rejecting events would be allowed.
  bool refused(const std::string& what, const Dialogue& dialogue) {
    const auto& [id, answer] = *dialogue.errors().begin();
    say_({false, what + ": it refused event " + id + ": " + printable(*answer.error, 200),
          "A document like that can come at any time. An event that is refused with kind retry "
          "comes again forever"});
    return false;
  }

  bool starts() {
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad("starts", dialogue, "");
    // Wait for its end: this step must not kill the program while it starts.
    dialogue.end_of_file();
    (void)dialogue.ends();
    return good("starts");
  }

  bool answers_alone() {
    const std::string what = "answers for an event that nothing follows";
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "");
    dialogue.give(documents_.next());
    if (dialogue.all_answered()) {
      return dialogue.errors().empty() ? good(what) : refused(what, dialogue);
    }
    return bad(what, dialogue,
               dialogue.has_ended()
                   ? "Read a line of standard input for each event, and go on until end of file"
                   : "Flush standard output after each answer, and do not wait for more input "
                     "before you answer. Other output belongs on standard error");
  }

  bool answers_many() {
    const std::string what = "answers for each of 1,000 events";
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "");
    dialogue.give(documents_.many(kMany));
    if (!dialogue.all_answered()) {
      return bad(what, dialogue, "Each event needs an answer, with the id of its document");
    }
    if (!dialogue.errors().empty()) return refused(what, dialogue);
    return good(what, dialogue.in_order() ? "in the order of the events"
                                          : "in another order, which is allowed");
  }

  bool takes_repeats() {
    const std::string what = "answers again for events that come again";
    const std::vector<Line> lines = documents_.many(10);
    for (int start = 0; start < 2; ++start) {
      Dialogue dialogue(config_);
      if (!dialogue.start()) return bad(what, dialogue, "");
      for (int round = 0; round < 2; ++round) {
        dialogue.give(lines);
        if (!dialogue.all_answered()) {
          return bad(what, dialogue,
                     "After a restart the latest events come again: recognise them by their id, "
                     "and answer");
        }
      }
      if (!dialogue.errors().empty()) return refused(what, dialogue);
    }
    return good(what);
  }

  bool takes_odd_documents() {
    const std::string what = "takes odd documents: Unicode, escapes, nesting, lines of 1 MB";
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "");
    std::string nested;
    for (int i = 0; i < 60; ++i) nested += "[";
    nested += "1";
    for (int i = 0; i < 60; ++i) nested += "]";
    const std::string table = "," + Documents::kTable;
    dialogue.give({
        documents_.next("\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 \xe2\x80\xa8\""),
        documents_.next(R"("\u0000\u001f\"\\\n\ud83d\ude00</script>")"),
        documents_.next("\"" + std::string(kLongLine, 'x') + "\""),
        documents_.next(nested),
        documents_.next("-12345678901234567890.123456789012345678901234567890e100"),
        documents_.next("null"),
        documents_.next("{\"id\":\"not the id\",\"a\":[]}"),
        documents_.odd("\"op\":\"d\"" + table + ",\"key\":{\"id\":1},\"before\":{\"id\":1}"),
        documents_.odd("\"op\":\"u\"" + table + ",\"after\":{},\"unchanged\":[\"body\"]"),
        documents_.odd("\"op\":\"t\"" + table + ",\"cascade\":true"),
        documents_.odd(R"("op":"m","prefix":"walspout_test","transactional":false,"content":null)"),
    });
    if (!dialogue.all_answered()) {
      return bad(what, dialogue, "Read lines of any length as UTF-8, and answer with the id");
    }
    const auto& errors = dialogue.errors();
    const bool is_retried = std::any_of(errors.begin(), errors.end(),
                                        [](const auto& error) { return !error.second.reject; });
    if (is_retried) return refused(what, dialogue);
    return good(what, errors.empty() ? "" : "it rejects " + std::to_string(errors.size()));
  }

  bool takes_pieces() {
    const std::string what = "takes a line that comes in pieces";
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "");
    const Line line = documents_.next("\"gr\xc3\xbc\xc3\x9f\"");
    const std::string text = line.document + "\n";
    const size_t middle = text.find('\xbc');  // within a character
    for (const std::string_view piece :
         {std::string_view(text).substr(0, 5), std::string_view(text).substr(5, middle - 5),
          std::string_view(text).substr(middle)}) {
      dialogue.give_bytes(piece, line.id);
      std::this_thread::sleep_for(Milliseconds(200));
    }
    if (!dialogue.all_answered()) return bad(what, dialogue, "An event ends with its line");
    return dialogue.errors().empty() ? good(what) : refused(what, dialogue);
  }

  bool bears_slow_reading() {
    const std::string what = "keeps its answers while they are not read";
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "");
    dialogue.narrow();
    dialogue.give(documents_.many(kMany));
    dialogue.write_only(kUnread);
    if (!dialogue.all_answered()) {
      return bad(what, dialogue,
                 "Standard output may be full for a while: wait until the answer is written");
    }
    return dialogue.errors().empty() ? good(what) : refused(what, dialogue);
  }

  bool goes_on_after_a_crash() {
    const std::string what = "goes on after it was killed";
    const std::vector<Line> lines = documents_.many(kMany);
    std::set<std::string> open;
    {
      Dialogue dialogue(config_);
      if (!dialogue.start()) return bad(what, dialogue, "");
      dialogue.give(lines);
      dialogue.answered(kMany / 10);
      if (!dialogue.problem().empty()) return bad(what, dialogue, "");
      open = dialogue.open();
      dialogue.kill();
    }
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "A start must not depend on a good end");
    // Do not repeat answered events, except the last ones.
    size_t first = 0;
    while (first < lines.size() && !open.contains(lines[first].id)) ++first;
    first -= std::min<size_t>(first, 10);
    dialogue.give(std::vector<Line>(lines.begin() + static_cast<ptrdiff_t>(first), lines.end()));
    if (!dialogue.all_answered()) {
      return bad(what, dialogue, "A start must not depend on a good end");
    }
    return dialogue.errors().empty() ? good(what) : refused(what, dialogue);
  }

  bool ends_at_end_of_file() {
    const std::string what = "ends at end of file, with all answered and exit status 0";
    Dialogue dialogue(config_);
    if (!dialogue.start()) return bad(what, dialogue, "");
    dialogue.give(documents_.many(100));
    if (!dialogue.answered(1)) return bad(what, dialogue, "");
    dialogue.flush();
    dialogue.end_of_file();
    if (!dialogue.ends()) {
      return bad(what, dialogue, "Otherwise it gets SIGTERM after `grace`, and then SIGKILL");
    }
    return good(what);
  }

  const ExecConfig& config_;
  const SayTrial& say_;
  Documents documents_;
};

}  // namespace

void try_exec_program(const ExecConfig& config, const SayTrial& say) {
  Trial(config, say).run();
}

}  // namespace walspout
