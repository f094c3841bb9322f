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

  // Hides all of a url but scheme, host and port: user, password, path, query, and the parts of
  // these.
  void hide_url(std::string_view url);

  // The text with *** for each secret in it.
  std::string apply(std::string text) const;

 private:
  std::vector<std::string> secrets_;  // longest first
};

}  // namespace walspout
