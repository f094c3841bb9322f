#include "base/mask.h"

#include <algorithm>
#include <charconv>

#include "base/base64.h"

namespace walspout {
namespace {

constexpr size_t kShortest = 4;
constexpr std::string_view kCut = "...";

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr ==
            text.data() + i + 3) {
      decoded += static_cast<char>(code);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

}  // namespace

void Mask::hide(std::string_view secret) {
  for (std::string each : {std::string(secret), percent_decoded(secret)}) {
    if (each.size() < kShortest) continue;
    if (std::find(secrets_.begin(), secrets_.end(), each) != secrets_.end()) continue;
    secrets_.push_back(std::move(each));
  }
  // Longest first: a secret may be a part of another one.
  std::stable_sort(secrets_.begin(), secrets_.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
}

void Mask::hide_header(std::string_view value) {
  hide(value);
  if (const size_t space = value.find(' '); space != value.npos) hide(value.substr(space + 1));
}

void Mask::hide_url(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
  const size_t end = std::min(url.find_first_of("/?#"), url.size());
  const std::string_view authority = url.substr(0, end);
  const std::string_view rest = url.substr(end);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = authority.substr(0, at);
    const size_t colon = std::min(user.find(':'), user.size());
    hide(user);
    hide(user.substr(0, colon));
    if (colon < user.size()) hide(user.substr(colon + 1));
    hide(base64(percent_decoded(user) + (colon < user.size() ? "" : ":")));
  }
  hide(rest);
  for (size_t begin = 0; begin < rest.size();) {
    const size_t stop = std::min(rest.find_first_of("/?#&=;", begin), rest.size());
    hide(rest.substr(begin, stop - begin));
    begin = stop + 1;
  }
}

void Mask::hide_cut(std::string& text) const {
  if (!text.ends_with(kCut)) return;
  const size_t end = text.size() - kCut.size();
  size_t cut = 0;
  for (const std::string& secret : secrets_) {
    size_t length = std::min(end, secret.size() - 1);
    while (length > cut && text.compare(end - length, length, secret, 0, length) != 0) --length;
    cut = std::max(cut, length);
  }
  if (cut > 0) text.replace(end - cut, cut, "***");
}

std::string Mask::apply(std::string text) const {
  hide_cut(text);
  for (const std::string& secret : secrets_) {
    for (size_t at = 0; (at = text.find(secret, at)) != std::string::npos; at += 3) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

}  // namespace walspout
