#include "test/sink/nats/nats_keys.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <string_view>

namespace walspout::test {
namespace {

// `width` bits a digit.
std::string digits_of(std::string_view bytes, std::string_view alphabet, int width) {
  std::string text;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8 | static_cast<unsigned char>(c)) & 0xffff;
    for (count += 8; count >= width; count -= width) {
      text += alphabet[bits >> (count - width) & (alphabet.size() - 1)];
    }
  }
  if (count > 0) text += alphabet[bits << (width - count) & (alphabet.size() - 1)];
  return text;
}

std::string base32(std::string_view bytes) {
  return digits_of(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5);
}

std::string base64url(std::string_view bytes) {
  return digits_of(bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", 6);
}

std::string summed(std::string bytes) {
  uint16_t sum = 0;
  for (const char c : bytes) {
    sum = static_cast<uint16_t>(sum ^ static_cast<unsigned char>(c) << 8);
    for (int i = 0; i < 8; ++i) {
      sum = static_cast<uint16_t>(sum & 0x8000 ? sum << 1 ^ 0x1021 : sum << 1);
    }
  }
  bytes += static_cast<char>(sum & 0xff);
  bytes += static_cast<char>(sum >> 8);
  return bytes;
}

}  // namespace

NatsKey::NatsKey(char kind) {
  EVP_PKEY* made = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  std::array<unsigned char, 32> hidden{};
  std::array<unsigned char, 32> shown{};
  size_t size = hidden.size();
  EXPECT_EQ(EVP_PKEY_get_raw_private_key(made, hidden.data(), &size), 1);
  EXPECT_EQ(EVP_PKEY_get_raw_public_key(made, shown.data(), &size), 1);
  EVP_PKEY_free(made);
  secret.assign(reinterpret_cast<const char*>(hidden.data()), hidden.size());
  const auto prefix = static_cast<unsigned char>((kind - 'A') << 3);
  std::string bytes;
  bytes += static_cast<char>(18 << 3 | prefix >> 5);
  bytes += static_cast<char>((prefix & 31) << 3);
  bytes += secret;
  seed = base32(summed(bytes));
  bytes.assign(1, static_cast<char>(prefix));
  bytes.append(reinterpret_cast<const char*>(shown.data()), shown.size());
  open = base32(summed(bytes));
}

std::string make_nats_jwt(const NatsKey& issuer, const std::string& subject,
                          const std::string& claims) {
  const std::string text = base64url(R"({"typ":"JWT","alg":"ed25519-nkey"})") + "." +
                           base64url("{\"jti\":\"x\",\"iat\":1700000000,\"iss\":\"" + issuer.open +
                                     "\",\"name\":\"test\",\"sub\":\"" + subject + "\",\"nats\":{" +
                                     claims + ",\"version\":2}}");
  EVP_PKEY* key = EVP_PKEY_new_raw_private_key(
      EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(issuer.secret.data()),
      issuer.secret.size());
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  std::array<unsigned char, 64> signature{};
  size_t size = signature.size();
  EXPECT_EQ(EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key), 1);
  EXPECT_EQ(EVP_DigestSign(context, signature.data(), &size,
                           reinterpret_cast<const unsigned char*>(text.data()), text.size()),
            1);
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return text + "." + base64url({reinterpret_cast<const char*>(signature.data()), size});
}

}  // namespace walspout::test
