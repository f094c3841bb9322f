#include "sink/http/signature.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <array>
#include <memory>

namespace walspout {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr size_t kLeastKey = 24;  // bytes, from Standard Webhooks

struct FreeMac {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

std::string to_base64(std::span<const unsigned char> bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

// Decodes base64, with or without padding. Empty: not base64.
std::string from_base64(std::string text) {
  while (!text.empty() && text.back() == '=') text.pop_back();
  const size_t padding = (4 - text.size() % 4) % 4;
  if (text.empty() || padding == 3) return "";
  const size_t length = text.size() * 3 / 4;
  text.append(padding, '=');
  std::string bytes(text.size() / 4 * 3, '\0');
  const int decoded = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                      reinterpret_cast<const unsigned char*>(text.data()),
                                      static_cast<int>(text.size()));
  if (decoded < 0) return "";
  bytes.resize(length);
  return bytes;
}

std::string hmac_sha256(std::string_view key, std::span<const std::string_view> pieces) {
  const std::unique_ptr<EVP_MAC, FreeMac> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  const std::unique_ptr<EVP_MAC_CTX, FreeMac> context(EVP_MAC_CTX_new(mac.get()));
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 2> parameters = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char*>(key.data()), key.size(),
               parameters.data());
  for (const std::string_view piece : pieces) {
    EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char*>(piece.data()),
                   piece.size());
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  size_t length = 0;
  EVP_MAC_final(context.get(), hash.data(), &length, hash.size());
  return to_base64(std::span(hash).first(length));
}

}  // namespace

Result<HttpSigner> HttpSigner::create(std::span<const Secret> secrets) {
  HttpSigner signer;
  for (size_t i = 0; i < secrets.size(); ++i) {
    const std::string& secret = secrets[i].reveal();
    std::string key =
        secret.starts_with(kPrefix) ? from_base64(secret.substr(kPrefix.size())) : secret;
    if (key.empty()) {
      return fatal("secret " + std::to_string(i + 1) + " of " + std::to_string(secrets.size()) +
                   " is empty or is not base64 after \"whsec_\"; a good one is made by: "
                   "echo whsec_$(openssl rand -base64 32)");
    }
    if (key.size() < kLeastKey) {
      return fatal("secret " + std::to_string(i + 1) + " of " + std::to_string(secrets.size()) +
                   " is a key of " + std::to_string(key.size()) +
                   " bytes, and it must have at least " + std::to_string(kLeastKey) +
                   " bytes; a good one is made by: echo whsec_$(openssl rand -base64 32)");
    }
    signer.keys_.push_back(std::move(key));
  }
  return signer;
}

std::string HttpSigner::sign(std::string_view id, int64_t timestamp,
                             std::span<const std::string_view> body) const {
  const std::string head = std::string(id) + "." + std::to_string(timestamp) + ".";
  std::vector<std::string_view> pieces = {head};
  pieces.insert(pieces.end(), body.begin(), body.end());
  std::string signature;
  for (const std::string& key : keys_) {
    if (!signature.empty()) signature += ' ';
    signature += "v1," + hmac_sha256(key, pieces);
  }
  return signature;
}

}  // namespace walspout
