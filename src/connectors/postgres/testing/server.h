#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace sluice::connectors::postgres {

// A PostgreSQL server of a test's own: Debian's programs, a temporary folder, a free port of 127.0.0.1,
// passwords asked for. Ends with the object. Confined.
class Server {
 public:
  // Errors: kNotFound when PostgreSQL is not installed.
  static Result<std::unique_ptr<Server>> Start();
  ~Server();

  // `user` is `tester`, an ordinary role with the password `let%me in`, or `postgres`.
  std::string Uri(const std::string& user = "tester", const std::string& password = "let%25me%20in") const;
  // Stops as after a power cut: nothing more is written, sessions are gone.
  Status Crash();
  Status Restart();

 private:
  Server() = default;
  Status Control(const std::string& arguments);

  std::string folder_;
  std::string programs_;
  std::string as_user_;  // what a command begins with, so that it does not run as root
  int port_ = 0;
  bool runs_ = false;
};

}  // namespace sluice::connectors::postgres
