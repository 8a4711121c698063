#include "app/last_words.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <system_error>

#include "base/error.h"

namespace sluice::app {
namespace {

int LackOf(const char* what) {
  std::fprintf(stderr, "Error: %s\n", what);
  return InfoOf(ErrorCode::kResourceExhausted).exit_code;
}

int Internal(const char* what) {
  std::fprintf(stderr, "Error: internal: %s\n", what);
  return InfoOf(ErrorCode::kInternal).exit_code;
}

}  // namespace

int ExplainException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return LackOf("out of memory: the machine's, or what 'ulimit -v' allows");
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again)
      return LackOf("no further thread can be started: 'ulimit -u' or 'ulimit -v' is too low");
    return Internal(error.what());
  } catch (const std::exception& error) {
    return Internal(error.what());
  } catch (...) {
    return Internal("an exception of no known type");
  }
}

void EndProgram() {
  if (std::current_exception() != nullptr) {
    const int code = ExplainException();
    if (code == InfoOf(ErrorCode::kResourceExhausted).exit_code) _exit(code);
  }
  std::abort();
}

}  // namespace sluice::app
