#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stop_token>
#include <thread>

#include "app/connectors.h"
#include "app/last_words.h"
#include "app/standard_files.h"
#include "cli/commands.h"
#include "pipeline/registry.h"

namespace {

// A wrapper may tell its child and the group that the child is in: that is one stop.
constexpr std::chrono::milliseconds kSameStop{500};

// Ctrl-C and SIGTERM ask once, politely; a second one ends the program. The dataset is as it was either way.
void WatchSignals(std::stop_source stop, const std::atomic<bool>& paging) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of its write
  // Ends with the program, which waits for no thread.
  std::thread([signals, stop, &paging]() mutable {
    int first = 0;
    std::chrono::steady_clock::time_point asked;
    while (true) {
      const int signal_number = sigwaitinfo(&signals, nullptr);
      if (signal_number <= 0 || (signal_number == SIGINT && paging)) continue;
      const auto now = std::chrono::steady_clock::now();
      const bool is_same_stop = signal_number == first && now - asked < kSameStop;
      if (is_same_stop) continue;
      if (stop.stop_requested()) _exit(128 + signal_number);
      first = signal_number;
      asked = now;
      stop.request_stop();
    }
  }).detach();
}

}  // namespace

int main(int argc, char** argv) {
  if (!sluice::app::FillStandardFiles()) _exit(1);  // with nowhere to say why
  // Arrow's own allocator returns pages to the kernel that the next batch asks for again, cleared.
  setenv("ARROW_DEFAULT_MEMORY_POOL", "system", /*overwrite=*/0);
  std::stop_source stop;
  std::atomic<bool> paging = false;
  std::set_terminate(sluice::app::EndProgram);
  int code = 1;
  try {
    WatchSignals(stop, paging);
    sluice::pipeline::Registry registry;
    sluice::app::RegisterConnectors(registry);
    code = sluice::cli::Run(argc, argv, stop.get_token(), paging, registry);
  } catch (...) {
    code = sluice::app::ExplainException();
  }
  std::fflush(nullptr);
  _exit(code);  // libraries' threads and static objects are not waited for
}
