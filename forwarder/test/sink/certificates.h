// Certificates for tests, good ones and others, and a receiver that shows them.
#pragma once

#include <string>
#include <vector>

#include "test/sink/server_process.h"

namespace walspout::test {

// A self-signed certificate and its key, as PEM files. The certificate names localhost or another
// host, and is valid between the two days, counted from now.
struct Certificate {
  std::string cert_file;
  std::string key_file;
  std::string name = "localhost";
  int from_day = -1;
  int to_day = 2;
};
void make_certificate(const Certificate& certificate);

// A fault of TLS, and the text that the error must contain.
struct TlsFault {
  std::string what;
  std::string remedy;
  std::string name = "localhost";
  int from_day = -1;
  int to_day = 2;
  bool asks_for_client = false;  // asks for a certificate; we have none
  bool other_ca = false;         // we trust another CA
};
std::vector<TlsFault> tls_faults();

// A webhook with that fault.
class TlsServer {
 public:
  explicit TlsServer(const TlsFault& fault);

  int port() const { return port_; }
  // The CA that the test's sink trusts.
  std::string ca_file() const { return directory_.file(ca_); }
  std::string file(const std::string& name) const { return directory_.file(name); }
  // Restarts the server, which ends all connections.
  void cut();

 private:
  TempDir directory_;
  int port_ = free_port();
  std::string ca_ = "cert";
  Process::Command command_;
  Process process_;
};

}  // namespace walspout::test
