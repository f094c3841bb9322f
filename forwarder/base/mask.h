// Hides what a configuration keeps secret in texts of others: receivers repeat the url that they
// were called by, or the header that they did not like.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walspout {

class Mask {
 public:
  // Hides a text as it stands, and as it is without percent-encoding. Texts of fewer than four
  // bytes are not hidden: they are in every other word.
  void hide(std::string_view secret);

  // Hides the value of a header, and what follows the scheme in it: the token of "Bearer TOKEN".
  void hide_header(std::string_view value);

  // Hides all of a url but scheme, host and port: user, password, path, query, and the parts of
  // these. User and password are hidden as an Authorization header has them, too.
  void hide_url(std::string_view url);

  // The text with *** for each secret in it. Where a text ends in "...", it was cut, perhaps within
  // a secret: then the beginning of that is hidden, too.
  std::string apply(std::string text) const;

 private:
  void hide_cut(std::string& text) const;

  std::vector<std::string> secrets_;  // longest first
};

}  // namespace walspout
