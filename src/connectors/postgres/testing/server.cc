#include "connectors/postgres/testing/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace sluice::connectors::postgres {
namespace {

// Where Debian keeps the programs of its newest version.
std::string FindPrograms() {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    const auto folder = entry.path() / "bin";
    if (std::filesystem::exists(folder / "initdb", ignored)) found.push_back(folder.string());
  }
  std::sort(found.begin(), found.end());
  return found.empty() ? std::string() : found.back();
}

int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

Status Shell(const std::string& command, const std::string& log) {
  if (std::system((command + " >>" + log + " 2>&1 </dev/null").c_str()) == 0) return {};
  std::ifstream file(log);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return MakeError(ErrorCode::kUnavailable, "'{}' failed: {}", command, text);
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start() {
  auto server = std::unique_ptr<Server>(new Server());
  server->programs_ = FindPrograms();
  if (server->programs_.empty())
    return NotFound("PostgreSQL is missing: tools/setup --integration installs it");
  char folder[] = "/tmp/sluice-postgres-XXXXXX";
  if (::mkdtemp(folder) == nullptr) return FromErrno(errno, "making a temporary folder");
  server->folder_ = folder;
  const std::string log = server->folder_ + "/setup.log";
  if (::geteuid() == 0) {
    server->as_user_ = "runuser -u postgres -- ";
    RETURN_IF_ERROR(Shell("chown postgres " + server->folder_, "/dev/null"));
  }
  std::ofstream(server->folder_ + "/password") << "let%me in\n";
  std::filesystem::permissions(server->folder_ + "/password", std::filesystem::perms(0644));
  RETURN_IF_ERROR(Shell(server->as_user_ + server->programs_ + "/initdb -D " + server->folder_ +
                            "/data -U postgres --pwfile=" + server->folder_ +
                            "/password -A scram-sha-256 -E UTF8 --no-sync",
                        log));
  server->port_ = FreePort();
  RETURN_IF_ERROR(server->Restart());
  const std::string sql =
      "CREATE ROLE tester LOGIN PASSWORD 'let%me in'; GRANT CREATE ON DATABASE postgres TO tester; "
      "CREATE SCHEMA AUTHORIZATION tester";
  RETURN_IF_ERROR(Shell("psql -q -d '" + server->Uri("postgres") + "' -c \"" + sql + "\"", log));
  return server;
}

Server::~Server() {
  if (runs_) (void)Control("stop -m immediate");
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Status Server::Control(const std::string& arguments) {
  return Shell(as_user_ + programs_ + "/pg_ctl -D " + folder_ + "/data -w -t 60 " + arguments,
               folder_ + "/setup.log");
}

Status Server::Crash() {
  runs_ = false;
  return Control("stop -m immediate");
}

Status Server::Restart() {
  RETURN_IF_ERROR(Control("-l " + folder_ + "/data/server.log -o \"-p " + std::to_string(port_) + " -k " +
                          folder_ + "/data -c listen_addresses=127.0.0.1 -c shared_buffers=64MB\" start"));
  runs_ = true;
  return {};
}

std::string Server::Uri(const std::string& user, const std::string& password) const {
  return fmt::format("postgres://{}:{}@127.0.0.1:{}/postgres", user, password, port_);
}

}  // namespace sluice::connectors::postgres
