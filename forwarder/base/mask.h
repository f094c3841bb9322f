// Hides a configuration's secrets in texts of others: receivers repeat the URL of the request, or a
// header that they reject.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class Mask {
 public:
  // Hides a text as it is, and the text with its percent-encoding removed. Texts of fewer than four
  // bytes are not hidden: too many words contain them.
  void hide(std::string_view secret);

  // Hides the value of a header, and the part after its scheme: the token of "Bearer TOKEN".
  void hide_header(std::string_view value);

  // Hides all of a URL except scheme, host and port: user, password, path, query, and their parts.
  // Also hides user and password as an Authorization header has them.
  void hide_url(std::string_view url);

  // The text with *** for each secret in it. A text that ends in "..." was cut, perhaps within a
  // secret: the beginning of that secret is hidden, too.
  std::string apply(std::string text) const;

 private:
  void hide_cut(std::string& text) const;

  std::vector<std::string> secrets_;  // longest first
};

}  // namespace walspout
