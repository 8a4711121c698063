#pragma once

namespace sluice::app {

// Says what the exception that is being handled means, on standard error; returns the exit code. A lack of
// memory or of threads is the machine's, and named as such; anything else is a fault of the program.
int ExplainException();

// For std::set_terminate: what nobody could catch, such as a lack of memory in a thread, ends the program
// with the same words. Nothing is cleaned up, as after a kill.
[[noreturn]] void EndProgram();

}  // namespace sluice::app
