#include "cli/pager.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

extern char** environ;

namespace sluice::cli {
namespace {

// The environment, and how less behaves when nobody says: leave at once what fits the screen, show colours.
std::vector<char*> Environment() {
  static char less[] = "LESS=FRX";
  std::vector<char*> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.push_back(*entry);
  if (std::getenv("LESS") == nullptr) all.push_back(less);
  all.push_back(nullptr);
  return all;
}

// A shell that runs `command` with `input` as its standard input, and signals as they are by default.
bool Spawn(const std::string& command, int input, pid_t* process) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGXFSZ);
  if (posix_spawn_file_actions_init(&actions) != 0) return false;
  bool ok = posix_spawnattr_init(&attributes) == 0;
  if (ok) {
    std::string shell = "sh", flag = "-c", text = command;
    char* arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
    auto environment = Environment();
    ok = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO) == 0 &&
         posix_spawnattr_setsigmask(&attributes, &none) == 0 &&
         posix_spawnattr_setsigdefault(&attributes, &defaults) == 0 &&
         posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0 &&
         posix_spawn(process, "/bin/sh", &actions, &attributes, arguments, environment.data()) == 0;
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return ok;
}

}  // namespace

std::unique_ptr<Pager> Pager::Start(Session& session) {
  if (!session.stdout_is_terminal()) return nullptr;
  const char* chosen = std::getenv("PAGER");
  // Where there is no less the output comes as it is.
  const std::string command = chosen ? chosen : "command -v less > /dev/null && exec less || exec cat";
  if (command.empty() || command == "cat") return nullptr;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return nullptr;
  pid_t process = -1;
  const bool started = Spawn(command, ends[0], &process);
  close(ends[0]);
  if (started && dup2(ends[1], STDOUT_FILENO) < 0) errno = 0;
  close(ends[1]);
  if (!started) return nullptr;
  session.set_paging(true);
  return std::unique_ptr<Pager>(new Pager(session, process));
}

Pager::~Pager() {
  // The end of the output is the end of the last descriptor for it.
  const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0) close(STDOUT_FILENO);
  if (nowhere >= 0) close(nowhere);
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  session_.set_paging(false);
}

}  // namespace sluice::cli
