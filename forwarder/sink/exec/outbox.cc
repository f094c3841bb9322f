#include "sink/exec/outbox.h"

namespace walspout {

void ExecOutbox::add(uint64_t number, std::string_view line) {
  if (sent_ > 0 && sent_ * 2 >= output_.size()) {
    output_.erase(0, sent_);
    sent_ = 0;
  }
  const uint64_t begin = queued_;
  queued_ += line.size() + 1;
  lines_.push_back({number, begin, queued_});
  if (line.size() >= kLong) {
    body_ = line;
    return;
  }
  output_ += line;
  output_ += '\n';
}

void ExecOutbox::keep_bytes() {
  if (body_.empty() || body_.data() == kept_body_.data() ||
      (body_.data() > kept_body_.data() && body_.data() < kept_body_.data() + kept_body_.size())) {
    return;
  }
  kept_body_ = body_;
  body_ = kept_body_;
}

std::string_view ExecOutbox::front() const {
  return sent_ < output_.size() ? std::string_view(output_).substr(sent_) : body_;
}

void ExecOutbox::wrote(size_t bytes) {
  written_ += bytes;
  if (sent_ < output_.size()) {
    sent_ += bytes;
    if (sent_ == output_.size()) {
      output_.clear();
      sent_ = 0;
    }
  } else {
    body_.remove_prefix(bytes);
    if (body_.empty()) {
      output_ = '\n';
      kept_body_ = std::string();
    }
  }
  while (!lines_.empty() && lines_.front().end <= written_) lines_.pop_front();
}

std::vector<uint64_t> ExecOutbox::take_back() {
  std::vector<uint64_t> numbers;
  while (!lines_.empty() && lines_.back().begin >= written_) {
    const Line& line = lines_.back();
    numbers.push_back(line.number);
    const size_t length = static_cast<size_t>(line.end - line.begin);
    if (body_.empty()) {
      output_.resize(output_.size() - length);
    } else {
      body_ = {};
      kept_body_ = std::string();
    }
    queued_ = line.begin;
    lines_.pop_back();
  }
  return numbers;
}

void ExecOutbox::clear() {
  *this = ExecOutbox();
}

}  // namespace walspout
