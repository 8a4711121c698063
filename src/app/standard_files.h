#pragma once

namespace sluice::app {

// Takes the numbers 0, 1 and 2 where the caller closed them, before anything else can be opened under one: a
// segment that is number 2 would be given the messages, a lock file that is number 0 would be read as input.
// What stands there instead refuses the use (EBADF), as a closed file does. False when that cannot be had;
// then the program must not run.
bool FillStandardFiles();

}  // namespace sluice::app
